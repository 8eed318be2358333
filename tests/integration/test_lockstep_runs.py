"""Folds in lockstep through the real flow: each its own task, results and error, also where the actor is killed."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from tiny import SETTINGS, predictions, processes, until

pytestmark = [pytest.mark.ray, pytest.mark.prefect, pytest.mark.slow, pytest.mark.timeout(900)]

# One direction of convolutions compiles in half the time of two.
IN_LOCKSTEP = (*SETTINGS, "--model", "tcn", "--folds-per-actor", "3", "--max-parallel", "3")


@pytest.fixture(scope="module")
def together(command, recordings, tmp_path_factory) -> Path:
    """The store of a run in lockstep that nothing disturbed."""
    store = tmp_path_factory.mktemp("together")
    done = command.run("--data-root", str(recordings), "--store", str(store), *IN_LOCKSTEP)
    assert "Training 3 folds, 3 at a time, in lockstep in groups of up to 3" in done.stderr
    for fold in (1, 2, 3):
        assert f"TINY seed 7 fold {fold}: WAR" in done.stderr
    return store


def test_a_killed_actor_is_replaced_and_all_folds_of_its_group_go_on(together, command, recordings, tmp_path):
    running = command.start("--data-root", str(recordings), "--store", str(tmp_path), *IN_LOCKSTEP)
    until(
        lambda: len(list(tmp_path.glob("trained/*/*/checkpoint.npz"))) == 3 or running.process.poll() is not None, 300
    )
    trainers = [one for one in processes() if one.title.startswith(b"ray::Lockstep")]
    mine = [one.pid for one in trainers if one.session == running.process.pid]
    assert len(mine) == 1
    os.kill(mine[0], signal.SIGKILL)
    done = running.end(timeout_s=400)
    assert done.status == 0, done.stderr
    assert done.stderr.count("its worker was lost") == 3
    assert not list(tmp_path.glob("trained/*/*/checkpoint.npz"))
    one, other = predictions(tmp_path), predictions(together)
    assert one["utterance_id"].equals(other["utterance_id"])
    np.testing.assert_allclose(
        np.array(one["probabilities"].to_pylist()), np.array(other["probabilities"].to_pylist()), atol=1e-4
    )
    until(lambda: not running.left(), 60)


def test_a_fold_that_fails_leaves_the_others_of_its_group_alone(together, command, recordings, tmp_path):
    broken = sorted(path.parent.name for path in together.glob("trained/TINY/*/_DONE.json"))[0]
    (tmp_path / "trained/TINY" / broken / "predictions.parquet").mkdir(parents=True)  # where a file has to be written
    done = command.run("--data-root", str(recordings), "--store", str(tmp_path), *IN_LOCKSTEP, status=1)
    assert "1 of 3 folds failed: TINY seed 7 fold" in done.stderr
    assert "Traceback" not in done.stderr
    summary = json.loads((tmp_path / "runs/first/report/summary.json").read_text())
    states = [fold["state"] for fold in summary["corpora"]["TINY"]["folds"]]
    assert sorted(states) == ["completed", "completed", "failed"]
