"""Two runs at once on one store: neither harms the other."""

import pytest
from tiny import SETTINGS, predictions

pytestmark = [pytest.mark.ray, pytest.mark.prefect, pytest.mark.slow]


def test_two_runs_with_the_same_settings_end_with_the_same_results(finished, command, recordings, tmp_path):
    arguments = ("--data-root", str(recordings), "--store", str(tmp_path), *SETTINGS)
    for running in [command.start(*arguments), command.start(*arguments)]:
        ended = running.end(timeout_s=240)
        assert ended.status == 0, ended.stderr
    assert predictions(tmp_path).equals(predictions(finished[0]))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    done = command.run(*arguments)
    assert "3 of 3 folds are finished already" in done.stderr
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()} == before


def test_two_runs_with_different_settings_share_what_is_the_same(finished, command, recordings, tmp_path):
    same = ("--data-root", str(recordings), "--store", str(tmp_path), "--max-parallel", "1")
    other = SETTINGS[: SETTINGS.index("--max-parallel")]
    runs = [
        command.start(*same, *other),
        command.start(*same, *other, "--run-id", "second", "--model", "svm"),
    ]
    for running in runs:
        ended = running.end(timeout_s=240)
        assert ended.status == 0, ended.stderr
    assert predictions(tmp_path).equals(predictions(finished[0]))
    assert predictions(tmp_path, "second").num_rows == predictions(finished[0]).num_rows
    assert len(list(tmp_path.glob("features/TINY/*"))) == 1
    assert len(list(tmp_path.glob("manifests/TINY/*"))) == 1
