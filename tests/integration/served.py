"""A Prefect server, its deployments and a worker, as a user starts them, in processes of their own."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tiny import until

ROOT = Path(__file__).resolve().parents[2]
ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


@dataclass
class Prefect:
    """The commands of a user in the repository's folder, with a Prefect of their own, on loopback."""

    home: Path
    port: int
    started: list[subprocess.Popen] = field(default_factory=list)
    server: subprocess.Popen | None = None

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "TIMNET_"))}
        return kept | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PREFECT_HOME": str(self.home),
            "PREFECT_PROFILES_PATH": str(self.home / "profiles.toml"),
            "PREFECT_API_URL": f"http://127.0.0.1:{self.port}/api",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "COLUMNS": "300",
        }

    def run(self, *arguments: str) -> str:
        done = subprocess.run(
            ["prefect", "--no-prompt", *arguments],
            cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, f"prefect {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def start(self, *arguments: str, **more: str) -> subprocess.Popen:
        with (self.home / f"{arguments[0]}.log").open("w") as log:
            process = subprocess.Popen(
                ["prefect", "--no-prompt", *arguments],
                cwd=ROOT, env=self.environment | more, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
                # As for the commands in tiny.py: started in the background, this process may ignore Ctrl-C.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )  # fmt: skip
        self.started.append(process)
        return process

    def log(self, of: str) -> str:
        return (self.home / f"{of}.log").read_text()

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        request = urllib.request.Request(
            f"{self.environment['PREFECT_API_URL']}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def serve(self) -> subprocess.Popen:
        """Start the server, and wait until it answers."""
        server = self.start("server", "start", "--host", "127.0.0.1", "--port", str(self.port))
        until(lambda: self.is_up() or server.poll() is not None, 120)
        assert server.poll() is None, self.log("server")
        self.server = server
        return server

    def lose_server(self) -> None:
        """As a power cut would."""
        assert self.server is not None
        os.killpg(self.server.pid, signal.SIGKILL)
        self.server.wait()
        assert not self.is_up()

    def is_up(self) -> bool:
        try:
            return self.ask("/health") is True
        except OSError:
            return False

    def begin(self, deployment: str, **settings: Any) -> str:
        """Start a run by its deployment's name; returns the run's id."""
        given = ["--param", f"settings={json.dumps(settings)}"] if settings else []
        said = self.run("deployment", "run", deployment, *given)
        return said.rpartition("/flow-run/")[2].split()[0]

    def ended(self, run: str) -> dict[str, Any]:
        """The flow run, once it is over."""

        def over() -> dict[str, Any] | None:
            found = self.ask(f"/flow_runs/{run}")
            return found if found["state"]["type"] in ENDED else None

        return until(over, 280)

    def stop(self) -> None:
        for process in reversed(self.started):
            if process.poll() is not None:
                continue
            process.send_signal(signal.SIGINT)  # what Ctrl-C at its terminal does
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@pytest.fixture(scope="module")
def prefect(tmp_path_factory, recordings) -> Iterator[Prefect]:
    """A server, deployments and a worker that knows where the recordings and the store are."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    prefect = Prefect(tmp_path_factory.mktemp("deployment"), port)
    try:
        prefect.serve()
        prefect.run("work-pool", "create", "timnet", "--type", "process")
        prefect.run("deploy", "--all")
        places = {"TIMNET_DATA_ROOT": str(recordings), "TIMNET_STORE": str(prefect.home / "store")}
        prefect.start("worker", "start", "--pool", "timnet", **places)
        yield prefect
    finally:
        prefect.stop()
