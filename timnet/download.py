"""One file over HTTP, going on with what an interruption left, and never a mixture of two versions of the file.

Beside the file that is being written, `X.part`, lies `X.part.json` with what the server said of the version that these
bytes are of. The next request asks for the rest on the condition that it is still that version (Range and If-Range); a
server that has another one, or knows no ranges, sends all of it, and the file starts anew.
"""

import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from timnet import partial_file
from timnet.errors import DownloadError
from timnet.partial_file import Version

if TYPE_CHECKING:
    import httpx

MAX_RETRY_AFTER_S = 60.0  # however long a server asks us to stay away
_AGAIN = {408, 425, 429, 500, 502, 503, 504}  # refusals that pass


@dataclass(frozen=True)
class Patience:
    """For how long a server may be silent, and the waits between attempts; a new byte begins them anew."""

    silence_s: float = 30.0
    waits_s: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0, 16.0)


PATIENT = Patience()


class _AgainError(Exception):
    """This attempt has failed and another one may not."""

    def __init__(self, reason: str, wait_s: float = 0.0):
        super().__init__(reason)
        self.wait_s = wait_s


def download(
    url: str,
    part: Path,
    max_bytes: int,
    *,
    say: Callable[[str], None],
    progress: Callable[[int, int | None], None],
    patience: Patience = PATIENT,
) -> None:
    """Bring a file to `part`, which may hold its beginning. It is whole afterwards, and not verified.

    `progress` gets the bytes that are here and those of the whole, None where the server does not say. Raises
    DownloadError where the server refuses, stays away, or offers more than max_bytes; what came so far stays, for next
    time. OSError where the disk refuses.
    """
    import httpx

    check_url(url)
    best, failures = 0, 0
    with httpx.Client(
        follow_redirects=True, timeout=patience.silence_s, headers={"Accept-Encoding": "identity"}
    ) as client:
        while True:
            try:
                return _attempt(client, url, part, max_bytes, say, progress)
            except (httpx.UnsupportedProtocol, httpx.TooManyRedirects, httpx.InvalidURL) as error:
                raise DownloadError(f"{url} leads nowhere: {error}. Check the address.") from error
            except (httpx.TransportError, _AgainError) as error:
                reason = str(error).rstrip(".") or type(error).__name__
                here = partial_file.size(part)
                best, failures = max(best, here), 1 if here > best else failures + 1
                if failures > len(patience.waits_s):
                    raise DownloadError(
                        f"{url} cannot be fetched: {reason} ({failures} attempts in a row). {here} bytes are here. Give the "
                        "same command again later, and it goes on from there."
                    ) from error
                wait_s = max(patience.waits_s[failures - 1], getattr(error, "wait_s", 0.0))
                say(f"{reason}; trying again in {wait_s:g} s")
                time.sleep(wait_s)


def check_url(url: str) -> None:
    """Raises DownloadError for what is no address of a file on the web, or holds credentials, which would be shown."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        usable = False
    if not usable:
        raise DownloadError(f"{url!r} is no address to fetch from. Allowed are http://… and https://….")
    if parts.username or parts.password:
        raise DownloadError("An address with credentials in it is refused, as it would be stored and shown.")


def _attempt(
    client: "httpx.Client",
    url: str,
    part: Path,
    max_bytes: int,
    say: Callable[[str], None],
    progress: Callable[[int, int | None], None],
) -> None:
    start, begun = partial_file.begun(part, url)
    if begun and start == begun.n_bytes:
        return
    headers = {"Range": f"bytes={start}-", "If-Range": str(begun.validator)} if begun else {}
    with client.stream("GET", url, headers=headers) as answer:
        version = _version(answer, url)
        if begun and answer.status_code == 206 and _goes_on(answer, version, start, begun):
            say(f"going on at byte {start}")
        elif answer.status_code == 200:
            if begun:
                same = version.validator == begun.validator
                say(f"starting anew: {'the server knows no ranges' if same else 'the file on the server has changed'}")
            start = 0
        else:
            if answer.status_code in {206, 416}:  # of a range that makes no sense: ask without one
                partial_file.forget(part)
            _refuse(answer, url)
        _check_offer(answer, version, start, max_bytes, part)
        if start == 0:
            partial_file.forget(part)
            partial_file.note(part, version)
        _receive(answer, part, start, version, max_bytes, progress)
    validator = version.validator or (begun.validator if begun and start else None)
    partial_file.note(part, Version(url, validator, partial_file.size(part)))


def _version(answer: "httpx.Response", url: str) -> Version:
    etag = answer.headers.get("ETag")
    if etag is None or etag.startswith("W/"):  # a weak one may stay where bytes change
        etag = answer.headers.get("Last-Modified")
    if answer.status_code == 206:
        total = re.fullmatch(r"bytes \d+-\d+/(\d+)", answer.headers.get("Content-Range", ""))
        return Version(url, etag, int(total[1]) if total else None)
    length = answer.headers.get("Content-Length", "")
    return Version(url, etag, int(length) if length.isascii() and length.isdigit() else None)


def _goes_on(answer: "httpx.Response", version: Version, start: int, begun: Version) -> bool:
    """Whether a part is the one that was asked for; a server may not look at the condition."""
    found = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
    same = version.validator in {None, begun.validator} and begun.n_bytes in {None, version.n_bytes}
    return found is not None and int(found[1]) == start and same


def _refuse(answer: "httpx.Response", url: str) -> None:
    status = f"{answer.status_code} {answer.reason_phrase}".strip()
    if answer.status_code in _AGAIN | {206, 416}:
        asked = answer.headers.get("Retry-After", "")
        wait_s = float(asked) if asked.isascii() and asked.isdigit() else 0.0
        raise _AgainError(f"the server answers {status}", min(wait_s, MAX_RETRY_AFTER_S))
    raise DownloadError(
        f"{url}: the server answers {status}. Open the address in a browser to see why, or give another one with --url."
    )


def _check_offer(answer: "httpx.Response", version: Version, start: int, max_bytes: int, part: Path) -> None:
    """Raises DownloadError for an answer that is not worth to be read, and where the disk has no room for it."""
    if (encoding := answer.headers.get("Content-Encoding", "identity")) != "identity":
        raise DownloadError(f"{version.url}: the server sends the file as {encoding}, which was not asked for.")
    if version.n_bytes is None:
        return
    if version.n_bytes > max_bytes:
        raise DownloadError(_too_much(version.url, f"{version.n_bytes}", max_bytes))
    missing, free = version.n_bytes - start, shutil.disk_usage(part.parent).free
    if missing > free:
        raise DownloadError(
            f"{part.parent} has no room: {missing} bytes are missing and {free} are free. Make room and give the same "
            "command again."
        )


def _receive(
    answer: "httpx.Response",
    part: Path,
    start: int,
    version: Version,
    max_bytes: int,
    progress: Callable[[int, int | None], None],
) -> None:
    done = start
    progress(done, version.n_bytes)
    with part.open("ab") as file:
        for chunk in answer.iter_raw():  # as it comes: what a chunk size would hold back, a drop would lose
            done += len(chunk)
            if done > (max_bytes if version.n_bytes is None else version.n_bytes):
                raise DownloadError(_too_much(version.url, "more", max_bytes))
            file.write(chunk)
            file.flush()  # a kill may come at any moment, and what is here need not come again
            progress(done, version.n_bytes)
    if version.n_bytes is not None and done != version.n_bytes:
        raise _AgainError(f"the server has sent {done} of {version.n_bytes} bytes")


def _too_much(url: str, received: str, max_bytes: int) -> str:
    return (
        f"{url}: the server offers {received} bytes, and {max_bytes} are the most that it may be. It is another file."
    )
