"""Everything on object storage, against a real S3 server: the store itself, whole runs, and a server that goes away."""

import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import ray
from s3 import BUCKET, forget_sessions, free_port, wire
from tiny import SETTINGS, finished_folds, predictions, until

from timnet import storage, tables
from timnet.corpora import folder
from timnet.errors import StoreError
from timnet.store import Store

pytestmark = pytest.mark.s3

N_OBJECTS = 2000
MIB = 2**20


@pytest.fixture
def store(s3, request):
    return Store(f"s3://{BUCKET}/{re.sub('[^a-z0-9]+', '-', request.node.name.lower())}")


def test_every_operation_of_the_store(store):
    store.check()
    store.write_bytes("deep/er/bytes", b"\x00\xff")
    assert store.read_bytes("deep/er/bytes") == b"\x00\xff"
    store.write_json("umlaut/ä b.json", {"a": [1, None]})
    assert store.read_json("umlaut/ä b.json") == {"a": [1, None]}
    folds = pa.table({"fold": pa.array([1], pa.int32()), "utterance_id": ["u"], "part": ["test"]}, schema=tables.FOLDS)
    store.write_table("folds.parquet", folds, tables.FOLDS)
    assert store.read_table("folds.parquet", tables.FOLDS).equals(folds)
    store.write_arrays("w.npz", {"a/b": np.eye(3)})
    np.testing.assert_array_equal(store.read_arrays("w.npz")["a/b"], np.eye(3))
    assert store.at("w.npz") == f"{store.uri}/w.npz"
    assert not store.is_done("deep")
    store.mark_done("deep", {"rows": 1})
    assert store.is_done("deep")
    assert store.done("deep") == {"rows": 1}
    assert store.children("") == ["deep", "folds.parquet", "umlaut", "w.npz"]
    assert store.children("deep") == ["_DONE.json", "er"]
    assert store.children("nothing") == []
    assert not store.exists("nothing")
    with pytest.raises(StoreError, match=r"nothing\.json is not in the store"):
        store.read_json("nothing.json")
    store.remove("w.npz")
    store.remove("w.npz")
    assert not store.exists("w.npz")
    store.delete("deep")
    store.delete("deep")
    assert store.children("deep") == []
    assert not store.is_done("deep")


def test_thousands_of_objects_are_listed_and_deleted(store):
    names = [f"{i:05d}.json" for i in range(N_OBJECTS)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: store.write_json(f"many/{name}", name), names))
    assert store.children("many") == names
    store.delete("many")
    assert store.children("many") == []


def test_a_large_object_goes_in_parts_and_comes_back_whole(s3, store, monkeypatch):
    data = np.random.default_rng(0).bytes(101 * MIB)  # from 100 MiB on s3fs uploads in parts
    with wire(s3) as relay:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{relay.port}")
        forget_sessions()
        there = Store(store.uri)
        there.write_bytes("large", data)
        assert there.read_bytes("large") == data
    assert sum("partNumber=" in head.splitlines()[0] for head in relay.heads) == 3


def test_a_broken_off_answer_is_asked_for_again_and_never_taken_for_whole(s3, store, monkeypatch):
    data = np.random.default_rng(0).bytes(50_000)
    store.write_bytes("x", data)
    with wire(s3) as relay:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{relay.port}")
        forget_sessions()
        there = Store(store.uri)
        assert there.read_bytes("x") == data
        relay.heads.clear()
        relay.cut_next_answer = True
        assert there.read_bytes("x") == data
        assert len(relay.heads) == 2  # the broken one and the whole one
        there.write_bytes("y", data)
    # Other makers' servers refuse the checksums that botocore would add of its own accord.
    assert not [line for head in relay.heads for line in head.lower().splitlines() if line.startswith("x-amz-checksum")]


def test_what_another_process_writes_is_seen_at_once(store):
    assert not store.exists("a/new")
    assert store.children("a") == []
    store.write_bytes("a/old", b"")
    assert store.children("a") == ["old"]
    _another_process(f"Store({store.uri!r}).write_bytes('a/new', b'1')")
    assert store.exists("a/new")
    assert store.children("a") == ["new", "old"]
    _another_process(f"Store({store.uri!r}).remove('a/new')")
    assert not store.exists("a/new")


def _another_process(statement: str) -> None:
    done = subprocess.run([sys.executable, "-c", f"from timnet.store import Store\n{statement}"], capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


WRONG = {
    "secret": ({"AWS_SECRET_ACCESS_KEY": "not-the-secret-of-anybody"}, BUCKET, "Check AWS_SECRET_ACCESS_KEY"),
    "key": ({"AWS_ACCESS_KEY_ID": "NOTAKEYIDOFANYBODY"}, BUCKET, "Check AWS_ACCESS_KEY_ID"),
    "bucket": ({}, "nosuchbucket", "there is no such bucket. Make it, or check the bucket's name"),
    "bucket name": ({}, "no_such?bucket!", "Invalid bucket name"),
    "endpoint": ({"AWS_ENDPOINT_URL": "http://127.0.0.1:{free}"}, BUCKET, "does not answer. Check AWS_ENDPOINT_URL"),
    "no endpoint": ({"AWS_ENDPOINT_URL": "nonsense"}, BUCKET, "Invalid endpoint: nonsense. Check AWS_ENDPOINT_URL"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_with_s3_is_said_before_any_work(what, s3, command, monkeypatch):
    changes, bucket, said = WRONG[what]
    for name, value in changes.items():
        monkeypatch.setenv(name, value.format(free=free_port()))
    started = time.monotonic()
    done = command.run("--store", f"s3://{bucket}/prefix", status=2)
    assert time.monotonic() - started < 20
    assert done.stdout == ""
    assert done.stderr.startswith(f"timnet: s3://{bucket}/prefix: ")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    for secret in (s3.secret, os.environ["AWS_SECRET_ACCESS_KEY"]):
        assert secret not in done.stderr


@pytest.mark.parametrize("operation", ["read_bytes", "exists", "children", "remove", "delete", "write_bytes"])
@pytest.mark.parametrize("what", ["secret", "endpoint"])
def test_whatever_s3_refuses_is_one_clear_error(what, operation, s3, monkeypatch):
    monkeypatch.setattr(storage, "PATIENT_ATTEMPTS", 2)
    for name, value in WRONG[what][0].items():
        monkeypatch.setenv(name, value.format(free=free_port()))
    forget_sessions()
    with pytest.raises(StoreError, match=rf"s3://{BUCKET}/refused/x.*: .*Check AWS_") as caught:
        getattr(Store(f"s3://{BUCKET}/refused"), operation)("x", *([b""] if operation == "write_bytes" else []))
    assert "\n" not in str(caught.value)
    assert os.environ["AWS_SECRET_ACCESS_KEY"] not in str(caught.value)


def test_without_credentials_the_variables_are_named(s3, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    with pytest.raises(StoreError, match="AWS_SECRET_ACCESS_KEY"):
        Store(f"s3://{BUCKET}/x").check()


@pytest.mark.parametrize("option", ["--store", "--data-root"])
def test_credentials_in_a_uri_are_refused_and_not_repeated(option, command):
    done = command.run("--corpora", "EMODB", "--data-root", ".", option, "s3://KEY:sEcr/et+x@bucket/prefix", status=2)
    assert "credentials in it is refused" in done.stderr
    assert "KEY@" not in done.stderr
    assert "sEcr" not in done.stderr


def test_a_data_root_on_s3_holds_the_same_corpus(s3, store, recordings):
    put(recordings, store)
    corpus, source = folder.own("TINY", store.uri)
    here, on_disk = folder.own("TINY", str(recordings))
    assert corpus.labels == here.labels
    assert corpus.find(source) == here.find(on_disk)
    assert len(source.listing) == 48
    assert all(source.read_bytes(path) == on_disk.read_bytes(path) for path in source.listing)


def put(recordings: Path, store: Store) -> None:
    for path in recordings.rglob("*.wav"):
        store.write_bytes(path.relative_to(recordings).as_posix(), path.read_bytes())


def objects(root: Path) -> dict[Path, tuple[int, bytes]]:
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def short():
    """A path of few letters: Ray's sockets lie in its temporary folder, and their paths have 107 bytes at most."""
    link = Path(tempfile.gettempdir()) / f"s3-{os.getpid()}"
    yield link
    link.unlink(missing_ok=True)


@pytest.mark.ray
@pytest.mark.prefect
def test_a_whole_run_on_s3_equals_the_one_on_disk(
    finished, command, recordings, s3, store, short, tmp_path, monkeypatch
):
    logs = tmp_path / "ray"
    short.symlink_to(logs)
    logs.mkdir()
    monkeypatch.setenv("RAY_TMPDIR", str(short))
    here = s3.bucket / store.uri.rpartition("/")[2]
    done = command.run("--data-root", str(recordings), "--store", store.uri, *SETTINGS)
    assert f"Report: {store.uri}/runs/first/report/index.html" in done.stderr
    assert predictions(store.uri).equals(predictions(finished[0]))
    on_disk = {path.relative_to(finished[0]) for path in finished[0].rglob("*") if path.is_file()}
    before = objects(here)
    assert {path.relative_to(here) for path in before} == on_disk
    again = command.run("--data-root", str(recordings), "--store", store.uri, *SETTINGS)
    assert "3 of 3 folds are finished already" in again.stderr
    assert objects(here) == before
    # Neither what the run leaves, nor what it says, nor what Prefect and Ray keep of it, holds a secret.
    kept = [*before, *(path for path in (*command.home.rglob("*"), *logs.rglob("*")) if path.is_file())]
    assert any(path.name.startswith("prefect.db") for path in kept)
    assert any(path.name.startswith("raylet") for path in kept)
    assert not [path for path in kept if s3.secret.encode() in path.read_bytes()]
    assert s3.secret not in done.stdout + done.stderr + again.stdout + again.stderr


@pytest.mark.ray
@pytest.mark.prefect
def test_a_server_that_dies_and_comes_back_costs_nothing_but_time(finished, command, recordings, s3, store):
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
    done = running.end(timeout_s=120)
    assert done.status == 0, done.stderr
    assert predictions(store.uri).equals(predictions(finished[0]))


@ray.remote
def _in_a_worker(store: Store, name: str) -> list[str]:
    store.write_bytes(name, name.encode())
    return store.children("")


@pytest.mark.ray
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
