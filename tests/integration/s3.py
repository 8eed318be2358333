"""A real S3 server on loopback, rclone's: it comes with the development tools and keeps every bucket as a folder."""

import os
import re
import secrets
import select
import socket
import socketserver
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import s3fs
from tiny import until

from timnet.store import Store

BUCKET = "results"


@dataclass
class Server:
    """`rclone serve s3`, which can be killed and started again on its port, with what it holds."""

    folder: Path
    port: int
    key_id: str = field(default_factory=lambda: f"TESTKEY{secrets.token_hex(8).upper()}")
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(30))
    process: subprocess.Popen | None = None

    @property
    def bucket(self) -> Path:
        return self.folder / BUCKET

    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ACCESS_KEY_ID": self.key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_REGION": "eu-test-1",
        }

    def start(self) -> None:
        command = [str(Path(sys.executable).with_name("rclone")), "serve", "s3", "--config", ""]
        self.process = subprocess.Popen(
            [*command, "--addr", f"127.0.0.1:{self.port}", str(self.folder)],
            env={**os.environ, "RCLONE_AUTH_KEY": f'"{self.key_id},{self.secret}"'},
            stderr=subprocess.DEVNULL,
        )
        until(self.answers, 30)

    def answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, "the S3 server has ended"
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self) -> None:
        """As a power cut would: nothing is finished or answered any more."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("s3"), free_port())
    server.bucket.mkdir()
    server.start()
    yield server
    server.kill()


@pytest.fixture
def s3(s3_server, monkeypatch):
    """The server, up, with its endpoint and credentials in the environment as a user has them."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    forget_sessions()
    yield s3_server
    forget_sessions()
    if s3_server.process.poll() is not None:
        s3_server.start()


def forget_sessions() -> None:
    """A session keeps the credentials that it was made with."""
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture
def store(s3, request) -> Store:
    """A store of the test's own."""
    return Store(f"s3://{BUCKET}/{re.sub('[^a-z0-9]+', '-', request.node.name.lower())}")


def put(recordings: Path, store: Store) -> None:
    for path in recordings.rglob("*.wav"):
        store.write_bytes(path.relative_to(recordings).as_posix(), path.read_bytes())


class Wire(socketserver.ThreadingTCPServer):
    """A relay in front of the server that notes the head of every request, and can cut an answer off in its middle."""

    daemon_threads = True

    def __init__(self, server: Server):
        super().__init__(("127.0.0.1", 0), _Relay)
        self.behind = server
        self.port = self.server_address[1]
        self.heads: list[str] = []
        self.cut_next_answer = False


class _Relay(socketserver.BaseRequestHandler):
    server: Wire

    def handle(self) -> None:
        with socket.create_connection(("127.0.0.1", self.server.behind.port)) as behind, suppress(OSError):
            while True:
                for source in select.select([self.request, behind], [], [])[0]:
                    data = source.recv(1 << 16)
                    if not data:
                        return
                    if source is behind:
                        if self.server.cut_next_answer and data.startswith(b"HTTP/1.1 200"):
                            self.server.cut_next_answer = False
                            self.request.sendall(data[: len(data) // 2])
                            return
                        self.request.sendall(data)
                    else:
                        if data.startswith((b"GET ", b"PUT ", b"HEAD ", b"POST ", b"DELETE ")):
                            self.server.heads.append(data.partition(b"\r\n\r\n")[0].decode())
                        behind.sendall(data)


@contextmanager
def wire(server: Server):
    """A relay that is up inside the block."""
    with Wire(server) as relay:
        threading.Thread(target=relay.serve_forever, kwargs={"poll_interval": 0.05}).start()
        try:
            yield relay
        finally:
            relay.shutdown()
