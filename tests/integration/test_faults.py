"""Machines that die in the middle of a run: the run goes on, and no result differs from that of an undisturbed one."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from ray.cluster_utils import Cluster
from tiny import SETTINGS, predictions, processes, trainers, until

pytestmark = [pytest.mark.ray, pytest.mark.prefect, pytest.mark.slow]


def checkpoints(store: Path) -> list[Path]:
    return list(store.glob("trained/*/*/checkpoint.npz"))


def history_in(checkpoint: Path) -> list[dict[str, Any]]:
    """The epochs that a checkpoint has, as the table of the finished fold holds them."""
    return json.loads(np.load(checkpoint)["state"].tobytes())["history"]


def test_a_killed_trainer_is_replaced_and_its_fold_goes_on(finished, command, recordings, tmp_path):
    running = command.start("--data-root", str(recordings), "--store", str(tmp_path), *SETTINGS)
    until(lambda: checkpoints(tmp_path) or running.process.poll() is not None)
    busy = trainers(lambda one: one.session == running.process.pid)
    assert busy
    saved = {path.parent: history_in(path) for path in checkpoints(tmp_path)}
    for pid in busy:
        os.kill(pid, signal.SIGKILL)
    done = running.end(timeout_s=200)
    assert done.status == 0, done.stderr
    assert "its worker was lost" in done.stderr
    assert predictions(tmp_path).equals(predictions(finished[0]))
    assert not checkpoints(tmp_path)
    # What had been saved was not trained again: the seconds that these epochs took are still the same.
    assert all(len(rows) % 2 == 0 for rows in saved.values())  # --checkpoint-every-epochs 2
    for folder, rows in saved.items():
        assert pq.read_table(folder / "history.parquet").to_pylist()[: len(rows)] == rows
    until(lambda: not running.left(), 60)


@pytest.fixture
def nodes():
    """A Ray cluster of three raylets on this machine: a head without CPUs for work, and two nodes with half-used GPUs."""
    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 0, "include_dashboard": False},
    )
    workers = [cluster.add_node(num_cpus=2, num_gpus=1) for _ in range(2)]
    cluster.wait_for_nodes()
    yield cluster, workers
    cluster.shutdown()


def test_the_code_of_the_driver_goes_to_the_nodes(nodes, tmp_path):
    """So nodes need no copy of it. The driver starts where it is not: Ray looks there first, on a node, too."""
    code = (
        "import sys, ray\n"
        "from tasks.cluster import cluster\n"
        "@ray.remote\n"
        "def where():\n"
        "    import tasks, timnet\n"
        "    return tasks.__file__, timnet.__file__\n"
        "with cluster(sys.argv[1]): print(*ray.get(where.remote()), sep='\\n')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, nodes[0].address],
        capture_output=True, text=True, timeout=120, check=True, cwd=tmp_path,
    )  # fmt: skip
    found = done.stdout.split()
    assert len(found) == 2
    assert all("/runtime_resources/py_modules_files/" in path for path in found)


def test_a_node_that_dies_leaves_its_folds_to_the_others(finished, command, recordings, tmp_path, nodes):
    """Several nodes, a share of a GPU a fold: with half a GPU each, two folds fit on a node and all three at once."""
    cluster, workers = nodes
    raylets = {node.all_processes["raylet"][0].process.pid for node in workers}

    def on_the_nodes() -> list[int]:
        return trainers(lambda one: one.parent in raylets)

    arguments = (
        "--ray-address", cluster.address, "--data-root", str(recordings), "--store", str(tmp_path), *SETTINGS,
        "--gpus-per-fold", "0.5", "--max-parallel", "3",
    )  # fmt: skip
    running = command.start(*arguments)
    until(lambda: checkpoints(tmp_path) or running.process.poll() is not None)
    assert running.process.poll() is None, running.end(1).stderr
    assert len(on_the_nodes()) == 3
    cluster.remove_node(workers[0], allow_graceful=False)
    done = running.end(timeout_s=250)
    assert done.status == 0, done.stderr
    assert "Training 3 folds, 3 at a time" in done.stderr
    assert "its worker was lost" in done.stderr
    assert predictions(tmp_path).equals(predictions(finished[0]))
    # The run has only left the cluster: it is still up, and no actor of the run is on it.
    until(lambda: not on_the_nodes(), 60)
    again = command.run(*arguments)
    assert "3 of 3 folds are finished already" in again.stderr


@pytest.fixture
def small_nodes():
    """Two nodes with a place each, and a head without any."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    workers = [cluster.add_node(num_cpus=1) for _ in range(2)]
    cluster.wait_for_nodes()
    yield cluster, workers
    cluster.shutdown()


@pytest.mark.timeout(400)
def test_the_places_that_are_left_are_enough(command, recordings, tmp_path, small_nodes):
    """The fold of the lost node waits until the other one is over, and then takes its trainer."""
    cluster, workers = small_nodes
    long = (*SETTINGS, "--folds", "2", "--epochs", "600")  # longer than Ray takes to know that the node is gone
    arguments = ("--ray-address", cluster.address, "--data-root", str(recordings), "--store", str(tmp_path), *long)
    running = command.start(*arguments)
    until(lambda: len(checkpoints(tmp_path)) == 2 or running.process.poll() is not None)
    assert running.process.poll() is None, running.end(1).stderr
    cluster.remove_node(workers[0], allow_graceful=False)
    done = running.end(timeout_s=300)
    assert done.status == 0, done.stderr
    assert "its worker was lost" in done.stderr
    assert predictions(tmp_path).num_rows == 48  # every recording once


@pytest.mark.timeout(400)
def test_two_runs_on_one_cluster_of_which_one_loses_a_trainer(command, recordings, tmp_path, small_nodes):
    """Its place goes to the other run, which has been waiting for one: neither may wait for what the other one keeps."""
    cluster, _ = small_nodes
    shared = ("--ray-address", cluster.address, "--data-root", str(recordings), "--store", str(tmp_path))
    first = command.start(*shared, *SETTINGS, "--folds", "2", "--epochs", "400")
    until(lambda: len(checkpoints(tmp_path)) == 2 or first.process.poll() is not None)
    raylets = {node.all_processes["raylet"][0].process.pid for node in cluster.list_all_nodes()}
    busy = trainers(lambda one: one.parent in raylets)
    assert len(busy) == 2
    second = command.start(*shared, *SETTINGS, "--folds", "2", "--seeds", "8", "--run-id", "second")
    until(lambda: "Training 2 folds" in second.so_far() or second.process.poll() is not None)
    os.kill(busy[0], signal.SIGKILL)
    for running in (first, second):
        done = running.end(timeout_s=300)
        assert done.status == 0, done.stderr
    assert predictions(tmp_path).num_rows == predictions(tmp_path, "second").num_rows == 48
    until(lambda: not trainers(lambda one: one.parent in raylets), 60)


def test_a_raylet_of_ones_own_takes_the_command_along_and_the_same_command_goes_on(
    finished, command, recordings, tmp_path
):
    """Ray ends a driver whose raylet is gone; what can be done is to say so, and to leave nothing behind."""
    arguments = ("--data-root", str(recordings), "--store", str(tmp_path), *SETTINGS)
    running = command.start(*arguments)
    until(lambda: checkpoints(tmp_path) or running.process.poll() is not None)
    (raylet,) = [
        one.pid for one in processes() if one.session == running.process.pid and b"/raylet/raylet" in one.title
    ]
    os.kill(raylet, signal.SIGKILL)
    done = running.end(timeout_s=120)
    assert done.status != 0
    assert "Give the same command again: it goes on." in done.stderr
    assert "Traceback" not in done.stderr
    until(lambda: not running.left(), 60)
    command.run(*arguments)
    assert predictions(tmp_path).equals(predictions(finished[0]))


def test_a_cluster_that_is_not_there_or_too_small_is_said(command, recordings, tmp_path, nodes):
    cluster, _ = nodes
    arguments = ("--data-root", str(recordings), "--store", str(tmp_path), *SETTINGS)
    started = time.monotonic()
    done = command.run(*arguments, "--ray-address", "127.0.0.1:1", status=2)
    assert "--ray-address 127.0.0.1:1: no Ray cluster answers there" in done.stderr
    assert time.monotonic() - started < 120
    done = command.run(*arguments, "--ray-address", cluster.address, "--gpus-per-fold", "3", status=2)
    assert "One fold needs 1 CPUs and 3 GPUs, and the cluster has 4 CPUs and 2 GPUs" in done.stderr


def test_a_fold_is_seen_in_the_clusters_metrics(command, recordings, tmp_path, nodes):
    """As Prometheus would read them from the nodes while the run is at work."""
    import urllib.request

    import ray

    cluster, workers = nodes
    running = command.start(
        "--ray-address", cluster.address, "--data-root", str(recordings), "--store", str(tmp_path), *SETTINGS,
        "--epochs", "60", "--run-id", "watched",
    )  # fmt: skip
    ray.init(cluster.address, logging_level="error", log_to_driver=False)
    try:
        ports = [node["MetricsExportPort"] for node in ray.nodes()]
        found = until(lambda: scraped(urllib.request, ports) or running.process.poll() is not None)
    finally:
        ray.shutdown()
        running.process.send_signal(signal.SIGINT)
        ended = running.end(timeout_s=60)
    assert found is not True, ended.stderr
    raylets = {node.all_processes["raylet"][0].process.pid for node in workers}
    until(lambda: not trainers(lambda one: one.parent in raylets), 60)
    names = {line.split("{")[0] for line in found}
    assert names == {"ray_timnet_epoch", "ray_timnet_loss", "ray_timnet_utterances_per_second"}
    assert all('corpus="TINY"' in line and 'seed="7"' in line for line in found)


def scraped(request, ports) -> list[str]:
    lines = []
    for port in ports:
        with request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            lines += [line for line in answer.read().decode().splitlines() if line.startswith("ray_timnet_")]
    return lines if len({line.split("{")[0] for line in lines}) == 3 else []
