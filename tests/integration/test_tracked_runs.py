"""`--track` on whole runs: curves of folds that were finished before, and a server that is away."""

import os
import shutil
import socket

import mlflow
import pytest
from tiny import SETTINGS

pytestmark = [
    pytest.mark.ray,
    pytest.mark.prefect,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # SQLAlchemy's, of what MLflow does with it
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

FOLDS = [f"TINY seed 7 fold {i}" for i in (1, 2, 3)]


def event_files(store):
    return {path.relative_to(store): path.stat().st_mtime_ns for path in store.glob("tensorboard/first/*/events.*")}


@pytest.fixture
def no_server(monkeypatch):
    for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")  # for the reader in this process


def test_folds_of_an_earlier_run_are_tracked_once(finished, command, recordings, tmp_path, no_server):
    shutil.copytree(finished[0], tmp_path, dirs_exist_ok=True)
    arguments = ("--data-root", str(recordings), "--store", str(tmp_path), *SETTINGS, "--track", "tensorboard,mlflow")
    done = command.run(*arguments)
    assert "3 of 3 folds are finished already" in done.stderr
    assert f"Tracked: tensorboard --logdir '{tmp_path}/tensorboard'" in done.stderr
    assert "Warning" not in done.stderr
    assert done.stdout == ""
    first = event_files(tmp_path)
    assert sorted({path.parent.name for path in first}) == ["TINY pooled", *FOLDS]
    command.run(*arguments)
    assert event_files(tmp_path) == first
    reader = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow/mlflow.db")
    found = reader.search_runs([reader.get_experiment_by_name("timnet").experiment_id])
    assert sorted(run.info.run_name for run in found) == [*FOLDS, "first"]
    assert {run.info.status for run in found} == {"FINISHED"}
    (fold,) = (run for run in found if run.info.run_name == FOLDS[0])
    curve = reader.get_metric_history(fold.info.run_id, "loss/validation")
    assert [one.step for one in curve] == list(range(1, 13))


def test_a_run_goes_on_without_a_tracking_server(command, recordings, tmp_path, no_server, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://anna:s3cret@127.0.0.1:{port}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    arguments = ("--data-root", str(recordings), "--store", str(tmp_path), *SETTINGS, "--model", "svm")
    done = command.run(*arguments, "--track", "mlflow,tensorboard")
    assert (
        done.stderr.count(f"--track mlflow failed, and the run goes on without it (MLflow at http://127.0.0.1:{port}")
        == 1
    )
    assert "s3cret" not in done.stderr + done.stdout
    assert sorted({path.parent.name for path in event_files(tmp_path)}) == ["TINY pooled", *FOLDS]
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or b"s3cret" not in path.read_bytes(), path
