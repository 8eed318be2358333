"""The cost of the published table: steps as scikit-learn cuts the folds, schedules that can be followed by hand."""

import re

import numpy as np
import pytest
from sklearn.model_selection import KFold

from tests.bench import cost
from tests.bench.bill import bill, fold_seconds, folds_per_device, sizes
from tests.documented import ROOT


def test_steps_are_those_of_the_folds_that_scikit_learn_cuts():
    for size in sizes():
        folds = KFold(10, shuffle=True, random_state=1).split(np.arange(size.n_utterances))
        assert size.steps_per_epoch == tuple(-(-len(train) // size.batch_size) for train, _ in folds)


def test_the_order_is_the_one_in_which_a_run_starts_the_folds():
    of = {size.name: size for size in sizes()}
    order = [of[name] for name in ("IEMOCAP", "RAVDESS", "CASIA", "SAVEE", "EMOVO", "EMODB")]  # as they compute less
    same, grows = (fold_seconds(sizes(), 2, 3, 500.0, grows) for grows in (False, True))
    assert same == [2.0 * steps / 2 for size in order for _ in range(3) for steps in size.steps_per_epoch]
    ratios = np.array(grows) / np.array(same)
    assert ratios[-30:] == pytest.approx(1)  # EMO-DB is what the others are compared with
    assert ratios[:30] == pytest.approx(606 * 10 / (188 * 8))  # IEMOCAP
    assert fold_seconds(sizes(), 2, 3, 500.0, grows=False, in_order=True)[:10] == list(of["CASIA"].steps_per_epoch)


@pytest.mark.parametrize(
    ("folds", "devices", "per_device", "as_fast", "elapsed_s", "taken"),
    [
        ([3, 1, 1], 2, 1, True, 3, 5 / 6),  # one alone, the others after each other beside it
        ([1, 1, 3], 2, 1, True, 4, 5 / 8),  # the long one last
        ([5] * 60, 64, 1, True, 5, 60 / 64),
        ([5] * 65, 64, 1, True, 10, 65 / 128),  # one more wave for one fold
        ([2, 2, 2, 2], 1, 4, True, 2, 1),
        ([2, 2, 2, 2], 1, 4, False, 8, 1),
        ([1, 3], 1, 2, False, 4, 6 / 8),  # the short one at 2, then the long one alone
        ([4, 4, 4, 4], 2, 4, False, 16, 1 / 2),  # all on the first device
    ],
)
def test_a_schedule(folds, devices, per_device, as_fast, elapsed_s, taken):
    found = bill(folds, devices, per_device, as_fast)
    assert found.elapsed_s == pytest.approx(elapsed_s)
    assert found.taken == pytest.approx(taken)
    assert found.paid_h == pytest.approx(devices * elapsed_s / 3600)


def test_how_many_folds_share_a_device():
    assert [folds_per_device(share) for share in (1, 0.7, 0.5, 0.3, 0.25, 0.1)] == [1, 1, 2, 3, 4, 10]


def test_the_page_in_the_documentation_is_what_the_code_makes():
    assert cost.PAGE.read_text() == cost.page(cost.options([]))


def test_the_time_of_a_step_on_a_cpu_is_the_one_of_the_benchmarks():
    measured = re.search(r"against (\d+) ms of wall time per step", (ROOT / "docs/benchmarks.md").read_text())
    assert measured
    assert 2 * int(measured[1]) == cost.CORE_STEP_MS, "run `python -m tests.bench.cost` with what `make bench` measured"


def test_with_other_numbers_nothing_is_written(capsys):
    before = cost.PAGE.stat().st_mtime_ns
    cost.main(["--usd-per-gpu-hour", "4", "--gpus", "3", "--seeds", "2", "--gpus-per-fold", "1"])
    said = capsys.readouterr().out
    assert cost.PAGE.stat().st_mtime_ns == before
    one = bill(fold_seconds(sizes(), 500, 2, cost.STEP_MS, grows=False), 3)
    assert "2 seeds a corpus, 120 folds" in said
    assert f"| 3 | 1 | 3 | {cost.hours(one.elapsed_s)} | {cost.percent(one.taken)} | {4 * one.paid_h:,.0f} |" in said


@pytest.mark.parametrize("share", ["0", "1.5", "half"])
def test_a_share_is_of_one_gpu(share, capsys):
    with pytest.raises(SystemExit):
        cost.options(["--gpus-per-fold", share])
    assert "--gpus-per-fold" in capsys.readouterr().err
