"""What a trainer commits, called here without Ray: a fold that another run commits at the same time."""

import numpy as np
import pytest

from tasks import actors
from timnet.config import RECIPES, FoldSettings, ModelSettings
from timnet.splits import Columns
from timnet.store import Store

N = 30
CLASSES = np.arange(N, dtype=np.int32) % 3
FEATURES = np.random.default_rng(0).normal(size=(N, 20, 4)).astype(np.float32)
NOTHING = (None,) * N
COLUMNS = Columns("TINY", tuple(map(str, range(N))), CLASSES, ("angry", "happy", "sad"), NOTHING, NOTHING, NOTHING)
ROWS = (np.arange(12), np.arange(12, 21), np.arange(21, N))
NETWORK = ModelSettings("timnet", 20, 4, 3, n_tabs=2, filters=4)
SETTINGS = FoldSettings(NETWORK, RECIPES["demo"].having(4, None), "validation", 1, 1, checkpoint_every_epochs=1)
FOLD = "trained/TINY/fold"


@pytest.fixture
def train(trainer):
    """Trains the fold into a store, as an actor does that has trained before."""
    actor = actors.FoldTrainer.__ray_metadata__.modified_class(1)
    actor._trainers[True] = trainer
    return lambda store: actor.run(FEATURES, COLUMNS, ROWS, SETTINGS, store, FOLD, None)


class Watched(Store):
    """A store that does something before a write, and looks after every write whether the fold is finished."""

    def __init__(self, uri, before, what):
        super().__init__(uri)
        self._before, self._what, self.seen = before, what, []

    def write_bytes(self, path, data):
        if path == f"{FOLD}/{self._before}":
            self._before = None
            self._what()
        super().write_bytes(path, data)
        self.seen.append((path.rpartition("/")[2], self.is_done(FOLD)))


@pytest.mark.parametrize("before", [actors.HISTORY_FILE, actors.METRICS_FILE, "_DONE.json"])
def test_a_fold_that_two_runs_write_at_once_stays_finished(before, train, tmp_path, monkeypatch):
    """Neither has seen the other's marker: the second is in the middle of its files when the first has finished."""
    first = Store(str(tmp_path))

    def the_other_run():
        # As slow a machine as no test should wait for: its seconds have more digits.
        with monkeypatch.context() as slow:
            clock = iter(range(10**6))
            slow.setattr(actors.time, "perf_counter", lambda: 1234.5 * next(clock))
            train(first)
        assert first.is_done(FOLD)

    second = Watched(str(tmp_path), before, the_other_run)
    train(second)
    begun = [name for name, _ in second.seen].index(before)
    assert all(done for _, done in second.seen[begun:]), second.seen
    assert not first.exists(f"{FOLD}/{actors.CHECKPOINT_FILE}")


def test_a_checkpoint_that_was_saved_after_another_run_had_finished_does_not_stay(train, tmp_path):
    store = Store(str(tmp_path))
    late = Watched(str(tmp_path), actors.CHECKPOINT_FILE, lambda: train(store))
    finished = train(late)
    assert finished == store.read_json(f"{FOLD}/{actors.METRICS_FILE}")
    assert [name for name, _ in late.seen] == [actors.CHECKPOINT_FILE] * 3
    assert not store.exists(f"{FOLD}/{actors.CHECKPOINT_FILE}")
