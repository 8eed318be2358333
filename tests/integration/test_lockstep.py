"""Folds in lockstep through the real flow: each its own task, results and error, also where the actor is killed."""

import json
import os
import signal

import numpy as np
import pytest
from tiny import SETTINGS, predictions, processes, until

pytestmark = [pytest.mark.ray, pytest.mark.prefect, pytest.mark.slow]

IN_LOCKSTEP = (*SETTINGS, "--folds-per-actor", "3", "--max-parallel", "3")


def test_a_killed_actor_is_replaced_and_all_folds_of_its_group_go_on(command, recordings, tmp_path):
    undisturbed = command.run("--data-root", str(recordings), "--store", str(tmp_path / "undisturbed"), *IN_LOCKSTEP)
    assert "Training 3 folds, 3 at a time, in 1 groups in lockstep" in undisturbed.stderr
    for fold in (1, 2, 3):
        assert f"TINY seed 7 fold {fold}: WAR" in undisturbed.stderr
    store = tmp_path / "killed"
    running = command.start("--data-root", str(recordings), "--store", str(store), *IN_LOCKSTEP)
    until(lambda: len(list(store.glob("trained/*/*/checkpoint.npz"))) == 3 or running.process.poll() is not None, 200)
    busy = [
        one.pid for one in processes() if one.title.startswith(b"ray::Lockstep") and one.session == running.process.pid
    ]
    assert busy
    for pid in busy:
        os.kill(pid, signal.SIGKILL)
    done = running.end(timeout_s=240)
    assert done.status == 0, done.stderr
    assert done.stderr.count("its worker was lost") >= 3
    assert not list(store.glob("trained/*/*/checkpoint.npz"))
    one, other = predictions(store), predictions(tmp_path / "undisturbed")
    assert one["predicted"].equals(other["predicted"])
    np.testing.assert_allclose(
        np.array(one["probabilities"].to_pylist()), np.array(other["probabilities"].to_pylist()), atol=1e-4
    )
    until(lambda: not running.left(), 60)


def test_a_fold_that_fails_leaves_the_others_of_its_group_alone(command, recordings, tmp_path):
    arguments = ("--data-root", str(recordings), *IN_LOCKSTEP, "--epochs", "2", "--store")
    command.run(*arguments, str(tmp_path / "undisturbed"))
    broken = sorted(path.parent.name for path in tmp_path.glob("undisturbed/trained/TINY/*/_DONE.json"))[0]
    store = tmp_path / "store"
    (store / "trained/TINY" / broken / "predictions.parquet").mkdir(parents=True)  # where a file has to be written
    done = command.run(*arguments, str(store), status=1)
    assert "1 of 3 folds failed: TINY seed 7 fold" in done.stderr
    summary = json.loads((store / "runs/first/report/summary.json").read_text())
    states = [fold["state"] for fold in summary["corpora"]["TINY"]["folds"]]
    assert sorted(states) == ["completed", "completed", "failed"]
