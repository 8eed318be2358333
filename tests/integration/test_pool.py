"""The pool of trainers on a real Ray: who gets which actor when machines are lost or others hold the places."""

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
import ray

from tasks.jobs import FoldJob, Jobs
from tasks.pool import TrainerPool
from tasks.training import train_fold
from tasks.waiting import LOST, StoppedError
from timnet.errors import TimnetError
from timnet.store import Store

pytestmark = [pytest.mark.ray, pytest.mark.timeout(180)]

CPUS = 2


@ray.remote
class Worker:
    def __init__(self, threads: int):
        pass

    def pid(self) -> int:
        return os.getpid()

    def die(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


@ray.remote(concurrency_groups={"progress": 1})
class Deadly:
    """Like a trainer whose fold needs more memory than there is."""

    def __init__(self, threads: int):
        self._progress: dict = {}

    @ray.method(concurrency_group="progress")
    def progress(self) -> dict:
        return self._progress

    def run(self, *fold: object) -> None:
        self._progress = {"epoch": 3, "loss": 1.0}
        time.sleep(2)
        os.kill(os.getpid(), signal.SIGKILL)


@ray.remote
class Broken:
    def __init__(self, threads: int):
        raise OSError("no library")


@pytest.fixture(scope="module", autouse=True)
def started():
    ray.init("local", num_cpus=CPUS, include_dashboard=False, log_to_driver=False, logging_level="error")
    yield
    ray.shutdown()


@pytest.fixture
def stop():
    return threading.Event()


@pytest.fixture
def pool():
    made = TrainerPool("test", CPUS, 1, 0, Worker)
    yield made
    made.close()
    wait_for_cpus(CPUS)


def wait_for_cpus(n):
    end = time.monotonic() + 30
    while ray.available_resources().get("CPU", 0) != n:
        assert time.monotonic() < end, ray.available_resources()
        time.sleep(0.05)


def pid(actor):
    return ray.get(actor.pid.remote())


def kill(actor):
    with pytest.raises(LOST):
        ray.get(actor.die.remote())


def test_actors_go_from_fold_to_fold(pool, stop):
    pool.warm_up(4)
    with pool.lease(stop) as one, pool.lease(stop) as other:
        before = {pid(one), pid(other)}
        assert len(before) == 2
    with pool.lease(stop) as one, pool.lease(stop) as other:
        assert {pid(one), pid(other)} == before


def test_a_fold_whose_machine_is_gone_takes_the_actor_of_another_fold(pool, stop):
    """It hung: the fold was bound to a new actor without a place, and the actors that others had done with kept theirs."""
    pool.warm_up(2)
    lost, other = pool.take(stop), pool.take(stop)
    pool.kill(lost)
    wait_for_cpus(1)
    elsewhere = Worker.options(num_cpus=1).remote(1)  # takes the place, like another run, or like a node that is gone
    pid(elsewhere)
    with ThreadPoolExecutor() as threads:
        found = threads.submit(pool.take, stop)
        time.sleep(2)
        assert not found.done()
        known = pid(other)
        pool.give_back(other)
        try:
            assert pid(found.result(timeout=20)) == known
        finally:
            stop.set()
            ray.kill(elsewhere)


def test_two_pools_on_one_machine_both_come_to_an_end(pool, stop):
    """Each gets one place, and each has two folds."""
    other = TrainerPool("other", CPUS, 1, 0, Worker)

    def fold(which):
        with which.lease(stop) as actor:
            return pid(actor)

    mine, theirs = pool.take(stop), other.take(stop)
    with ThreadPoolExecutor() as threads:
        waiting = [threads.submit(fold, which) for which in (pool, other)]
        time.sleep(1)
        assert not any(one.done() for one in waiting)
        pool.give_back(mine)
        other.give_back(theirs)
        try:
            for one in waiting:
                one.result(timeout=20)
        finally:
            stop.set()
            other.close()


def test_actors_that_died_while_they_were_free_are_passed_over(pool, stop):
    pool.warm_up(4)
    leased = [pool.take(stop), pool.take(stop)]
    died = {pid(actor) for actor in leased}
    for actor in leased:
        pool.give_back(actor)
    for actor in leased:
        kill(actor)
    assert pid(pool.take(stop)) not in died


def test_what_no_fold_to_come_needs_gives_its_place_free(pool, stop):
    pool.warm_up(3)
    one, other = pool.take(stop), pool.take(stop)
    pool.give_back(one)  # for the third
    assert pid(one)
    last = pool.take(stop)
    assert pid(last) == pid(one)
    pool.give_back(other)
    wait_for_cpus(1)
    pool.give_back(last)
    wait_for_cpus(2)


def test_a_fold_that_loses_its_worker_again_and_again_is_given_up(tmp_path, monkeypatch, stop):
    monkeypatch.setattr("tasks.training.MOST_LOSSES", 2)
    job = FoldJob("TINY", 7, 1, None, (), None, "trained/TINY/0")
    said = []
    reporter = SimpleNamespace(say=said.append, epoch=lambda name, state: None)
    pool = TrainerPool("test", CPUS, 1, 0, Deadly)
    context = SimpleNamespace(store=Store(str(tmp_path)), stop=stop, trainers=lambda: pool, reporter=reporter)
    jobs = Jobs([job], {"TINY": ray.put(None)})
    with pytest.raises(LOST):  # which is tried again
        train_fold.fn(job.name, jobs, context)
    with pytest.raises(
        TimnetError, match=r"Its worker was lost 2 times before it got beyond epoch 3 \(.+ memory of the machines"
    ):
        train_fold.fn(job.name, jobs, context)
    assert [text.partition(" (")[0].strip() for text in said] == ["TINY seed 7 fold 1: its worker was lost"] * 2
    pool.close()
    wait_for_cpus(CPUS)


def test_a_trainer_that_cannot_start_is_an_error(stop):
    pool = TrainerPool("test", CPUS, 1, 0, Broken)
    with pytest.raises(LOST, match="no library"):
        pool.take(stop)
    pool.close()
    wait_for_cpus(CPUS)


def test_waiting_ends_when_the_run_is_stopped_or_closed(pool, stop):
    held = [pool.take(stop), pool.take(stop)]
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(pool.take, stop)
        time.sleep(0.5)
        assert not waiting.done()
        stop.set()
        with pytest.raises(StoppedError):
            waiting.result(timeout=5)
        again = threads.submit(pool.take, threading.Event())
        time.sleep(0.5)
        pool.close()
        with pytest.raises(StoppedError):
            again.result(timeout=5)
    assert len(held) == 2


def test_a_run_without_a_place_says_so(monkeypatch, stop):
    monkeypatch.setattr("tasks.pool.SILENT_S", 1.0)
    said = []
    elsewhere = [Worker.options(num_cpus=1).remote(1) for _ in range(CPUS)]
    for actor in elsewhere:
        pid(actor)
    pool = TrainerPool("test", CPUS, 1, 0, Worker, said.append)
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(pool.take, stop)
        time.sleep(4)
        for actor in elsewhere:
            ray.kill(actor)
        assert pid(waiting.result(timeout=20))
    pool.close()
    assert said == ["No fold is at work: a trainer needs 1 CPUs, and Ray has no place for it yet. Waiting."]
    wait_for_cpus(CPUS)
