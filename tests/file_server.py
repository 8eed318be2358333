"""A real web server on loopback that serves one file as servers on the net do: well, badly, or changed meanwhile."""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CHUNK_BYTES = 5000


@dataclass
class FileServer:
    """How the file is served; a test may change all of it between two requests."""

    data: bytes
    etag: str | None = '"one"'
    last_modified: str | None = None
    ranges: bool = True
    looks_at_conditions: bool = True  # If-Range
    states_size: bool = True
    drops_after: list[int] = field(default_factory=list)  # a request each: close the connection after so many bytes
    answers: list[int] = field(default_factory=list)  # a request each: a status instead of the file
    headers: dict[str, str] = field(default_factory=dict)  # more of them
    pause_after: int | None = None  # bytes, and then silence until `resume` is set
    resume: threading.Event = field(default_factory=threading.Event)
    seconds_a_chunk: float = 0.0
    redirects_to: str | None = None
    port: int = 0

    # What came of it, a request each
    asked: list[str | None] = field(default_factory=list)  # the header Range
    sent: list[int] = field(default_factory=list)  # bytes of the file

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/corpus.zip"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Server"

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        served = self.server.served
        number = len(served.sent)
        served.asked.append(self.headers.get("Range"))
        served.sent.append(0)
        self.close_connection = True
        if self.path == "/moved":
            self._start(302, {"Location": served.redirects_to or served.url, "Content-Length": "0"})
            return
        if number < len(served.answers) and served.answers[number] != 200:
            self._start(served.answers[number], {"Content-Length": "0", **served.headers})
            return
        first = self._first_byte(served)
        body = served.data[first or 0 :]
        headers = {"ETag": served.etag, "Last-Modified": served.last_modified, **served.headers}
        if served.states_size:
            headers["Content-Length"] = str(len(body))
        if first is not None:
            headers["Content-Range"] = f"bytes {first}-{len(served.data) - 1}/{len(served.data)}"
        self._start(200 if first is None else 206, headers)
        limit = served.drops_after[number] if number < len(served.drops_after) else len(body)
        for at in range(0, min(limit, len(body)), CHUNK_BYTES):
            chunk = body[at : min(at + CHUNK_BYTES, limit)]
            if served.pause_after is not None and sum(served.sent) >= served.pause_after:
                served.resume.wait(60)
            time.sleep(served.seconds_a_chunk)
            try:
                self.wfile.write(chunk)
            except OSError:  # the other side has gone
                return
            served.sent[number] += len(chunk)

    def _first_byte(self, served: FileServer) -> int | None:
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if not asked or not served.ranges:
            return None
        condition = self.headers.get("If-Range")
        if served.looks_at_conditions and condition not in {None, served.etag, served.last_modified}:
            return None
        return int(asked[1])

    def _start(self, status: int, headers: dict[str, str | None]) -> None:
        self.send_response(status)
        self.send_header("Connection", "close")
        for name, value in headers.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    served: FileServer


@contextmanager
def serving(data: bytes, **how: object) -> Iterator[FileServer]:
    """Serve a file until the block ends."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.served = FileServer(data, port=server.server_address[1], **how)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server.served
        finally:
            server.served.resume.set()
            server.shutdown()
            thread.join()
