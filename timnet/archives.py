"""ZIP archives from strangers: unpacked whole into a new folder, or refused before anything is outside of it.

What an archive says of itself is checked first: names that leave the folder, links and devices, encrypted entries, names
that are one on some disks, more entries or bytes than its maker can have meant. What comes out is counted while it
comes, since the sizes that an archive states may be lies.
"""

import copy
import errno
import os
import re
import shutil
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from timnet.errors import ArchiveError

CHUNK_BYTES = 2**18
MAX_NAME_BYTES = 255  # of one part of a path, on every common file system

# What deflates one chunk at a time with bounded memory. Others (bzip2, LZMA) turn a few bytes into gigabytes at one go.
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_ENCRYPTED = 0x1 | 0x40 | 0x2000  # flags: encrypted, strongly, with its directory
_BROKEN = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, ValueError, OverflowError)

_END = b"PK\x05\x06"  # begins the record at the end, of 22 bytes and a comment
_END_BYTES, _MAX_COMMENT_BYTES = 22, 2**16 - 1
_END_64, _LOCATOR_64 = b"PK\x06\x06", b"PK\x06\x07"  # records of 56 and 20 bytes right before it, in large archives
_BEFORE_END_BYTES = 56 + 20
_ENTRY_BYTES = 46  # of the directory, without the name


@dataclass(frozen=True)
class Limits:
    """What an archive may hold at the most."""

    n_entries: int
    n_bytes: int  # of all that comes out
    ratio: float  # of all that comes out to the archive itself


def unpack(archive: Path, folder: Path, limits: Limits, progress: Callable[[int, int], None]) -> None:
    """Unpack all files of an archive into a folder, which must not be there yet.

    `progress` gets the bytes that are out and those that will be. Raises ArchiveError where the archive is broken or
    refused, and OSError where the disk refuses; the folder is gone then.
    """
    try:
        with archive.open("rb") as file:
            n_entries = _stated_entries(file, limits)
            with zipfile.ZipFile(file) as opened:
                if len(opened.infolist()) != n_entries:  # zipfile would go without those that it cannot see
                    raise zipfile.BadZipFile(f"{n_entries} entries, and {len(opened.infolist())} that can be read")
                entries = _checked(opened.infolist(), archive.stat().st_size, limits)
                _write_all(opened, entries, folder, progress)
    except _BROKEN as error:
        raise ArchiveError(f"{archive.name} is no whole ZIP archive ({error}).{_beginning(archive)}") from error


def _stated_entries(file: BinaryIO, limits: Limits) -> int:
    """How many entries the archive says it has; refuses a list of them that is too large to be read into memory."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _END_BYTES - _MAX_COMMENT_BYTES - _BEFORE_END_BYTES))
    tail = file.read()
    at = tail.rfind(_END)
    if at < 0 or len(tail) - at < _END_BYTES:
        raise zipfile.BadZipFile("its end is missing")
    n_entries, directory_bytes = struct.unpack_from("<HI", tail, at + 10)
    before = tail[max(0, at - _BEFORE_END_BYTES) : at]
    if before.startswith(_END_64) and before[56:].startswith(_LOCATOR_64):
        n_entries, directory_bytes = struct.unpack_from("<QQ", before, 32)
    if directory_bytes > limits.n_entries * (_ENTRY_BYTES + 2 * MAX_NAME_BYTES):
        raise ArchiveError(
            f"The archive's list of entries has {directory_bytes} bytes; {limits.n_entries} entries are allowed."
        )
    return n_entries


def _checked(infos: Sequence[zipfile.ZipInfo], archive_bytes: int, limits: Limits) -> list[zipfile.ZipInfo]:
    """The files among the entries; raises ArchiveError for the first entry, or the sum, that is not allowed."""
    if len(infos) > limits.n_entries:
        raise ArchiveError(f"The archive holds {len(infos)} entries; {limits.n_entries} are allowed.")
    for info in infos:
        if why := _why_refused(info, archive_bytes):
            raise ArchiveError(f"The archive holds {info.orig_filename[:200]!r}, which is refused: {why}.")
    _check_names(infos)
    total = sum(info.file_size for info in infos)
    if total > limits.n_bytes:
        raise ArchiveError(f"The archive would unpack to {total} bytes; {limits.n_bytes} are allowed.")
    if total > limits.ratio * archive_bytes:
        raise ArchiveError(
            f"The archive would unpack to {total / archive_bytes:.0f} times its size; {limits.ratio:g} times are allowed."
        )
    return [info for info in infos if not info.filename.endswith("/")]


def _why_refused(info: zipfile.ZipInfo, archive_bytes: int) -> str | None:
    name = info.orig_filename  # zipfile mends names quietly
    parts = name.removesuffix("/").split("/")
    kind = stat.S_IFMT(info.external_attr >> 16)
    stored = info.compress_type == zipfile.ZIP_STORED
    leads_out = "\\" in name or re.match(r"/|[A-Za-z]:", name) or ".." in parts
    odd = any(not part or part == "." or len(os.fsencode(part)) > MAX_NAME_BYTES for part in parts)
    refusals = {
        "its path leads out of the folder": leads_out,
        "a part of its path is empty, a dot or too long": odd,
        "its name holds control characters": any(unicodedata.category(letter) == "Cc" for letter in name),
        "it is a link or a device, not a file or folder": kind not in {0, stat.S_IFREG, stat.S_IFDIR},
        "it is encrypted": info.flag_bits & _ENCRYPTED,
        f"its compression {info.compress_type} is neither none (0) nor deflate (8)": info.compress_type not in _METHODS,
        "it is said to lie outside of the archive": not 0 <= info.header_offset < archive_bytes,
        "it says two sizes": stored and info.compress_size != info.file_size,
    }
    return next((why for why, refused in refusals.items() if refused), None)


def _check_names(infos: Sequence[zipfile.ZipInfo]) -> None:
    """Raises ArchiveError where two entries are one, here or on a disk that does not tell upper from lower case."""
    spelled: dict[str, str] = {}  # a path as such a disk compares it -> as the archive writes it
    files: dict[str, None] = {}
    for info in infos:
        parts = info.filename.removesuffix("/").split("/")
        for depth in range(1, len(parts) + 1):
            path = "/".join(parts[:depth])
            first = spelled.setdefault(unicodedata.normalize("NFC", path).casefold(), path)
            if first != path:
                raise ArchiveError(f"The archive holds {first!r} and {path!r}, which are one on many disks.")
        path = info.filename.removesuffix("/")
        if not info.filename.endswith("/"):
            if path in files:
                raise ArchiveError(f"The archive holds {path!r} twice.")
            files[path] = None
    for info in infos:
        parts = info.filename.split("/")
        for depth in range(1, len(parts)):
            if "/".join(parts[:depth]) in files:
                raise ArchiveError(f"The archive holds {'/'.join(parts[:depth])!r} both as a file and as a folder.")


def _write_all(
    opened: zipfile.ZipFile, entries: Sequence[zipfile.ZipInfo], folder: Path, progress: Callable[[int, int], None]
) -> None:
    total, done = sum(info.file_size for info in entries), 0
    if (free := shutil.disk_usage(folder.parent).free) < total:
        raise OSError(errno.ENOSPC, f"No space left for {total} bytes: {free} are free")
    folder.mkdir()
    try:
        for info in entries:
            path = folder / info.filename
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as target:
                _write(opened, info, target)
            done += info.file_size
            progress(done, total)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _write(opened: zipfile.ZipFile, info: zipfile.ZipInfo, target: BinaryIO) -> None:
    # zipfile stops at the size that an entry states, and would not notice that there is more.
    generous = copy.copy(info)
    generous.file_size += 1
    n_bytes = 0
    with opened.open(generous) as entry:
        while chunk := entry.read(CHUNK_BYTES):
            n_bytes += len(chunk)
            if n_bytes > info.file_size:
                raise ArchiveError(
                    f"The archive says that {info.filename!r} has {info.file_size} bytes, and it has more."
                )
            target.write(chunk)
    if n_bytes != info.file_size:
        raise ArchiveError(f"The archive says that {info.filename!r} has {info.file_size} bytes, and it has {n_bytes}.")


def _beginning(archive: Path) -> str:
    with archive.open("rb") as file:
        first = file.read(40)
    return "" if first.startswith(b"PK") else f" It begins with {first.decode('ascii', 'replace')!r}."
