"""The store: whole files or none, folders that count only with their marker, errors that say what to do."""

import io
import os
import pickle
import resource

import numpy as np
import pyarrow as pa
import pytest

from timnet import tables
from timnet.errors import BrokenFileError, ConfigError, StoreError
from timnet.store import Store


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "store"))


def feature_table(n=3, n_frames=5, n_coefficients=2):
    schema = tables.features_schema(n_frames, n_coefficients)
    values = np.random.default_rng(0).normal(size=(n, n_frames * n_coefficients)).astype(np.float32)
    columns = [
        pa.array([f"u{i}" for i in range(n)]),
        pa.FixedSizeListArray.from_arrays(values.ravel(), values.shape[1]),
    ]
    return pa.Table.from_arrays(columns, schema=schema), schema


def test_tables_come_back_as_they_went(store):
    table, schema = feature_table()
    store.write_table("a/b.parquet", table, schema)
    assert store.read_table("a/b.parquet", schema).equals(table)


def test_arrays_come_back_and_keep_slashes_in_their_names(store):
    store.write_arrays("w.npz", {"forward/tab1/kernel": np.eye(3)})
    np.testing.assert_array_equal(store.read_arrays("w.npz")["forward/tab1/kernel"], np.eye(3))


def test_an_archive_with_a_pickle_in_it_is_refused(store):
    hostile = io.BytesIO()
    np.savez(hostile, a=np.array([{}], object))
    store.write_bytes("bad.npz", hostile.getvalue())
    with pytest.raises(StoreError, match=r"is not a whole \.npz file"):
        store.read_arrays("bad.npz")


def test_a_folder_counts_only_with_its_marker(store):
    store.write_json("work/data.json", [1])
    assert not store.is_done("work")
    store.mark_done("work", {"rows": 1})
    assert store.is_done("work")
    assert store.done("work") == {"rows": 1}
    assert store.children("work") == ["_DONE.json", "data.json"]
    store.delete("work")
    assert not store.is_done("work")
    assert store.children("work") == []


def committed(store):
    """A folder of work with a checkpoint that is no part of it."""
    store.write_json("work/data.json", [1, 2, 3])
    store.write_json("work/shard/more.json", {"a": 1})
    store.write_bytes("work/checkpoint.npz", b"half")
    store.mark_done("work", {}, apart=("checkpoint.npz",))
    assert store.is_done("work")
    return store


@pytest.mark.parametrize("name", ["data.json", "shard/more.json"])
def test_a_folder_that_lost_a_file_or_a_part_of_one_is_not_finished(store, name):
    whole = committed(store).read_bytes(f"work/{name}")
    store.write_bytes(f"work/{name}", whole[:-1])
    assert not store.is_done("work")
    store.remove(f"work/{name}")
    assert not store.is_done("work")
    store.write_bytes(f"work/{name}", whole)
    assert store.is_done("work")


def test_what_is_no_part_of_a_folder_may_come_and_go(store):
    committed(store).remove("work/checkpoint.npz")
    store.write_bytes("work/later.json", b"1")
    assert store.is_done("work")


def test_what_says_how_long_it_took_may_be_of_another_size_but_has_to_be_there(store):
    store.write_json("work/data.json", [1, 2, 3])
    store.write_json("work/seconds.json", 1.5)
    store.mark_done("work", {}, timed=("seconds.json",))
    store.write_json("work/seconds.json", 12.75)
    assert store.is_done("work")
    store.remove("work/seconds.json")
    assert not store.is_done("work")


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"rows": 1}', b"\xff"])
def test_a_marker_that_is_none_does_not_count(store, text):
    committed(store).write_bytes("work/_DONE.json", text)
    assert not store.is_done("work")
    with pytest.raises(BrokenFileError, match="Delete it and run again"):
        store.done("work")


@pytest.mark.parametrize("keep", [0, 10, -1])
def test_cut_off_files_are_said_to_be_broken(store, keep):
    table, schema = feature_table()
    store.write_table("t.parquet", table, schema)
    store.write_arrays("w.npz", {"a": np.eye(30)})
    store.write_json("j.json", {"a": "ä"})
    for name, read in (("t.parquet", store.read_table), ("w.npz", store.read_arrays), ("j.json", store.read_json)):
        store.write_bytes(name, store.read_bytes(name)[:keep])
        with pytest.raises(BrokenFileError, match=rf"{name}.*Delete it and run again"):
            read(name)


def test_what_a_disk_has_changed_is_noticed_though_its_size_has_not(store):
    table, schema = feature_table(n=50, n_frames=40)
    store.write_table("t.parquet", table, schema)
    whole = bytearray(store.read_bytes("t.parquet"))
    for at in range(200, len(whole) - 2000, 400):
        broken = whole.copy()
        broken[at] ^= 4
        store.write_bytes("t.parquet", bytes(broken))
        with pytest.raises(BrokenFileError, match="is not a whole Parquet file"):
            store.read_table("t.parquet", schema)


def test_a_broken_file_says_which_it_is_and_its_folder_can_be_disowned(store):
    committed(store)
    store.write_bytes("work/shard/more.json", b"[[[[[[[")
    with pytest.raises(BrokenFileError) as caught:
        store.read_json("work/shard/more.json")
    found = pickle.loads(pickle.dumps(caught.value))
    assert (found.path, str(found)) == ("work/shard/more.json", str(caught.value))
    assert store.disown(found.path) == "work"
    assert not store.is_done("work")
    assert store.disown(found.path) is None


def test_a_file_that_is_no_text_is_no_json(store):
    store.write_bytes("j.json", b'{"a": "\xff"}')
    with pytest.raises(BrokenFileError, match="is not JSON"):
        store.read_json("j.json")


def test_the_home_folder_may_be_written_short(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Store("~/store").at("x") == str(tmp_path / "store" / "x")


def test_a_write_that_breaks_off_leaves_the_old_file_and_no_other(store, monkeypatch):
    store.write_bytes("a/file", b"old")

    def full_disk(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(StoreError, match=r"cannot be written: No space left on device\. Make room"):
        store.write_bytes("a/file", b"new")
    assert store.read_bytes("a/file") == b"old"
    assert store.children("a") == ["file"]


def test_a_file_beyond_the_limit_is_refused_and_leaves_nothing(store):
    """A limit of the operating system instead of a full disk: the bytes before it are written, as on a disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    store.write_bytes("a/file", b"old")
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(StoreError, match=r"a/file cannot be written: File too large\. Make room"):
            store.write_bytes("a/file", b"new" * 10_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert store.read_bytes("a/file") == b"old"
    assert store.children("a") == ["file"]


def test_a_store_that_cannot_be_a_folder_is_refused_at_once(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    Store(str(tmp_path / "not" / "yet")).check()
    with pytest.raises(StoreError, match=r"cannot be a folder: .*/file is none\. Give another --store"):
        Store(str(tmp_path / "file" / "store")).check()
    with pytest.raises(StoreError, match="Not a directory"):
        Store(str(tmp_path / "file" / "store")).write_bytes("x", b"")


@pytest.mark.parametrize(
    "uri",
    [
        "s3://KEY:sEcr/et+x@bucket/prefix",
        "s3://KEY@bucket",
        "https://me:sEcr@host/x",
        "https://host/x?sig=sEcr",
        "s3://b?sEcr",
    ],
)
def test_secrets_in_a_uri_are_refused_and_not_repeated(uri):
    with pytest.raises(ConfigError, match="in it is refused, as it would be stored and shown") as caught:
        Store(uri)
    assert "KEY@" not in str(caught.value)
    assert "sEcr" not in str(caught.value)


@pytest.mark.parametrize("uri", ["memory://x", "https://host/x", "nosuch://x", "simplecache::s3://bucket"])
def test_only_a_disk_and_s3_can_be_a_store(uri):
    with pytest.raises(
        StoreError, match=r"cannot be opened: .*:// is of no supported kind\. Allowed are a folder, file"
    ):
        Store(uri)


def test_a_store_travels_as_its_uri(store):
    store.write_json("x.json", {"a": 1})
    assert pickle.loads(pickle.dumps(store)).read_json("x.json") == {"a": 1}


def test_a_relative_store_stays_where_it_was_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = Store("here")
    monkeypatch.chdir("/")
    store.write_json("x.json", 1)
    assert (tmp_path / "here" / "x.json").exists()


@pytest.mark.parametrize("path", ["/etc/passwd", "../outside", "a/../../outside", ".", "a/.", "a//b", "a/", "/"])
def test_nothing_is_read_outside_the_store(store, path):
    with pytest.raises(StoreError, match="stays inside it"):
        store.read_bytes(path)


@pytest.mark.parametrize("folder", ["", ".", "/", "work/..", "./work", "work/", "work/../../store"])
def test_only_a_folder_inside_the_store_is_deleted(store, folder):
    committed(store)
    with pytest.raises(StoreError, match=r"stays inside it|is not deleted as a folder of it\. Name one\."):
        store.delete(folder)
    assert store.is_done("work")


def test_what_a_folder_lost_is_named(store):
    assert store.lost("work") is None
    assert committed(store).lost("work") == []
    store.remove("work/data.json")
    store.write_bytes("work/shard/more.json", b"{")
    assert store.lost("work") == ["data.json", "shard/more.json"]
    store.write_json("work/_DONE.json", {"facts": {}, "files": []})
    assert store.lost("work") == ["_DONE.json"]


def test_errors_say_what_is_wrong(store):
    with pytest.raises(StoreError, match=r"absent\.json is not in the store"):
        store.read_json("absent.json")
    store.write_bytes("half.json", b'{"a": ')
    with pytest.raises(StoreError, match=r"is not JSON .* Delete it and run again"):
        store.read_json("half.json")
    store.write_bytes("half.parquet", b"PAR1")
    with pytest.raises(StoreError, match="is not a whole Parquet file"):
        store.read_table("half.parquet")
    with pytest.raises(StoreError, match=r"The store 'nosuch://x' cannot be opened.*Allowed are a folder"):
        Store("nosuch://x")


def test_a_table_of_another_shape_is_refused_with_what_differs(store):
    table, schema = feature_table()
    store.write_table("f.parquet", table, schema)
    with pytest.raises(
        StoreError, match=r"features: expected fixed_size_list<.*>\[4\], received fixed_size_list<.*>\[10\]"
    ):
        store.read_table("f.parquet", tables.features_schema(2, 2))
    with pytest.raises(StoreError, match="fold: expected int32, received no such column"):
        store.read_table("f.parquet", tables.FOLDS)
