"""Prefect itself in trouble: a server that is away for a minute, a flow run that is cancelled."""

import os
import signal
import time
from pathlib import Path

import pytest
from served import Prefect
from tiny import SETTINGS, finished_folds, of_ray, predictions, until

pytestmark = [pytest.mark.ray, pytest.mark.prefect, pytest.mark.slow]

# The settings of the run `finished`, as parameters.
SAME = {
    "corpora": ["TINY"], "folds": 3, "seeds": [7], "epochs": 12, "recipe": "demo", "run_id": "first",
    "checkpoint_every_epochs": 2, "max_parallel": 2,
}  # fmt: skip
AWAY_S = 60


def training(prefect: Prefect, store: Path) -> bool:
    return bool(list(store.glob("trained/*/*/checkpoint.npz")))


def test_a_server_that_is_away_for_a_minute_costs_nothing(prefect, finished):
    store = prefect.home / "away"
    run = prefect.begin("timnet-cv/one-corpus", **SAME, store=str(store))
    until(lambda: training(prefect, store), 150)
    server = prefect.started[0]
    os.killpg(server.pid, signal.SIGKILL)
    server.wait()
    assert not prefect.is_up()
    time.sleep(AWAY_S)
    prefect.serve()
    ended = prefect.ended(run)
    assert ended["state"]["name"] == "Completed", f"{ended['state']}\n{prefect.log('worker')}"
    assert predictions(store).equals(predictions(finished[0]))
    until(lambda: not of_ray(prefect.home), 90)


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
