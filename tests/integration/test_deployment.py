"""Prefect as its users have it: a server, the deployments of prefect.yaml, a worker, and runs started by name."""

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

from timnet.config import AblationSettings, CrossCorpusSettings, EvaluateSettings, RunSettings

pytestmark = [pytest.mark.ray, pytest.mark.prefect, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
DEPLOYMENTS = {
    "timnet-cv/all-corpora": RunSettings,
    "timnet-cv/one-corpus": RunSettings,
    "timnet-cv/demo": RunSettings,
    "timnet-evaluate/published-weights": EvaluateSettings,
    "timnet-cross-corpus/published-pairs": CrossCorpusSettings,
    "timnet-ablation/published-models": AblationSettings,
}
ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


@dataclass
class Prefect:
    """The commands of a user in the repository's folder, with a Prefect of their own, on loopback."""

    home: Path
    port: int
    started: list[subprocess.Popen] = field(default_factory=list)

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

        return until(over, 150)

    def stop(self) -> None:
        for process in reversed(self.started):
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
        server = prefect.start("server", "start", "--host", "127.0.0.1", "--port", str(port))
        until(lambda: prefect.is_up() or server.poll() is not None, 120)
        assert server.poll() is None, prefect.log("server")
        prefect.run("work-pool", "create", "timnet", "--type", "process")
        prefect.run("deploy", "--all")
        places = {"TIMNET_DATA_ROOT": str(recordings), "TIMNET_STORE": str(prefect.home / "store")}
        prefect.start("worker", "start", "--pool", "timnet", **places)
        yield prefect
    finally:
        prefect.stop()


def deployment(prefect: Prefect, name: str) -> dict[str, Any]:
    return prefect.ask(f"/deployments/name/{name}")


TINY = {"corpora": ["TINY"], "folds": 3, "seeds": [7], "epochs": 2, "recipe": "demo", "max_parallel": 2}


@pytest.fixture(scope="module")
def begun(prefect, recordings) -> dict[str, str]:
    """Runs that are at work at the same time, each by its id."""
    elsewhere = {"data_root": str(recordings), "store": str(prefect.home / "elsewhere")}
    return {
        "all": prefect.begin("timnet-cv/all-corpora", **TINY, run_id="deployed"),
        "elsewhere": prefect.begin("timnet-cv/one-corpus", **TINY | {"model": "svm"}, **elsewhere, run_id="elsewhere"),
        "without data": prefect.begin("timnet-cv/all-corpora"),  # with the deployment's own parameters
        "without weights": prefect.begin("timnet-evaluate/published-weights"),
    }


def test_all_corpora_completes_and_leaves_its_summary(prefect, begun):
    """The places are the worker's own; what is computed comes from the parameters."""
    run = prefect.ended(begun["all"])
    assert run["state"]["name"] == "Completed", f"{run['state']}\n{prefect.log('worker')}"
    assert run["name"] == "deployed"
    summary = json.loads((prefect.home / "store/runs/deployed/report/summary.json").read_text())
    assert [fold["state"] for fold in summary["corpora"]["TINY"]["folds"]] == ["completed"] * 3
    wanted = {"sort": "NAME_ASC", "limit": 50, "flow_runs": {"id": {"any_": [run["id"]]}}}
    states = {task["name"]: task["state"]["type"] for task in prefect.ask("/task_runs/filter", wanted)}
    assert [states.get(f"TINY seed 7 fold {fold}") for fold in (1, 2, 3)] == ["COMPLETED"] * 3


def test_places_in_the_parameters_win_over_the_workers(prefect, begun):
    run = prefect.ended(begun["elsewhere"])
    assert run["state"]["name"] == "Completed", f"{run['state']}\n{prefect.log('worker')}"
    assert (prefect.home / "elsewhere/runs/elsewhere/report/summary.json").is_file()
    assert not (prefect.home / "store/runs/elsewhere").exists()


@pytest.mark.parametrize(("name", "why"), [("without data", "CASIA"), ("without weights", "EMODB")])
def test_a_run_that_is_refused_fails_and_says_why(name, why, prefect, begun):
    state = prefect.ended(begun[name])["state"]
    assert state["type"] == "FAILED", state
    assert why in state["message"]


@pytest.mark.parametrize(("name", "model"), DEPLOYMENTS.items())
def test_the_form_of_a_deployment_shows_the_typed_settings(name, model, prefect):
    found = deployment(prefect, name)
    assert found["work_pool_name"] == "timnet"
    model.model_validate(found["parameters"]["settings"])  # what prefect.yaml sets is right
    schema = found["parameter_openapi_schema"]
    fields = schema["definitions"][model.__name__]["properties"]
    assert fields.keys() == model.model_fields.keys()
    for option, described in model.model_fields.items():
        assert fields[option]["description"] == described.description
        if not described.is_required():
            default = list(described.default) if isinstance(described.default, tuple) else described.default
            assert fields[option].get("default") == default
    assert found["enforce_parameter_schema"]


def test_the_server_refuses_parameters_of_the_wrong_type(prefect):
    with pytest.raises(AssertionError, match="folds"):
        prefect.begin("timnet-cv/demo", folds="many")
