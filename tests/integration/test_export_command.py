"""`timnet export` as a user types it, of a run that was really trained, checked with the features that it left."""

import json
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.prefect]


def test_a_run_as_a_keras_file(finished, tmp_path):
    store = finished[0]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "flows.main",
            "export",
            "--model",
            "first",
            "--store",
            str(store),
            "--output",
            str(tmp_path / "tiny.keras"),
        ],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert done.stderr == ""
    assert "on 8 examples (stored features of the run first)" in done.stdout
    assert "8 of 8 are given the same emotion" in done.stdout
    facts = json.loads((tmp_path / "tiny.keras.json").read_text())
    summary = json.loads((store / "runs/first/report/summary.json").read_text())["corpora"]["TINY"]
    assert facts["scores"]["pooled"] == summary["pooled"]
    assert [one["fold"] for one in facts["folds"]] == [1, 2, 3]
    card = (tmp_path / "tiny.keras.md").read_text()
    assert "| recordings | 48 |" in card
    assert "| speakers | 4 |" in card
    assert f"mean ± sd of the folds | without listening |\n|---|---|---|---|\n| WAR | {100 * summary['pooled']['war']:.2f} %" in card  # fmt: skip
