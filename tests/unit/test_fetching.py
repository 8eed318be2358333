"""A corpus fetched from a server on loopback: whole and checked, or not there at all."""

import dataclasses
import hashlib
import io
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from functools import partial
from pathlib import Path

import emodb_archive
import pytest
from file_server import serving

from timnet import corpora
from timnet.corpora.base import Download
from timnet.download import Patience
from timnet.errors import ArchiveError, ConfigError, DownloadError
from timnet.fetching import fetch, limits_of, steps

EMODB, RAVDESS, SAVEE = (corpora.get(name) for name in ("EMODB", "RAVDESS", "SAVEE"))
FEW = emodb_archive.archive(
    {"wav/03a01Fa.wav": emodb_archive.recording(1), "wav/08a01Wa.wav": emodb_archive.recording(2)}
)
SMALL = dataclasses.replace(
    EMODB, counts=dict.fromkeys(EMODB.labels, 0) | {"happy": 1, "angry": 1}
)  # of which FEW is all
WHOLE = emodb_archive.recordings()
HASTY = Patience(silence_s=5.0, waits_s=())


pytestmark = pytest.mark.usefixtures("no_proxy")


@pytest.fixture
def root(tmp_path):
    return tmp_path / "data" / "root"  # not there yet


def fetched(server, root, corpus=SMALL):
    return fetch(corpus, str(root), url=server.url, say=lambda _: None, progress=lambda *_: None, patience=HASTY)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# -- one process ------------------------------------------------------------------------------------------------------


def test_what_the_archive_holds_is_there_and_nothing_else(root):
    with serving(FEW) as server:
        assert fetched(server, root) == root / "EMODB"
    assert names(root) == ["EMODB"]
    assert names(root / "EMODB") == ["erkennung.txt", "lablaut", "wav"]
    assert [u.speaker for u in EMODB.find(corpora.locate(EMODB, str(root))).utterances] == ["03", "08"]


@pytest.mark.parametrize("folder", ["EMODB", "emodb"])
def test_a_folder_that_is_there_is_not_touched(root, folder):
    (root / folder).mkdir(parents=True)
    (root / folder / "mine.txt").write_text("mine")
    with (
        serving(FEW) as server,
        pytest.raises(ConfigError, match=f"{folder} is there already and is not touched") as caught,
    ):
        fetched(server, root)
    assert "timnet corpora check EMODB --data-root" in str(caught.value)
    assert server.asked == []
    assert (root / folder / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("stated", "text"),
    [
        ({"n_bytes": len(FEW) + 1}, f"What came has {len(FEW)} bytes, and EMODB's archive has {len(FEW) + 1}"),
        ({"n_bytes": len(FEW), "md5": "0" * 32}, f"What came has the MD5 {hashlib.md5(FEW).hexdigest()}, and EMODB's"),
        ({"md5": "0" * 32}, "and EMODB's archive has 00000000000000000000000000000000. It is another file"),
    ],
    ids=["size", "size-and-md5", "md5"],  # an archive made anew has another MD5
)
def test_what_the_publisher_states_is_compared(root, stated, text):
    corpus = dataclasses.replace(SMALL, download=Download(EMODB.download.url, **stated))
    with serving(FEW) as server, pytest.raises(DownloadError) as caught:
        fetched(server, root, corpus)
    assert text in str(caught.value)
    assert names(root) == []


def test_what_the_publisher_states_is_right(root):
    right = Download(EMODB.download.url, n_bytes=len(FEW), md5=hashlib.md5(FEW).hexdigest())
    with serving(FEW) as server:
        fetched(server, root, dataclasses.replace(SMALL, download=right))
    assert names(root) == ["EMODB"]


def test_another_file_than_ravdess_is_refused_before_it_is_read(root):
    said = "offers 208468074 bytes, and 208468073 are the most"
    with (
        serving(b"", states_size=False, headers={"Content-Length": "208468074"}) as server,
        pytest.raises(DownloadError, match=said),
    ):
        fetched(server, root, RAVDESS)
    assert names(root) == []


def test_an_archive_that_harms_leaves_nothing(root):
    hostile = emodb_archive.archive({"wav/03a01Fa.wav": b"x", "../../escaped.wav": b"x"})
    with serving(hostile) as server, pytest.raises(ArchiveError) as caught:
        fetched(server, root)
    assert "'../../escaped.wav', which is refused: its path leads out of the folder. Nothing of it was kept." in str(
        caught.value
    )
    assert f"download {EMODB.download.url} yourself, look at it, and unpack it into {root}/EMODB" in str(caught.value)
    assert names(root) == []
    assert not list(root.parent.parent.rglob("escaped*"))


@pytest.mark.parametrize(
    ("files", "text"),
    [
        ({}, "it holds 0 recordings of angry instead of 1, 0 recordings of happy instead of 1."),
        ({"wav/03a01Fa.wav": b"x"}, "it holds 0 recordings of angry instead of 1."),
        ({f"wav/03a01{code}.wav": b"x" for code in ("Fa", "Wa", "Wb")}, "it holds 2 recordings of angry instead of 1."),
        ({"wav/03a01Fa.wav": b"x", "wav/song.wav": b"x"}, "it holds 0 recordings of angry instead of 1. wav/song.wav: its name does not follow the rule."),
    ],
)  # fmt: skip
def test_an_archive_of_something_else_leaves_nothing(root, files, text):
    with serving(emodb_archive.archive(files)) as server:
        with pytest.raises(ArchiveError) as caught:
            fetched(server, root)
        assert f"The archive is not all of EMODB: {text}" in str(caught.value)
        assert "Nothing of it was kept." in str(caught.value)
        assert os.listdir(root) == []
        server.data = FEW
        fetched(server, root)  # and the next one can come
    assert os.listdir(root) == ["EMODB"]


def test_an_empty_archive_leaves_nothing(root):
    empty = io.BytesIO()
    zipfile.ZipFile(empty, "w").close()
    with serving(empty.getvalue()) as server, pytest.raises(ArchiveError, match="it holds 0 recordings of angry"):
        fetched(server, root)
    assert os.listdir(root) == []


def test_a_page_instead_of_the_archive(root):
    with (
        serving(b"<html>moved</html>") as server,
        pytest.raises(ArchiveError, match="It begins with '<html>moved</html>'"),
    ):
        fetched(server, root)
    assert names(root) == []


def test_what_is_left_of_a_killed_process_does_not_matter(root):
    half = root / ".EMODB.unpacking" / "wav"
    half.mkdir(parents=True)
    (half / "03a01Fa.wav").write_bytes(b"half")
    with serving(FEW) as server:
        fetched(server, root)
    assert os.listdir(root) == ["EMODB"]
    assert (root / "EMODB/wav/03a01Fa.wav").read_bytes() == emodb_archive.recording(1)


def test_two_at_once(root):
    with serving(FEW, pause_after=0) as server:
        first = threading.Thread(target=fetched, args=(server, root))
        first.start()
        while not server.asked:
            time.sleep(0.01)
        with pytest.raises(DownloadError, match="Another process is fetching into"):
            fetched(server, root)
        server.resume.set()
        first.join()
    assert names(root) == ["EMODB"]
    assert len(server.asked) == 1


def test_no_room_is_said_before_anything_is_asked(root):
    huge = dataclasses.replace(SMALL, download=Download(EMODB.download.url, n_bytes=10**15))
    with (
        serving(FEW) as server,
        pytest.raises(DownloadError, match="has no room: about 4000000000000000 bytes are needed"),
    ):
        fetched(server, root, huge)
    assert server.asked == []


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with serving(FEW) as server:
        with pytest.raises(ConfigError, match="is not a folder"):
            fetched(server, tmp_path / "file")
        with pytest.raises(DownloadError, match="Not a directory"):
            fetched(server, tmp_path / "file" / "below")
    with pytest.raises(ConfigError, match="corpora are put together on a disk"):
        fetch(EMODB, "s3://bucket/x", say=print, progress=print)


def test_limits_are_far_from_what_is_known():
    """EMODB's recordings are 47 647 178 bytes; most of RAVDESS's are shorter than 5 s, at 48 kHz and 16 bit."""
    assert limits_of(EMODB).n_bytes > 5 * 47_647_178
    assert limits_of(RAVDESS).n_bytes > 2 * 1440 * 5 * 96_000
    assert limits_of(EMODB).n_entries == 8 * 535


@pytest.mark.parametrize("name", [name for name in corpora.names() if not corpora.get(name).synthetic])
def test_the_steps_end_with_where_it_belongs_and_its_check(name):
    corpus = corpora.get(name)
    found = steps(corpus, "/data")
    assert len(found) >= 3
    assert f"/data/{name}/{corpus.example.split(' ')[0]}" in found[-2]
    assert found[-1] == f"timnet corpora check {name} --data-root /data"


# -- the command ------------------------------------------------------------------------------------------------------


@pytest.fixture
def run(timnet_command):
    return partial(timnet_command, "corpora", "fetch")


def start(*arguments):
    """The command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "flows.main", "corpora", "fetch", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).resolve().parents[2],
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def test_a_whole_corpus_is_fetched_and_checked(root, run):
    with serving(emodb_archive.archive(WHOLE)) as server:
        status, out, err = run("EMODB", "--data-root", root, "--url", server.url)
    assert status == 0, err
    lines = out.splitlines()
    assert lines[:3] == [
        f"EMODB: {EMODB.title}",
        "  licence: CC0",
        f"  from: {server.url}, size not stated",
    ]
    assert "Fetched: the publisher states no checksum; now every recording is decoded and counted." in lines
    assert f"EMODB in {root}/EMODB: 535 recordings that can be used, 0.02 h" in lines
    assert lines[-1] == "Nothing is wrong with it."


def test_recordings_that_are_broken_are_said_by_the_check(root, run):
    with serving(emodb_archive.archive({**WHOLE, "wav/03a01Fa.wav": b"broken"})) as server:
        status, out, _ = run("EMODB", "--data-root", root, "--url", server.url)
    assert status == 1
    assert "problem: wav/03a01Fa.wav cannot be read as audio" in out


def test_another_archive_is_no_corpus(root, run):
    with serving(FEW) as server:
        status, _, err = run("EMODB", "--data-root", root, "--url", server.url)
    assert status == 2
    assert "The archive is not all of EMODB: it holds 1 recordings of angry instead of 127, " in err
    assert os.listdir(root) == []


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_in_the_middle_and_the_same_command_goes_on(root, run, number, status):
    part = root / "EMODB.zip.part"
    data = emodb_archive.archive(WHOLE)
    with serving(data, pause_after=40_000) as server:
        process = start("EMODB", "--data-root", root, "--url", server.url)
        while not (part.exists() and part.stat().st_size == 40_000):
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
        assert process.returncode == status
        assert err.endswith("timnet: interrupted. The same command goes on from what was downloaded.\n")
        assert "Traceback" not in err
        assert names(root) == ["EMODB.zip.part", "EMODB.zip.part.json"]

        server.pause_after = None
        _, _, err = run("EMODB", "--data-root", root, "--url", server.url)
        assert "going on at byte 40000" in err
        assert server.asked == [None, "bytes=40000-"]
        assert sum(server.sent) == len(data)
    assert names(root) == ["EMODB"]
    assert (root / "EMODB" / "wav" / "03a01Fa.wav").read_bytes() == WHOLE["wav/03a01Fa.wav"]


def test_a_licence_is_accepted_by_the_user(root, run):
    status, out, err = run("RAVDESS", "--data-root", root)
    assert status == 2
    assert "  licence: CC BY-NC-SA 4.0 (no commercial use" in out
    assert "208 MB" in out
    assert "Give --accept-licence if you accept that." in err
    assert not root.exists()
    with serving(FEW) as server:
        status, _, err = run("RAVDESS", "--data-root", root, "--url", server.url, "--accept-licence")
    assert status == 2
    assert f"timnet: What came has {len(FEW)} bytes, and RAVDESS's archive has 208468073." in err
    assert names(root) == []


def test_what_cannot_be_fetched_says_how_to_get_it(root, run):
    status, out, err = run("SAVEE", "--data-root", root)
    assert status == 2
    assert "    1. Open http://kahlan.eps.surrey.ac.uk/savee/Download.html and register." in out
    assert f"so that {root}/SAVEE/AudioData/DC/sa01.wav is there." in out
    assert err == (
        "timnet: SAVEE cannot be fetched by a program: registration with the University of Surrey. `timnet corpora list` "
        "has the steps to get it.\n"
    )
    assert not root.exists()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["DEMO"], "DEMO is made by the program when a run needs it: there is nothing to fetch"),
        (["mine"], "There is no built-in corpus 'mine'; allowed are CASIA"),
        (["EMODB", "--url", "ftp://x/y.zip"], "'ftp://x/y.zip' is no address to fetch from"),
        (["EMODB", "--url", "http://u:p@x/y.zip"], "credentials in it is refused"),
    ],
)
def test_wrong_use_is_one_line(root, run, arguments, text):
    status, out, err = run(*arguments, "--data-root", root)
    assert status == 2
    assert text in err
    assert err.count("\n") == 1
    assert "u:p" not in out + err
    assert not root.exists()
