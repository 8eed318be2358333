"""The whole line for real: recordings in, Ray and Prefect at work, report out; interrupted, resumed, refused."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from tiny import EMOTIONS, SETTINGS, SPEAKERS, TAKES, finished_folds, predictions, until, write_tone

from timnet.store import Store

pytestmark = [pytest.mark.ray, pytest.mark.prefect]


def test_a_run_leaves_a_report_with_the_promised_summary(finished):
    store, done = finished
    summary = json.loads((store / "runs/first/report/summary.json").read_text())
    corpus = summary["corpora"]["TINY"]
    n = len(EMOTIONS) * len(SPEAKERS) * TAKES
    assert sum(fold["n"] for fold in corpus["folds"]) == n
    assert [fold["fold"] for fold in corpus["folds"]] == [1, 2, 3]
    for kind in ("pooled", "fold_mean", "fold_sd"):
        assert 0 <= corpus[kind]["war"] <= 1
        assert 0 <= corpus[kind]["uar"] <= 1
    assert f"WAR {100 * corpus['pooled']['war']:.2f} %" in done.stdout + done.stderr
    for name in ("index.html", "metrics.parquet", "predictions.parquet", "results.xlsx"):
        assert (store / "runs/first/report" / name).stat().st_size > 0
    (seconds,) = re.findall(
        r"All of it took ([\d.]+) s: start ([\d.]+) s, scan ([\d.]+) s, extract ([\d.]+) s, train ([\d.]+) s, "
        r"report ([\d.]+) s, the rest ([\d.]+) s",
        done.stderr,
    )
    whole, *stages = map(float, seconds)
    assert sum(stages) == pytest.approx(whole, abs=0.1 * len(stages))


def test_the_scores_follow_from_the_stored_predictions(finished):
    from sklearn.metrics import accuracy_score, recall_score

    store, _ = finished
    table = predictions(store)
    truth, predicted = table["emotion"].to_pylist(), table["predicted"].to_pylist()
    pooled = json.loads((store / "runs/first/report/summary.json").read_text())["corpora"]["TINY"]["pooled"]
    assert pooled["war"] == pytest.approx(accuracy_score(truth, predicted))
    assert pooled["uar"] == pytest.approx(recall_score(truth, predicted, average="macro"))
    labels = sorted(EMOTIONS)
    probabilities = np.array(table["probabilities"].to_pylist())
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert [labels[i] for i in probabilities.argmax(axis=1)] == predicted


def test_nobody_who_is_tested_was_heard_in_training(finished):
    store = Store(str(finished[0]))
    run = store.read_json("runs/first/run.json")
    audit = store.read_json(run["corpora"]["TINY"]["seeds"]["7"]["split"] + "/audit.json")
    assert audit["protocol"] == "speaker-independent"
    assert [fold["shared"]["speaker"]["train-test"] for fold in audit["folds"]] == [0, 0, 0]
    assert sorted({s for fold in audit["folds"] for s in fold["speakers"]["test"]}) == sorted(SPEAKERS)


def test_each_fold_is_a_named_task_run_in_prefect(finished, command):
    """Read from Prefect's own database through Prefect's own client."""
    code = (
        "from prefect.client.orchestration import get_client\n"
        "from prefect.client.schemas.sorting import FlowRunSort, TaskRunSort\n"
        "from prefect import settings\n"
        "from tasks.local_api import LocalApi\n"
        "api = LocalApi(); api.wait()\n"
        "with settings.temporary_settings({settings.PREFECT_API_URL: api.url}), get_client(sync_client=True) as client:\n"
        "    for run in client.read_task_runs(sort=TaskRunSort.NAME_ASC, limit=200): print('task', run.name, run.state_name)\n"
        "    for run in client.read_flow_runs(sort=FlowRunSort.NAME_ASC, limit=200): print('flow', run.name, run.state_name)\n"
        "    for artifact in client.request('POST', '/artifacts/filter', json={}).json(): print('artifact', artifact['key'])\n"
        "api.close()\n"
    )
    environment = {**os.environ, "PREFECT_HOME": str(command.home)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "flow first Completed" in lines
    for name in (
        "scan TINY",
        "split TINY seed 7",
        "extract TINY",
        *(f"TINY seed 7 fold {i}" for i in (1, 2, 3)),
        "report first",
    ):
        assert f"task {name} Completed" in lines
    assert "artifact first-summary" in lines
    assert "artifact first-folds" in lines


def test_the_same_command_again_computes_nothing(finished, command, recordings):
    store, _ = finished
    before = {path: path.stat().st_mtime_ns for path in store.rglob("*") if path.is_file()}
    done = command.run("--data-root", str(recordings), "--store", str(store), *SETTINGS)
    assert {path: path.stat().st_mtime_ns for path in store.rglob("*") if path.is_file()} == before
    assert "3 of 3 folds are finished already" in done.stderr


def test_a_run_name_belongs_to_its_settings(finished, command, recordings):
    store, _ = finished
    done = command.run("--data-root", str(recordings), "--store", str(store), *SETTINGS, "--epochs", "13", status=2)
    assert "--run-id first is taken by a run with other settings (epochs: 12 there, 13 now)" in done.stderr


@pytest.mark.parametrize(
    ("how", "status"),
    [
        pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow),
        (signal.SIGKILL, -signal.SIGKILL),
    ],
)
def test_an_interrupted_run_goes_on_and_ends_with_the_same_numbers(
    how, status, finished, command, recordings, tmp_path
):
    arguments = ("--data-root", str(recordings), "--store", str(tmp_path), *SETTINGS)
    running = command.start(*arguments)
    until(lambda: list(tmp_path.glob("trained/*/*/checkpoint.npz")) or running.process.poll() is not None)
    if how is signal.SIGINT:
        os.killpg(running.process.pid, how)  # what a terminal does: everybody in the foreground hears Ctrl-C
    else:
        running.process.send_signal(how)
    ended = running.end(timeout_s=60)
    assert ended.status == status
    assert not (tmp_path / "runs/first/_DONE.json").exists()
    assert "Traceback" not in ended.stderr
    assert ("goes on from what was finished" in ended.stderr) == (how is not signal.SIGKILL)
    already = finished_folds(tmp_path)
    done = command.run(*arguments)
    if already:
        assert f"{already} of 3 folds are finished already" in done.stderr
    assert predictions(tmp_path).equals(predictions(finished[0]))
    if how is not signal.SIGKILL:  # see below
        until(lambda: not running.left(), 90)


@pytest.mark.slow
def test_nothing_outlives_a_killed_run(command, recordings, tmp_path):
    running = command.start("--data-root", str(recordings), "--store", str(tmp_path), *SETTINGS)
    until(lambda: list(tmp_path.glob("trained/*/*/checkpoint.npz")) or running.process.poll() is not None)
    running.process.kill()
    assert running.end(timeout_s=60).status == -signal.SIGKILL
    until(lambda: not running.left(), 90)  # Ray's own agents need up to a minute to notice


def test_a_fold_that_fails_is_named_and_the_others_are_reported(command, recordings, tmp_path):
    arguments = ("--data-root", str(recordings), *SETTINGS, "--model", "svm", "--store")
    command.run(*arguments, str(tmp_path / "undisturbed"))
    broken = sorted(path.parent.name for path in tmp_path.glob("undisturbed/trained/TINY/*/_DONE.json"))[0]
    store = tmp_path / "store"
    folder = store / "trained/TINY" / broken / "predictions.parquet"
    folder.mkdir(parents=True)  # where a file has to be written
    done = command.run(*arguments, str(store), status=1)
    assert "1 of 3 folds failed: TINY seed 7 fold" in done.stderr
    assert "Traceback" not in done.stderr
    summary = json.loads((store / "runs/first/report/summary.json").read_text())
    states = [fold["state"] for fold in summary["corpora"]["TINY"]["folds"]]
    assert sorted(states) == ["completed", "completed", "failed"]
    assert "predictions.parquet: Is a directory" in (store / "runs/first/report/index.html").read_text()
    assert not (store / "runs/first/_DONE.json").exists()
    folder.rmdir()
    command.run(*arguments, str(store))
    assert predictions(store).equals(predictions(tmp_path / "undisturbed"))


def cut(data: bytes) -> bytes:
    return data[:-1]


def flipped(data: bytes) -> bytes:
    return data[: len(data) // 4] + bytes(byte ^ 85 for byte in data[len(data) // 4 :][:8]) + data[len(data) // 4 + 8 :]


@pytest.mark.slow
@pytest.mark.parametrize("damage", [cut, flipped])
def test_what_was_damaged_is_made_again(finished, command, recordings, tmp_path, damage):
    """As a full disk, a crash of the machine or a bad disk leaves it: the markers are there, the files are not whole."""
    shutil.copytree(finished[0], tmp_path, dirs_exist_ok=True)
    first, second, third = sorted(path.parent for path in tmp_path.glob("trained/TINY/*/_DONE.json"))
    (second / "_DONE.json").unlink()
    (second / "checkpoint.npz").write_bytes(b"PK no more")
    damaged = [
        first / "predictions.parquet",
        third / "metrics.json",
        *tmp_path.glob("features/TINY/*/*/features.parquet"),
    ]
    damaged += [*tmp_path.glob("manifests/TINY/*/manifest.parquet"), *tmp_path.glob("splits/TINY/*/folds.parquet")]
    assert len(damaged) >= 5
    for path in damaged:
        path.write_bytes(damage(path.read_bytes()))
    (tmp_path / "runs/first/report/index.html").write_bytes(b"")
    done = command.run("--data-root", str(recordings), "--store", str(tmp_path), *SETTINGS)
    assert "of 3 folds are finished already" in done.stderr or damage is cut
    assert "is made again, as a file in it is broken" in done.stderr
    assert predictions(tmp_path).equals(predictions(finished[0]))
    assert (tmp_path / "runs/first/report/index.html").stat().st_size > 0
    again = command.run("--data-root", str(recordings), "--store", str(tmp_path), *SETTINGS)
    assert "The report is there already" in again.stderr


@pytest.mark.slow
def test_a_later_bad_recording_comes_into_the_report(command, recordings, tmp_path):
    root = tmp_path / "root"
    shutil.copytree(recordings, root)
    (root / "TINY/sad/ann/first.wav").write_bytes(b"")
    arguments = (
        "--data-root",
        str(root),
        "--store",
        str(tmp_path / "store"),
        *SETTINGS,
        "--model",
        "svm",
        "--skip-bad",
    )
    command.run(*arguments)
    (root / "TINY/sad/ann/second.wav").write_bytes(b"")
    done = command.run(*arguments)
    assert "3 of 3 folds are finished already" in done.stderr
    page = (tmp_path / "store/runs/first/report/index.html").read_text()
    assert "first.wav" in page
    assert "second.wav" in page


@pytest.mark.slow
def test_the_report_of_other_recordings_is_not_overwritten(command, recordings, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(recordings, other)
    write_tone(other / "TINY/sad/ann/0.wav", 130, 99)
    store, settings = tmp_path / "store", ("--corpora", "TINY", "--folds", "3", "--seeds", "7", "--model", "svm")
    command.run("--data-root", str(recordings), "--store", str(store), *settings)
    (page,) = store.glob("runs/*/report/index.html")
    before = page.read_bytes()
    done = command.run("--data-root", str(other), "--store", str(store), *settings)
    assert "has a report of other recordings, which stays as it is" in done.stderr
    assert page.read_bytes() == before
    pages = list(store.glob("runs/*/report/index.html"))
    assert len(pages) == 2
    done = command.run(
        "--data-root", str(other), "--store", str(store), *settings, "--run-id", page.parts[-3], status=2
    )
    assert "is taken by a run with other recordings of TINY" in done.stderr
    assert page.read_bytes() == before


@pytest.mark.parametrize("delay_s", [0.2, pytest.param(1, marks=pytest.mark.slow), 3.5])
def test_a_command_may_be_stopped_at_any_time(command, recordings, tmp_path, delay_s):
    """While it imports, while Prefect's API starts, while Ray starts: one line, and nothing is left."""
    running = command.start("--data-root", str(recordings), "--store", str(tmp_path), *SETTINGS)
    time.sleep(delay_s)
    running.process.send_signal(signal.SIGTERM)
    ended = running.end(timeout_s=60)
    assert (ended.status, ended.stderr.count("Traceback")) == (143, 0), ended.stderr
    assert ended.stderr.count("goes on from what was finished") == 1
    until(lambda: not running.left(), 90)


@pytest.mark.slow
def test_ctrl_c_again_and_again(command, recordings, tmp_path):
    running = command.start("--data-root", str(recordings), "--store", str(tmp_path), *SETTINGS)
    until(lambda: list(tmp_path.glob("trained/*/*/checkpoint.npz")) or running.process.poll() is not None)
    for _ in range(3):
        running.process.send_signal(signal.SIGINT)
        time.sleep(0.1)
    ended = running.end(timeout_s=60)
    assert (ended.status, ended.stderr.count("Traceback")) == (130, 0), ended.stderr
    until(lambda: not running.left(), 90)  # Ray's own agents need up to a minute to notice


def test_bad_recordings_stop_the_run_or_are_left_out_by_name(command, recordings, tmp_path):
    root = tmp_path / "root"
    shutil.copytree(recordings, root)
    (root / "TINY/angry/ann/broken.wav").write_bytes(b"RIFF but no more")
    (root / "TINY/happy/bob/empty.wav").write_bytes(b"")
    write_tone(root / "TINY/sad/cem/short.wav", 120, 1, duration_s=0.01)
    arguments = ("--data-root", str(root), "--store", str(tmp_path / "store"), *SETTINGS, "--model", "svm")
    done = command.run(*arguments, status=1)
    for name in ("angry/ann/broken.wav", "happy/bob/empty.wav", "sad/cem/short.wav"):
        assert name in done.stderr
    assert "--skip-bad" in done.stderr
    assert not (tmp_path / "store/trained").exists()
    done = command.run(*arguments, "--skip-bad", "--run-id", "without")
    assert "happy/bob/empty.wav" in done.stderr
    page = (tmp_path / "store/runs/without/report/index.html").read_text()
    for name in ("broken.wav", "empty.wav", "short.wav"):
        assert name in page
