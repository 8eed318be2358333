"""The Ray cluster of a run: started here or joined, and closed only if it was started here."""

import concurrent.futures
import logging
import os
import signal
import socket
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import ray
from ray._private import ray_constants

import tasks
import timnet
from timnet.config import AUTO, AUTO_FOLDS_PER_ACTOR
from timnet.errors import ConfigError, TimnetError

LOCAL = "local"
SECONDS_BETWEEN_LOOKS = 0.01

# Numeric libraries in workers keep to one thread unless told otherwise: folds run side by side.
WORKER_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "KERAS_BACKEND": "tensorflow",
    # Every training step takes and gives back buffers of megabytes. Where glibc returns them to the system, each step gets
    # them anew, page by page and filled with zeros: a third of an epoch's time. So it keeps them, in huge pages and in one
    # heap, of which it uses no more than before. Other C libraries do not look at this.
    "GLIBC_TUNABLES": ":".join(
        f"glibc.malloc.{name}" for name in ("hugetlb=1", "arena_max=1", "mmap_max=0", f"trim_threshold={16 * 2**30}")
    ),
}

_AUTHENTICATION = " One that asks for a token wants RAY_AUTH_MODE=token here, too, and the token in RAY_AUTH_TOKEN or ~/.ray/auth_token."


@contextmanager
def cluster(address: str | None) -> Iterator[None]:
    """Be connected to Ray inside the block.

    A Ray that this process is connected to already is used and left alone. `local` or None starts one on this machine
    and stops it afterwards; anything else joins a running cluster and only disconnects.
    """
    if ray.is_initialized():
        yield
        return
    environment: dict[str, Any] = {"env_vars": WORKER_ENVIRONMENT}
    where: dict[str, Any] = {"address": address, "runtime_env": environment}
    if address in (None, LOCAL):
        where |= {"address": LOCAL, "num_cpus": usable_cpus(), "include_dashboard": False}
    else:  # workers elsewhere run the code of this driver, whatever their image has
        environment["py_modules"] = [os.path.dirname(str(package.__file__)) for package in (tasks, timnet)]
    _check_answers(address)
    # ray.init in a thread of its own, since a signal that broke into it would abort the process. The thread stays: what
    # Ray starts ends with it.
    with ThreadPoolExecutor(1, "ray") as thread:
        try:
            _wait(thread.submit(_start, where), address)
            yield
        finally:
            ray.shutdown()


def _start(where: dict[str, Any]) -> None:
    with _on_loopback(where["address"] == LOCAL), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Ray Client connection timed out")  # said by the error, too
        ray.init(**where, log_to_driver=False, logging_level=logging.ERROR)


@contextmanager
def _on_loopback(alone: bool) -> Iterator[None]:
    """Where a Ray is started for this machine alone, have it listen here alone.

    On Linux it would be open to the whole network, in case that other nodes want to join. On macOS and Windows it is not,
    by this constant, which Ray has no option for.
    """
    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = before and not alone
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


def _wait(started: Future, address: str | None) -> None:
    handler = signal.getsignal(signal.SIGTERM)
    try:
        # Ray puts a handler of its own under Python's that aborts on SIGTERM: a terminated flow has to clean up.
        while not concurrent.futures.wait([started], SECONDS_BETWEEN_LOOKS).done:
            _set_again(handler)
        started.result()
    except Exception as error:  # Ray raises it as such where a busy machine starts too slowly
        raise _nobody_answers(address, error, _AUTHENTICATION) from error
    finally:
        concurrent.futures.wait([started])  # also after a signal: nobody can shut down what is just starting
        _set_again(handler)


def _set_again(handler: Any) -> None:
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)


def _check_answers(address: str | None) -> None:
    """Knock at host:port first: Ray itself takes minutes to give up."""
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    except (OSError, OverflowError) as error:
        raise _nobody_answers(address, error) from error


def _nobody_answers(address: str | None, error: Exception, advice: str = "") -> TimnetError:
    if address in (None, LOCAL):
        return TimnetError(
            f"Ray could not be started on this machine ({error}). Its logs are in /tmp/ray/session_latest."
        )
    said = " ".join(str(error).split()).rstrip(".")
    if "Starting Ray client server failed" in said:
        return ConfigError(
            f"--ray-address {address}: {said}. Often gRPC has ended it while it was being started: give the command again, "
            "and start the head node with GRPC_ENABLE_FORK_SUPPORT=0, where that does not happen."
        )
    return ConfigError(
        f"--ray-address {address}: no Ray cluster answers there ({said}). Allowed are local, auto, host:port and "
        f"ray://host:port; `ray status` on the head node tells whether it is up.{advice}"
    )


def has_died() -> bool:
    """Whether the Ray that this process started for itself has lost its raylet. Ray ends the process with it, soon after."""
    node = ray._private.worker._global_node  # nothing public tells it, and nothing lets a driver outlive its raylet
    started: list[Any] = node.all_processes.get("raylet", []) if node is not None else []
    return any(one.process.poll() is not None for one in started)


def usable_cpus() -> int:
    """CPUs that this process may run on, which in a container is fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def most_in_lockstep(folds_per_actor: int | str, max_parallel: int | None) -> int:
    """How many folds an actor may train in lockstep: as many as asked for, and no more than may be at work at all."""
    asked = AUTO_FOLDS_PER_ACTOR if folds_per_actor == AUTO else int(folds_per_actor)
    return min(asked, max_parallel or asked)


def slots(threads_per_fold: int, gpus_per_fold: float, max_parallel: int | None) -> int:
    """How many folds the connected cluster trains at the same time; raises ConfigError where it could not train one."""
    available = ray.cluster_resources()
    fits = int(available.get("CPU", 0) // threads_per_fold)
    if gpus_per_fold:
        fits = min(fits, int(available.get("GPU", 0) / gpus_per_fold + 1e-9))
    if fits < 1:
        raise ConfigError(
            f"One fold needs {threads_per_fold} CPUs and {gpus_per_fold:g} GPUs, and the cluster has "
            f"{available.get('CPU', 0):g} CPUs and {available.get('GPU', 0):g} GPUs. "
            "Use a smaller --threads-per-fold or --gpus-per-fold, or a larger cluster."
        )
    return min(fits, max_parallel or fits)
