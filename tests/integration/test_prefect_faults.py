"""Prefect itself in trouble: a server that is away for a while or for good, a flow run that is cancelled."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from served import ROOT, Prefect
from tiny import SETTINGS, finished_folds, of_ray, predictions, until

pytestmark = [pytest.mark.ray, pytest.mark.prefect, pytest.mark.slow]

# The settings of the run `finished`, as parameters.
SAME = {
    "corpora": ["TINY"], "folds": 3, "seeds": [7], "epochs": 12, "recipe": "demo", "run_id": "first",
    "checkpoint_every_epochs": 2, "max_parallel": 2,
}  # fmt: skip
AWAY_S = 90  # Prefect's own patience is a minute

# `python -m flows.cv`, with a patience of seconds instead of minutes.
IMPATIENT = """
import runpy, sys
import flows.start
flows.start.PATIENCE = 1
sys.argv = ["flows.cv", *sys.argv[1:]]
runpy.run_module("flows.cv", run_name="__main__", alter_sys=True)
"""


def training(prefect: Prefect, store: Path) -> bool:
    return bool(list(store.glob("trained/*/*/checkpoint.npz")))


@pytest.mark.timeout(600)
def test_a_server_that_is_away_while_a_deployed_run_ends_costs_nothing(prefect, finished):
    store = prefect.home / "away"
    run = prefect.begin("timnet-cv/one-corpus", **SAME, store=str(store))
    until(lambda: training(prefect, store), 150)
    prefect.lose_server()
    until((store / "runs/first/_DONE.json").exists, 150)  # so that the run's last word is waiting to be heard
    time.sleep(AWAY_S)
    prefect.serve()
    ended = prefect.ended(run)
    assert ended["state"]["name"] == "Completed", f"{ended['state']}\n{prefect.log('worker')}"
    assert predictions(store).equals(predictions(finished[0]))
    until(lambda: not of_ray(prefect.home), 90)


def test_a_server_that_stays_away_costs_a_command_one_line(prefect, recordings, finished, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", IMPATIENT, "--data-root", str(recordings), "--store", str(tmp_path), *SETTINGS],
        cwd=ROOT, env=prefect.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    until(lambda: training(prefect, tmp_path) or process.poll() is not None, 150)
    prefect.lose_server()
    try:
        out, err = process.communicate(timeout=150)
    finally:
        process.kill()
        prefect.serve()
    assert process.returncode == 0, err
    assert (tmp_path / "runs/first/_DONE.json").exists()
    assert predictions(tmp_path).equals(predictions(finished[0]))
    assert f"\nReport: {tmp_path}/runs/first/report/index.html\n" in err
    assert "\nWarning: Prefect's server did not take the report's artifacts (" in err
    assert err.splitlines()[-1] == (
        f"timnet: Prefect's server at 127.0.0.1:{prefect.port} stays away or refuses ([Errno 111] Connection refused). "
        "The run is over and its report is there, only Prefect was not told."
    )
    for noise in ("Traceback", "Event(", "Error logging", "| WARNING", "| ERROR"):
        assert noise not in out + err


def test_a_cancelled_run_leaves_nothing_at_work_and_can_be_gone_on_with(prefect, command, recordings, tmp_path):
    longer = SAME | {"epochs": 120}  # Prefect's worker looks every few seconds whether a run has been cancelled
    store = prefect.home / "cancelled"
    run = prefect.begin("timnet-cv/one-corpus", **longer, store=str(store))
    until(lambda: training(prefect, store), 150)
    assert of_ray(prefect.home)
    prefect.run("flow-run", "cancel", run)
    assert prefect.ended(run)["state"]["name"] == "Cancelled"
    until(lambda: not of_ray(prefect.home), 90)
    assert finished_folds(store) < 3
    assert not (store / "runs/first/_DONE.json").exists()
    again = prefect.ended(prefect.begin("timnet-cv/one-corpus", **longer, store=str(store)))
    assert again["state"]["name"] == "Completed", f"{again['state']}\n{prefect.log('worker')}"
    undisturbed = ("--data-root", str(recordings), "--store", str(tmp_path), *SETTINGS, "--epochs", "120")
    command.run(*undisturbed)
    assert predictions(store).equals(predictions(tmp_path))
