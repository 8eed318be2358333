"""One way to read, write and commit Parquet, JSON and bytes, on a local folder and on S3 alike.

Every unit of work is a folder. Its data are written first and its marker, `_DONE.json`, last; a folder without the
marker does not exist for any reader. The marker holds the size of every file: a folder of which one was lost or cut off
is not finished either, and is made again. Every single file is written whole or not at all: on a local disk through a
temporary name and a rename, on object storage by the put itself.
"""

import contextlib
import errno
import io
import json
import os
import secrets
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from timnet import storage, tables
from timnet.errors import BrokenFileError, NotThereError, StoreError
from timnet.unfinished import unfinished

DONE = "_DONE.json"
_PARTIAL = ".partial"  # ends the name of a file that is being written

# No room: on the disk, in the user's quota, or up to the largest file that the process may write.
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def beside(path: "str | os.PathLike[str]") -> "tuple[Store, str]":
    """The folder that a file outside any store lies in, as a store, and the file's name; for a path or URI."""
    folder, _, name = os.fspath(path).rpartition("/")
    return Store(folder or ("/" if os.fspath(path).startswith("/") else ".")), name


class Store:
    """A root URI (`file:///…`, a plain path, or `s3://bucket/prefix`) and the files below it, by relative paths with `/`.

    Pickles as its URI alone: a Ray worker has its own credentials. What a disk or server refuses is a StoreError.
    """

    def __init__(self, uri: str):
        self.uri = storage.absolute(uri)
        try:
            self._fs, self._root = storage.open_at(self.uri)
        except ValueError as error:
            raise StoreError(
                f"The store {uri!r} cannot be opened: {error}. Allowed are a folder, file://… and s3://bucket/prefix."
            ) from error
        self.is_local = storage.is_local(self._fs)

    def __reduce__(self):
        return (Store, (self.uri,))

    def __repr__(self) -> str:
        return f"Store({self.uri!r})"

    def at(self, path: str) -> str:
        """The path as a reader outside the store would open it: a local path or a full URI."""
        return self._full(path) if self.is_local else f"{self.uri}/{path}"

    def _full(self, path: str) -> str:
        if path and not {"", ".", ".."}.isdisjoint(path.split("/")):
            raise StoreError(f"A path in the store is relative and stays inside it, received {path!r}.")
        return f"{self._root}/{path}" if path else self._root

    def check(self) -> None:
        """Raises StoreError where the store cannot be reached, without waiting for long, or cannot be a folder."""
        storage.check(self.uri)
        above = self._root
        while self.is_local and not os.path.lexists(above):
            above = os.path.dirname(above)
        if self.is_local and not os.path.isdir(above):
            raise StoreError(f"The store {self.uri} cannot be a folder: {above} is none. Give another --store.")

    @contextmanager
    def _explained(self, path: str) -> Iterator[None]:
        try:
            with storage.explained(self.at(path)):
                yield
        except FileNotFoundError:
            raise
        except OSError as error:
            what, advice = ": ", "Check that it may be read and written."
            if error.errno in _FULL:
                what, advice = " cannot be written: ", "Make room and give the same command again."
            raise StoreError(f"{self.at(path)}{what}{error.strerror or error}. {advice}") from error

    # -- whole files ------------------------------------------------------------------------------------------------

    def write_bytes(self, path: str, data: bytes) -> None:
        full = self._full(path)
        try:
            with self._explained(path):
                if self.is_local:
                    self._write_local(full, data)
                else:
                    self._fs.pipe_file(full, data)
        except FileNotFoundError as error:  # somebody removed the folder, or the begun upload in parts
            raise StoreError(f"{self.at(path)} cannot be written: {error}. Give the same command again.") from error

    def _write_local(self, full: str, data: bytes) -> None:
        os.makedirs(os.path.dirname(full), exist_ok=True)
        temporary = f"{full}.{os.getpid()}-{secrets.token_hex(4)}{_PARTIAL}"
        with unfinished(temporary):
            with open(temporary, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, full)

    def read_bytes(self, path: str) -> bytes:
        try:
            with self._explained(path):
                return self._fs.cat_file(self._full(path))
        except FileNotFoundError as error:
            raise NotThereError(f"{self.at(path)} is not in the store.") from error

    def exists(self, path: str) -> bool:
        """Whether a single file is there; whether a folder is finished, `is_done` tells."""
        with self._explained(path):
            return self._fs.exists(self._full(path))

    def remove(self, path: str) -> None:
        """Remove a single file; it may be missing."""
        with contextlib.suppress(FileNotFoundError), self._explained(path):
            self._fs.rm_file(self._full(path))

    def write_json(self, path: str, value: Any) -> None:
        self.write_bytes(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False).encode())

    def read_json(self, path: str) -> Any:
        try:
            return json.loads(self.read_bytes(path))
        except ValueError as error:  # of JSON, or of its UTF-8
            raise self._broken(path, f"is not JSON ({error})") from error

    def write_table(self, path: str, table: pa.Table, schema: pa.Schema) -> None:
        """Write a Parquet file with zstd, floats split by byte: for MFCCs the best of those in docs/benchmarks.md."""
        sink = pa.BufferOutputStream()
        floats = [f.name for f in schema if pa.types.is_fixed_size_list(f.type)]
        pq.write_table(
            tables.check(table, schema, path),
            sink,
            compression="zstd",
            compression_level=1,
            use_dictionary=[f.name for f in schema if pa.types.is_string(f.type)],
            use_byte_stream_split=[f"{name}.list.element" for name in floats],
            write_page_checksum=True,  # so that what a disk has changed is noticed where its size has not
        )
        self.write_bytes(path, sink.getvalue().to_pybytes())

    def read_table(self, path: str, schema: pa.Schema | None = None) -> pa.Table:
        """Read a Parquet file; with a schema, raises StoreError where its columns or types differ."""
        data = self.read_bytes(path)
        try:
            table = pq.read_table(pa.BufferReader(data), page_checksum_verification=True)
        except (pa.ArrowException, OSError) as error:
            raise self._broken(path, f"is not a whole Parquet file ({' '.join(str(error).split())})") from error
        if schema is not None and (differing := tables.differences(table, schema)):
            raise self._broken(path, f"does not have the columns of its table ({differing})")
        return table

    def write_arrays(self, path: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Write named arrays as .npz; names may hold slashes."""
        buffer = io.BytesIO()
        np.savez(buffer, **dict[str, Any](arrays))
        self.write_bytes(path, buffer.getvalue())

    def read_arrays(self, path: str) -> dict[str, np.ndarray]:
        """Read an .npz without ever unpickling."""
        data = self.read_bytes(path)
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as archive:
                return {name: archive[name] for name in archive.files}
        except (ValueError, OSError, EOFError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
            raise self._broken(path, f"is not a whole .npz file ({error})") from error

    def _broken(self, path: str, what: str) -> BrokenFileError:
        return BrokenFileError(f"{self.at(path)} {what}. Delete it and run again.", path)

    # -- folders and their markers ----------------------------------------------------------------------------------

    def is_done(self, folder: str) -> bool:
        """Whether the folder has its marker, and every file that this names, with the size if it names one."""
        return self.lost(folder) == []

    def lost(self, folder: str) -> list[str] | None:
        """Files that the folder's marker names and that are gone or have another size; None where there is no marker."""
        sizes = self._sizes(folder)
        if DONE not in sizes:
            return None
        try:
            files = self._marker(folder)["files"]
        except StoreError:
            return [DONE]
        return [name for name, size in files.items() if name not in sizes or size not in (None, sizes[name])]

    def done(self, folder: str) -> dict[str, Any]:
        """What was written into the folder's marker; raises StoreError where there is none."""
        return self._marker(folder)["facts"]

    def mark_done(
        self, folder: str, facts: Mapping[str, Any], apart: Collection[str] = (), timed: Collection[str] = ()
    ) -> None:
        """Commit the folder as it is now.

        `apart` names files that are no part of it, such as a checkpoint. `timed` names those that say how long something
        took: two runs that make the same folder at the same time write them in different sizes, the one over the other.
        """
        files = {
            name: None if name in timed else size
            for name, size in self._sizes(folder).items()
            # Markers of folders inside are made again by whoever makes those again, and may say more or less then.
            if name.rpartition("/")[2] != DONE and name not in apart and not name.endswith(_PARTIAL)
        }
        self.write_json(f"{folder}/{DONE}", {"facts": dict(facts), "files": files})

    def disown(self, path: str) -> str | None:
        """Remove the marker of the folder that a broken file belongs to, so that it is made again.

        Returns the folder; None where none above the file is marked.
        """
        while "/" in path:
            path = path.rpartition("/")[0]
            if self.exists(f"{path}/{DONE}"):
                self.remove(f"{path}/{DONE}")
                return path
        return None

    def _marker(self, folder: str) -> dict[str, Any]:
        path = f"{folder}/{DONE}"
        marker = self.read_json(path)
        if not isinstance(marker, dict) or {name: type(marker[name]) for name in marker} != {
            "facts": dict,
            "files": dict,
        }:
            raise self._broken(path, "is no marker of this version of timnet")
        return marker

    def size(self, folder: str) -> int:
        """Bytes of all files below the folder; 0 where it does not exist."""
        return sum(self._sizes(folder).values())

    def _sizes(self, folder: str) -> dict[str, int]:
        """Size in bytes of every file below the folder, by its path in it; empty where there is no such folder."""
        full = self._full(folder).rstrip("/")
        try:
            with self._explained(folder):
                found = self._fs.find(full, detail=True)
        except FileNotFoundError:  # a file that went while the folder was being listed
            return self._sizes(folder)
        return {path[len(full) :].lstrip("/"): int(info["size"]) for path, info in sorted(found.items())}

    def children(self, folder: str) -> list[str]:
        """Names directly inside the folder, sorted; empty where it does not exist."""
        full = self._full(folder)
        try:
            with self._explained(folder):
                entries = [entry.rstrip("/") for entry in self._fs.ls(full, detail=False)]
        except FileNotFoundError:
            return []
        # A folder that was made by hand in a browser lists itself as an empty object.
        return sorted(entry.rsplit("/", 1)[-1] for entry in entries if entry != full.rstrip("/"))

    def delete(self, folder: str) -> None:
        """Delete a folder, its marker first, so that no reader takes the rest for whole; never the store itself."""
        if not folder:
            raise StoreError(f"The whole store {self.uri} is not deleted as a folder of it. Name one.")
        self.remove(f"{folder}/{DONE}")
        with contextlib.suppress(FileNotFoundError), self._explained(folder):
            self._fs.rm(self._full(folder), recursive=True)
