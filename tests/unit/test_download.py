"""Files over HTTP from a real server that behaves, drops, changes, pauses and lies."""

import json
import random

import pytest
from file_server import serving

from timnet.download import Patience, check_url, download
from timnet.errors import DownloadError

DATA = random.Random(7).randbytes(300_000)
OTHER = random.Random(8).randbytes(310_000)
QUICK = Patience(silence_s=5.0, waits_s=(0.0, 0.0, 0.0))


pytestmark = pytest.mark.usefixtures("no_proxy")


@pytest.fixture
def part(tmp_path):
    return tmp_path / "X.zip.part"


def fetch(server, part, *, url=None, max_bytes=10**6, patience=QUICK):
    """Download, and return what was said and the last that was shown."""
    said, shown = [], []
    download(
        url or server.url, part, max_bytes, say=said.append, progress=lambda *now: shown.append(now), patience=patience
    )
    return said, shown


def fetch_in_vain(server, part, **how):
    with pytest.raises(DownloadError) as caught:
        fetch(server, part, **how)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_whole_file(part):
    with serving(DATA) as server:
        said, shown = fetch(server, part)
    assert part.read_bytes() == DATA
    assert said == []
    assert shown[0] == (0, len(DATA))
    assert shown[-1] == (len(DATA), len(DATA))
    assert [done for done, _ in shown] == sorted(done for done, _ in shown)


def test_a_file_whose_size_is_not_stated(part):
    with serving(DATA, states_size=False) as server:
        _, shown = fetch(server, part)
        fetch(server, part)  # and a second time there is nothing to be fetched
    assert part.read_bytes() == DATA
    assert shown[-1] == (len(DATA), None)
    assert sum(server.sent) == len(DATA)


@pytest.mark.parametrize("version", [{}, {"etag": None, "last_modified": "Mon, 02 Jan 2023 00:00:00 GMT"}])
def test_a_dropped_connection_is_gone_on_with_and_nothing_comes_twice(part, version):
    with serving(DATA, drops_after=[100_000, 50_000], **version) as server:
        said, _ = fetch(server, part)
    assert part.read_bytes() == DATA
    assert server.asked == [None, "bytes=100000-", "bytes=150000-"]
    assert sum(server.sent) == len(DATA)
    assert "going on at byte 100000" in said


def test_a_begun_file_is_gone_on_with_by_another_call(part):
    with serving(DATA, drops_after=[120_000]) as server:
        assert "120000 bytes are here" in fetch_in_vain(server, part, patience=Patience(5.0, ()))
        fetch(server, part)
    assert part.read_bytes() == DATA
    assert server.sent == [120_000, 180_000]


@pytest.mark.parametrize("looks", [True, False])
def test_a_file_that_has_changed_starts_anew(part, looks):
    """Also where the server sends a range of the new file without looking whether that is still the old one."""
    with serving(DATA, drops_after=[120_000], looks_at_conditions=looks) as server:
        fetch_in_vain(server, part, patience=Patience(5.0, ()))
        server.data, server.etag = OTHER, '"two"'
        said, _ = fetch(server, part)
    assert part.read_bytes() == OTHER
    if looks:
        assert said == ["starting anew: the file on the server has changed"]


def test_a_file_that_has_changed_in_the_middle_of_one_call_starts_anew(part):
    with serving(DATA, drops_after=[120_000]) as server:

        def change(text):
            if "trying again" in text:
                server.data, server.etag = OTHER, '"two"'

        download(server.url, part, 10**6, say=change, progress=lambda *_: None, patience=QUICK)
    assert part.read_bytes() == OTHER


def test_a_server_without_ranges_sends_all_of_it_again(part):
    with serving(DATA, ranges=False, drops_after=[120_000]) as server:
        said, _ = fetch(server, part)
    assert part.read_bytes() == DATA
    assert server.sent == [120_000, 300_000]
    assert "starting anew: the server knows no ranges" in said


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_without_a_version_nothing_is_gone_on_with(part, etag):
    with serving(DATA, etag=etag, drops_after=[120_000]) as server:
        fetch(server, part)
    assert part.read_bytes() == DATA
    assert server.asked == [None, None]


def test_bytes_of_another_address_are_not_gone_on_with(part):
    with serving(OTHER, drops_after=[120_000]) as other:
        fetch_in_vain(other, part, patience=Patience(5.0, ()))
    with serving(DATA) as server:
        fetch(server, part)
    assert part.read_bytes() == DATA
    assert server.asked == [None]


@pytest.mark.parametrize(
    "notes", ["", "{", "[]", '{"url": 1}', '{"url": "u", "validator": "v", "n_bytes": 7, "more": 1}']
)
def test_notes_that_cannot_be_read_start_anew(part, notes):
    part.write_bytes(b"something")
    part.with_name("X.zip.part.json").write_text(notes)
    with serving(DATA) as server:
        fetch(server, part)
    assert part.read_bytes() == DATA


def test_more_bytes_than_the_file_has_start_anew(part):
    part.write_bytes(OTHER)
    with serving(DATA) as server:
        notes = {"url": server.url, "validator": '"one"', "n_bytes": None}
        part.with_name("X.zip.part.json").write_text(json.dumps(notes))
        server.answers = [416]  # as a server answers that has no such bytes
        fetch(server, part)
    assert part.read_bytes() == DATA
    assert server.asked == ["bytes=310000-", None]


def test_a_server_that_falls_silent_is_asked_again(part):
    with serving(DATA, pause_after=100_000) as server:

        def wake(text):
            server.pause_after = None

        download(server.url, part, 10**6, say=wake, progress=lambda *_: None, patience=Patience(0.3, (0.0,)))
    assert part.read_bytes() == DATA
    assert len(server.asked) == 2


def test_a_slow_server_is_waited_for(part):
    with serving(DATA[:50_000], seconds_a_chunk=0.02) as server:
        fetch(server, part, patience=Patience(5.0, ()))
    assert part.read_bytes() == DATA[:50_000]
    assert server.asked == [None]


def test_a_busy_server_is_asked_again(part):
    with serving(DATA, answers=[503, 429, 200], headers={"Retry-After": "0"}) as server:
        said, _ = fetch(server, part)
    assert part.read_bytes() == DATA
    assert said[:2] == [
        "the server answers 503 Service Unavailable; trying again in 0 s",
        "the server answers 429 Too Many Requests; trying again in 0 s",
    ]


def test_patience_ends_where_no_byte_comes(part):
    with serving(DATA, answers=[503] * 9) as server:
        said = fetch_in_vain(server, part)
    assert (
        "cannot be fetched: the server answers 503 Service Unavailable (4 attempts in a row). 0 bytes are here" in said
    )
    assert "Give the same command again later" in said
    assert len(server.asked) == 4


def test_patience_is_new_with_every_byte(part):
    with serving(DATA, drops_after=[10_000] * 20) as server:
        fetch(server, part)
    assert part.read_bytes() == DATA
    assert sum(server.sent) == len(DATA)


@pytest.mark.parametrize("status", [403, 404])
def test_a_refusal_is_not_asked_again(part, status):
    with serving(DATA, answers=[status]) as server:
        said = fetch_in_vain(server, part)
    assert f"the server answers {status}" in said
    assert "give another one with --url" in said
    assert len(server.asked) == 1


def test_nobody_there(part):
    with serving(DATA) as server:
        pass
    assert "Connection refused" in fetch_in_vain(server, part)


def test_more_than_is_allowed_is_not_read(part):
    with serving(DATA) as server:
        said = fetch_in_vain(server, part, max_bytes=1000)
        assert "offers 300000 bytes, and 1000 are the most" in said
        server.states_size = False
        assert "offers more bytes, and 150000 are the most" in fetch_in_vain(server, part, max_bytes=150_000)
    assert part.stat().st_size <= 150_000


def test_a_file_larger_than_the_disk(part):
    with serving(DATA, headers={"Content-Length": str(10**16)}, states_size=False) as server:
        said = fetch_in_vain(server, part, max_bytes=10**17)
    assert f"{10**16} bytes are missing" in said
    assert "Make room and give the same command again" in said


def test_a_file_in_another_encoding(part):
    with serving(DATA, headers={"Content-Encoding": "gzip"}) as server:
        assert "sends the file as gzip" in fetch_in_vain(server, part)


def test_redirections_are_followed_to_web_addresses_only(part):
    with serving(DATA) as server:
        moved = server.url.replace("corpus.zip", "moved")
        fetch(server, part, url=moved)
        assert part.read_bytes() == DATA
        for wrong in ("ftp://127.0.0.1/x", "file:///etc/passwd", moved):
            server.redirects_to = wrong
            part.unlink(missing_ok=True)
            assert "leads nowhere" in fetch_in_vain(server, part, url=moved)


@pytest.mark.parametrize("url", ["", "x", "ftp://host/x", "file:///x", "http://", "http:///x", "http://[::1/x"])
def test_what_is_no_address(url):
    with pytest.raises(DownloadError, match="is no address to fetch from"):
        check_url(url)


def test_an_address_with_a_password_is_not_repeated():
    with pytest.raises(DownloadError, match="credentials in it is refused") as caught:
        check_url("http://me:secret@host/x.zip")
    assert "secret" not in str(caught.value)
