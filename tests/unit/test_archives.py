"""Archives that harm: made here, byte by byte where the library would not make them, and refused with nothing left."""

import errno
import os
import stat
import struct
import zipfile
import zlib

import pytest

from timnet.archives import Limits, unpack
from timnet.errors import ArchiveError

ROOMY = Limits(n_entries=20, n_bytes=10**6, ratio=20)
NOISE = os.urandom(5000)  # does not deflate


@pytest.fixture
def archive(tmp_path):
    return tmp_path / "x.zip"


def make(archive, entries, method=zipfile.ZIP_DEFLATED):
    """An archive of (name or ZipInfo, bytes), also of what zipfile warns about."""
    with zipfile.ZipFile(archive, "w", method) as opened:
        for entry, data in entries:
            info = entry if isinstance(entry, zipfile.ZipInfo) else zipfile.ZipInfo(entry)
            info.compress_type = method
            opened.NameToInfo.pop(info.filename, None)  # else a name that is there twice is a warning
            opened.writestr(info, data)
    return archive


def unpacked(archive, limits=ROOMY):
    folder, shown = archive.with_name("out"), []
    unpack(archive, folder, limits, lambda *now: shown.append(now))
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return found, shown


def refused(archive, limits=ROOMY):
    """What is said of an archive that is refused; nothing of it is anywhere."""
    before = sorted(archive.parent.rglob("*"))
    with pytest.raises(ArchiveError) as caught:
        unpack(archive, archive.with_name("out"), limits, lambda *_: None)
    assert sorted(archive.parent.rglob("*")) == before
    assert "\n" not in str(caught.value)
    return str(caught.value)


def named(name):
    """An entry whose name is written as it is; zipfile's own class would mend it."""
    info = zipfile.ZipInfo("x")
    info.filename = name
    return info


def with_mode(name, mode):
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = mode << 16
    return info


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_files_come_out_as_they_went_in(archive, method):
    entries = [
        ("wav/", b""),
        ("wav/a.wav", NOISE),
        ("wav/ü.wav", b"x" * 3000),
        ("empty.txt", b""),
        ("d/e/f", NOISE[:9]),
    ]
    found, shown = unpacked(make(archive, entries, method))
    assert found == {name: data for name, data in entries if not name.endswith("/")}
    assert shown[-1] == (8009, 8009)


def test_nothing_can_be_executed_afterwards(archive):
    found, _ = unpacked(make(archive, [(with_mode("run.sh", stat.S_IFREG | 0o4755), b"#!/bin/sh\n")]))
    assert found == {"run.sh": b"#!/bin/sh\n"}
    assert archive.with_name("out").joinpath("run.sh").stat().st_mode & 0o7111 == 0


@pytest.mark.parametrize(
    "name",
    ["../x", "a/../../x", "a/..", "/x", "//x", "C:/x", "c:x", "C:\\x", "..\\x", "a\\b", "\\\\host\\share\\x"],
)
def test_a_path_that_leads_out(archive, name):
    said = refused(make(archive, [("good.wav", NOISE), (named(name), b"x")]))
    assert f"The archive holds {name!r}, which is refused: its path leads out of the folder." in said


@pytest.mark.parametrize("name", ["a//x", "./x", "a/./x", "x" * 256])
def test_a_path_with_an_odd_part(archive, name):
    assert "a part of its path is empty, a dot or too long" in refused(make(archive, [(named(name), b"x")]))


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[2Jb", "a\x7f"])
def test_a_name_that_would_play_with_the_terminal(archive, name):
    said = refused(make(archive, [(named(name), b"x")]))
    assert "its name holds control characters" in said
    assert name not in said


def test_a_name_that_ends_early_for_some(archive):
    data = make(archive, [("a.wavXexe", b"x")]).read_bytes()
    archive.write_bytes(data.replace(b"a.wavXexe", b"a.wav\0exe"))
    assert "its name holds control characters" in refused(archive)


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK])
def test_what_is_neither_file_nor_folder(archive, kind):
    said = refused(make(archive, [(with_mode("x", kind | 0o777), b"/etc/passwd")]))
    assert "it is a link or a device, not a file or folder" in said


def test_a_link_and_then_a_file_through_it(archive):
    entries = [(with_mode("a", stat.S_IFLNK | 0o777), b"/tmp"), ("a/x", b"x")]
    assert "it is a link" in refused(make(archive, entries))


@pytest.mark.parametrize("flag", [0x1, 0x40, 0x2000])
def test_what_is_encrypted(archive, flag):
    data = bytearray(make(archive, [("x", NOISE)]).read_bytes())
    at = data.rindex(b"PK\x01\x02")
    struct.pack_into("<H", data, at + 8, flag)
    archive.write_bytes(data)
    assert "it is encrypted" in refused(archive)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compressions_that_do_not_come_out_bit_by_bit(archive, method):
    assert f"its compression {method} is neither none (0) nor deflate (8)" in refused(
        make(archive, [("x", NOISE)], method)
    )


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["a/x", "a/x"], "holds 'a/x' twice"),
        (["a/x", "a/X"], "holds 'a/x' and 'a/X', which are one on many disks"),
        (["a/x", "A/y"], "holds 'a' and 'A', which are one on many disks"),
        (["\u00e9", "e\u0301"], "which are one on many disks"),
        (["straße", "STRASSE"], "which are one on many disks"),
        (["a", "a/x"], "holds 'a' both as a file and as a folder"),
        (["a/x", "a"], "holds 'a' both as a file and as a folder"),
    ],
)
def test_two_names_that_are_one(archive, names, text):
    assert text in refused(make(archive, [(name, b"x") for name in names]))


def test_too_many_entries(archive):
    many = make(archive, [(f"{i}", b"") for i in range(21)])
    assert "holds 21 entries; 20 are allowed" in refused(many)


def test_a_list_of_entries_that_is_too_large_is_not_even_read(archive):
    make(archive, [(f"{i:0200}", b"") for i in range(100)])
    assert "list of entries has" in refused(archive, Limits(20, 10**6, 20))


def test_the_larger_kind_of_archive(archive, monkeypatch):
    """ZIP64, which some programs write for small archives, too."""
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 0)
    make(archive, [("a", NOISE), ("b", b"b")])
    monkeypatch.undo()
    data = archive.read_bytes()
    assert b"PK\x06\x07" in data
    assert unpacked(archive)[0] == {"a": NOISE, "b": b"b"}
    at = data.index(b"PK\x06\x06")
    archive.with_name("out").rename(archive.with_name("before"))
    for place, text in ((32, "is no whole ZIP archive"), (40, "list of entries has")):
        changed = bytearray(data)
        struct.pack_into("<Q", changed, at + place, 10**9)
        archive.write_bytes(changed)
        assert text in refused(archive)


def test_too_many_bytes(archive):
    assert "would unpack to 10000 bytes; 9999 are allowed" in refused(
        make(archive, [("a", NOISE), ("b", NOISE)]), Limits(20, 9999, 20)
    )


def test_a_bomb(archive):
    said = refused(make(archive, [("x", bytes(900_000))]))
    assert "times its size; 20 times are allowed" in said


def test_a_bomb_of_entries_that_share_their_bytes(archive):
    """Every entry of the list points to the same data, so that a small archive has a large sum."""
    data = make(archive, [("0000", NOISE)]).read_bytes()
    first, end = data.index(b"PK\x01\x02"), data.rindex(b"PK\x05\x06")
    entry = data[first:end]
    listed = b"".join(entry.replace(b"0000", f"{i:04}".encode()) for i in range(200))
    tail = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 200, 200, len(listed), first, 0)
    archive.write_bytes(data[:first] + listed + tail)
    assert "times its size" in refused(archive, Limits(1000, 10**9, 20))


@pytest.mark.parametrize("claimed", [10, 4999])
@pytest.mark.parametrize(("more", "text"), [(0, "Bad CRC-32"), (1, "says that 'x' has")])
def test_a_header_that_says_less_than_comes_out(archive, claimed, more, text):
    """With the checksum of that beginning, or of one byte more: whoever stops at the stated size notices nothing."""
    data = bytearray(make(archive, [("x", NOISE)]).read_bytes())
    for signature, crc_at, size_at in ((b"PK\x01\x02", 16, 24), (b"PK\x03\x04", 14, 22)):
        at = data.index(signature)
        struct.pack_into("<I", data, at + crc_at, zlib.crc32(NOISE[: claimed + more]))
        struct.pack_into("<I", data, at + size_at, claimed)
    archive.write_bytes(data)
    if not more:
        with zipfile.ZipFile(archive) as opened:
            assert opened.read("x") == NOISE[:claimed]
    assert text in refused(archive)


def test_a_header_that_says_more_than_comes_out(archive):
    data = bytearray(make(archive, [("x", NOISE)]).read_bytes())
    struct.pack_into("<I", data, data.index(b"PK\x01\x02") + 24, 6000)
    archive.write_bytes(data)
    assert "says that 'x' has 6000 bytes, and it has 5000" in refused(archive)


def test_a_stored_entry_with_two_sizes(archive):
    data = bytearray(make(archive, [("x", NOISE)], zipfile.ZIP_STORED).read_bytes())
    struct.pack_into("<I", data, data.index(b"PK\x01\x02") + 24, 10)
    archive.write_bytes(data)
    assert "it says two sizes" in refused(archive)


def test_every_cut_of_an_archive_is_refused(archive):
    data = make(archive, [("a", NOISE), ("b", b"x" * 3000)]).read_bytes()
    for length in range(0, len(data), 97):
        archive.write_bytes(data[:length])
        assert "is no whole ZIP archive" in refused(archive)


def test_every_changed_byte_is_refused_or_harmless(archive):
    data = make(archive, [("a.wav", NOISE[:40]), ("b.wav", b"x" * 3000)]).read_bytes()
    n_refused = 0
    for at in range(len(data)):
        archive.write_bytes(data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :])
        folder = archive.with_name(f"out{at}")
        try:
            unpack(archive, folder, ROOMY, lambda *_: None)
        except ArchiveError:
            n_refused += 1
            assert not folder.exists()
        else:  # a date, a version, or a name
            assert sorted(path.read_bytes() for path in folder.iterdir()) == sorted([NOISE[:40], b"x" * 3000])
        assert {path.name for path in archive.parent.iterdir() if not path.name.startswith("out")} == {"x.zip"}
    assert n_refused > len(data) / 2


def test_a_web_page_is_no_archive(archive):
    archive.write_text("<!DOCTYPE html><title>Please log in</title>")
    assert "It begins with '<!DOCTYPE html><title>Please log in</tit'" in refused(archive)


def test_more_than_the_disk_has_room_for(archive):
    data = make(archive, [("00000", NOISE)]).read_bytes()
    first, end = data.index(b"PK\x01\x02"), data.rindex(b"PK\x05\x06")
    entry = bytearray(data[first:end])
    struct.pack_into("<I", entry, 24, 2**32 - 2)
    n = 5_000  # 20 TiB in all
    listed = b"".join(bytes(entry).replace(b"00000", f"{i:05}".encode()) for i in range(n))
    archive.write_bytes(
        data[:first] + listed + struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, n, n, len(listed), first, 0)
    )
    with pytest.raises(OSError, match="No space left") as caught:
        unpack(archive, archive.with_name("out"), Limits(n, 10**18, 10**9), lambda *_: None)
    assert caught.value.errno == errno.ENOSPC
    assert not archive.with_name("out").exists()
