"""Runs with everything on object storage: a real S3 server that dies and comes back, and Ray workers that use it."""

import os
import tempfile
import time
from pathlib import Path

import pytest
import ray
from s3 import put
from tiny import SETTINGS, finished_folds, predictions, until

from timnet.store import Store

pytestmark = [pytest.mark.s3, pytest.mark.ray, pytest.mark.slow]


def objects(root: Path) -> dict[Path, tuple[int, bytes]]:
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def short():
    """A path of few letters: Ray's sockets lie in its temporary folder, and their paths have 107 bytes at most."""
    link = Path(tempfile.gettempdir()) / f"s3-{os.getpid()}"
    yield link
    link.unlink(missing_ok=True)


@pytest.mark.prefect
@pytest.mark.timeout(600)  # three whole runs, on a busy machine
def test_a_run_on_s3_equals_the_one_on_disk_even_if_the_server_dies(
    finished, command, recordings, s3, store, short, tmp_path, monkeypatch
):
    logs = tmp_path / "ray"
    logs.mkdir()
    short.symlink_to(logs)
    monkeypatch.setenv("RAY_TMPDIR", str(short))
    put(recordings, Store(f"{store.uri}-recordings"))
    here = s3.bucket / store.uri.rpartition("/")[2]
    arguments = ("--data-root", f"{store.uri}-recordings", "--store", store.uri, *SETTINGS)

    running = command.start(*arguments)
    until(lambda: list(here.glob("trained/*/*/checkpoint.npz")) or running.process.poll() is not None)
    s3.kill()
    assert running.process.poll() is None
    assert finished_folds(here) < 3
    time.sleep(5)
    s3.start()
    done = running.end(timeout_s=200)
    assert done.status == 0, done.stderr
    assert f"Report: {store.uri}/runs/first/report/index.html" in done.stderr
    assert predictions(store.uri).equals(predictions(finished[0]))
    before = objects(here)
    left = {path.relative_to(here).parts[0] for path in before}
    assert left == {path.name for path in finished[0].iterdir()}

    again = command.run(*arguments)
    assert "3 of 3 folds are finished already" in again.stderr
    assert objects(here) == before

    # Neither what the run leaves, nor what it says, nor what Prefect and Ray keep of it, holds a secret.
    kept = [*before, *(path for path in (*command.home.rglob("*"), *logs.rglob("*")) if path.is_file())]
    assert any(path.name.startswith("prefect.db") for path in kept)
    assert any(path.name.startswith("raylet") for path in kept)
    assert not [path for path in kept if s3.secret.encode() in path.read_bytes()]
    assert s3.secret not in done.stdout + done.stderr + again.stdout + again.stderr


@ray.remote
def _in_a_worker(store: Store, name: str) -> list[str]:
    store.write_bytes(name, name.encode())
    return store.children("")


def test_workers_have_sessions_of_their_own(store):
    """The store has been used before it is sent away, and is used here afterwards."""
    store.write_bytes("driver", b"")
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    try:
        seen = ray.get([_in_a_worker.remote(store, f"worker{i}") for i in range(4)])
    finally:
        ray.shutdown()
    assert all("driver" in names for names in seen)
    assert store.children("") == ["driver", *(f"worker{i}" for i in range(4))]
