"""The time that is left, as a run says it where there is no terminal."""

import io

import pytest
from rich.console import Console

from tasks import progress


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])

    def pass_by(seconds: float) -> None:
        now[0] += seconds

    return pass_by


@pytest.fixture
def reporter():
    with progress.Reporter(Console(file=io.StringIO(), width=200)) as made:
        yield made


def said(reporter):
    return reporter.console.file.getvalue().splitlines()


def test_what_a_start_takes_is_no_part_of_the_rate(reporter, clock):
    reporter.expect(2, 100)
    clock(600)  # a slow start
    reporter.epoch("A", {"epoch": 1, "loss": 1.0})
    clock(20)
    reporter.epoch("A", {"epoch": 11, "loss": 0.5})  # ten epochs in 20 s
    assert said(reporter)[-1] == "  11 of 100 epochs, 2 min 58 s left; A, loss 0.500"


def test_epochs_of_a_checkpoint_cost_nothing(reporter, clock):
    reporter.expect(2, 100)
    reporter.epoch("A", {"epoch": 41, "loss": 1.0})
    clock(20)
    reporter.epoch("A", {"epoch": 51, "loss": 0.5})
    assert said(reporter)[-1] == "  51 of 100 epochs, 1 min 38 s left; A, loss 0.500"


def test_before_anything_is_known_nothing_is_said_of_the_time(reporter, clock):
    reporter.expect(2, 100)
    clock(60)
    reporter.epoch("A", {"epoch": 1, "loss": 1.0})
    assert said(reporter)[-1] == "  1 of 100 epochs; A, loss 1.000"


def test_a_run_accounts_for_all_of_its_time():
    names = ("start", "start Ray", "scan A", "scan B", "extract A", "extract B", "train")
    timings = [{"name": name, "seconds": float(n), "reused": False} for n, name in enumerate(names, start=1)]
    assert progress.account(timings, 30.0) == (
        "All of it took 30.0 s: start 3.0 s, scan 7.0 s, extract 11.0 s, train 7.0 s, the rest 2.0 s"
    )
