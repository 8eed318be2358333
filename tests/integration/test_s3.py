"""The store on a real S3 server: every operation, thousands of objects, parts, and what is said where S3 refuses."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pytest
from s3 import BUCKET, forget_sessions, free_port, put, wire
from stored_run import RUN, Made, write_run

from timnet import event_files, storage, tables, tracking
from timnet.corpora import folder
from timnet.errors import ConfigError, StoreError
from timnet.predict import place
from timnet.store import Store

pytestmark = pytest.mark.s3

N_OBJECTS = 2000
MIB = 2**20


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


def test_event_files_for_tensorboard_go_there_too(store):
    write_run(store, [Made("EMODB")], seeds=(46,))
    folds = {"EMODB seed 46 fold 1": tracking.FoldOfRun("EMODB", 46, 1, "trained/EMODB/46-1")}
    for _ in range(2):  # the second finds it
        run = event_files.Run(store, tracking.TrackedRun(RUN, "k", {}, {}, folds))
        run.fold("EMODB seed 46 fold 1")
    folder = f"tensorboard/{RUN}/EMODB seed 46 fold 1"
    (name,) = store.children(folder)
    assert b"loss/validation" in store.read_bytes(f"{folder}/{name}")
    assert run.end("FINISHED") == f"tensorboard --logdir '{store.uri}/tensorboard'"


def test_of_what_is_there_predictions_alone_are_replaced(store):
    store.write_bytes("interviews.csv", b"path,emotion\na.wav,happy\n")
    with pytest.raises(ConfigError, match=r"--output s3://.*/interviews.csv is there and holds something else than"):
        place(f"{store.uri}/interviews.csv", [], "emodb")
    assert place(f"{store.uri}/found.csv", [], "emodb")[1] == "found.csv"


def _another_process(statement: str) -> None:
    done = subprocess.run([sys.executable, "-c", f"from timnet.store import Store\n{statement}"], capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


WRONG = {
    "secret": ({"AWS_SECRET_ACCESS_KEY": "not-the-secret-of-anybody"}, BUCKET, "Check AWS_SECRET_ACCESS_KEY"),
    "key": ({"AWS_ACCESS_KEY_ID": "NOTAKEYIDOFANYBODY"}, BUCKET, "Check AWS_ACCESS_KEY_ID"),
    "bucket": ({}, "nosuchbucket", "there is no such bucket. Make it, or check the bucket's name"),
    "bucket name": ({}, "no_such!bucket", "Invalid bucket name"),
    "endpoint": ({"AWS_ENDPOINT_URL": "http://127.0.0.1:{free}"}, BUCKET, "does not answer. Check AWS_ENDPOINT_URL"),
    "no endpoint": ({"AWS_ENDPOINT_URL": "nonsense"}, BUCKET, "Invalid endpoint: nonsense. Check AWS_ENDPOINT_URL"),
    "no host": (
        {"AWS_ENDPOINT_URL": "http://me:hunter2@my_host:1"},
        BUCKET,
        "Invalid endpoint: http://my_host:1. Check",
    ),
    "no scheme": (
        {"AWS_ENDPOINT_URL": "me:hunter2@host:1"},
        BUCKET,
        "Invalid endpoint: host:1. Check AWS_ENDPOINT_URL",
    ),
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
    for secret in (s3.secret, os.environ["AWS_SECRET_ACCESS_KEY"], "hunter2"):
        assert secret not in done.stderr


@pytest.mark.parametrize("operation", ["read_bytes", "exists", "children", "remove", "delete", "write_bytes"])
@pytest.mark.parametrize("what", ["secret", "endpoint", "no host"])
def test_whatever_s3_refuses_is_one_clear_error(what, operation, s3, monkeypatch):
    monkeypatch.setattr(storage, "PATIENT_ATTEMPTS", 2)
    for name, value in WRONG[what][0].items():
        monkeypatch.setenv(name, value.format(free=free_port()))
    forget_sessions()
    with pytest.raises(StoreError, match=rf"s3://{BUCKET}/refused/x.*: .*Check AWS_") as caught:
        getattr(Store(f"s3://{BUCKET}/refused"), operation)("x", *([b""] if operation == "write_bytes" else []))
    assert "\n" not in str(caught.value)
    for secret in (os.environ["AWS_SECRET_ACCESS_KEY"], "hunter2"):
        assert secret not in str(caught.value)


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
