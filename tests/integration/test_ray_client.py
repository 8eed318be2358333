"""A cluster as its users start it, by `ray start` with a token, joined from outside as ray:// and on its node as auto."""

import os
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from s3 import free_port
from tiny import SETTINGS, of_ray, predictions, until

pytestmark = [pytest.mark.ray, pytest.mark.prefect, pytest.mark.slow]

NODES = 2


@dataclass
class Started:
    """Processes of `ray start --block`, each with a node; their folder has a short path, as Ray's sockets need."""

    folder: Path
    port: int = field(default_factory=free_port)
    client_port: int = field(default_factory=free_port)
    token: str = field(default_factory=lambda: secrets.token_hex(32))
    nodes: list[subprocess.Popen] = field(default_factory=list)

    @property
    def variables(self) -> dict[str, str]:
        """What its drivers need, too."""
        return {"RAY_TMPDIR": str(self.folder), "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.token}

    @property
    def as_client(self) -> str:
        return f"ray://127.0.0.1:{self.client_port}"

    def start(self, *arguments: str) -> None:
        """Start a node, and wait until the cluster has it."""
        ray = Path(sys.executable).with_name("ray")
        said = self.folder / f"node{len(self.nodes)}.log"
        with said.open("w") as log:
            node = subprocess.Popen(
                [ray, "start", "--block", "--num-gpus=1", "--disable-usage-stats", *arguments],
                env=os.environ | self.variables | {"GRPC_ENABLE_FORK_SUPPORT": "0"},  # see docs/cluster.md
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        self.nodes.append(node)
        until(lambda: "Ray runtime started" in said.read_text() or node.poll() is not None)
        assert node.poll() is None, said.read_text()

    def n_raylets(self) -> int:
        return sum(b"/raylet/raylet" in title for title in of_ray(self.folder))

    def trainers(self) -> list[bytes]:
        return [title for title in of_ray(self.folder) if title.startswith(b"ray::FoldTrainer")]

    def stop(self) -> None:
        for node in reversed(self.nodes):
            node.send_signal(signal.SIGTERM)
            try:
                node.wait(45)  # Ray drains a node first
            except subprocess.TimeoutExpired:
                os.killpg(node.pid, signal.SIGKILL)
                node.wait()


@pytest.fixture(scope="module")
def started() -> Iterator[Started]:
    """A head that only schedules, and two nodes with a CPU and a GPU each that is none."""
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        cluster = Started(Path(folder))
        try:
            cluster.start(
                "--head", "--num-cpus=0", "--num-gpus=0", f"--port={cluster.port}", "--include-dashboard=false",
                f"--ray-client-server-port={cluster.client_port}",
            )  # fmt: skip
            for _ in range(NODES):
                cluster.start("--num-cpus=1", f"--address=127.0.0.1:{cluster.port}")
            yield cluster
        finally:
            cluster.stop()
            until(lambda: not of_ray(cluster.folder), 60)


@pytest.fixture
def driver(started, monkeypatch):
    """This process's environment as that of a driver."""
    for name, value in started.variables.items():
        monkeypatch.setenv(name, value)


@pytest.mark.timeout(600)  # two whole runs, on a busy machine
def test_a_driver_outside_that_is_killed_leaves_nothing_at_work_and_can_be_gone_on_with(
    started, driver, finished, command, recordings, tmp_path
):
    arguments = (
        "--ray-address", started.as_client, "--data-root", str(recordings), "--store", str(tmp_path), *SETTINGS,
        "--gpus-per-fold", "0.5",
    )  # fmt: skip
    running = command.start(*arguments)
    until(lambda: list(tmp_path.glob("trained/*/*/checkpoint.npz")) or running.process.poll() is not None, 200)
    assert running.process.poll() is None, running.end(1).stderr
    assert len(started.trainers()) == NODES
    running.process.kill()
    assert running.end(timeout_s=60).status == -signal.SIGKILL
    until(lambda: not started.trainers(), 120)  # Ray waits half a minute for a client to come back
    done = command.run(*arguments)
    assert "Training" in done.stderr
    assert predictions(tmp_path).equals(predictions(finished[0]))
    until(lambda: not started.trainers(), 60)
    assert started.n_raylets() == 1 + NODES  # the run has only left the cluster


def test_on_a_node_it_is_found_by_itself(started, driver, command, recordings, tmp_path):
    done = command.run(
        "--ray-address", "auto", "--data-root", str(recordings), "--store", str(tmp_path), *SETTINGS, "--model", "svm"
    )
    assert f"Training 3 folds, {NODES} at a time" in done.stderr
    until(lambda: not started.trainers(), 60)


def test_a_missing_token_is_said(started, command, recordings, tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    done = command.run(
        "--ray-address",
        started.as_client,
        "--data-root",
        str(recordings),
        "--store",
        str(tmp_path),
        *SETTINGS,
        status=2,
    )
    said = done.stderr.splitlines()[-1]
    assert said.startswith(f"timnet: --ray-address {started.as_client}: no Ray cluster answers there (")
    assert "One that asks for a token wants RAY_AUTH_MODE=token here, too, and the token in RAY_AUTH_TOKEN" in said
    assert "Traceback" not in done.stderr
    assert "UserWarning" not in done.stderr
