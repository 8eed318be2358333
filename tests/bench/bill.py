"""The trainings of the published table, from the corpora's sizes, and what they take of a number of GPUs or cores."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from timnet import corpora
from timnet.config import N_COEFFICIENTS, N_FOLDS, RECIPES, ModelSettings
from timnet.features import FEATURES, n_frames

HOUR_S = 3600.0


@dataclass(frozen=True)
class Size:
    """One corpus as the published folds train on it."""

    name: str
    n_utterances: int
    model: ModelSettings
    batch_size: int

    @property
    def steps_per_epoch(self) -> tuple[int, ...]:
        """Of each fold; scikit-learn's KFold makes the first test parts one larger where they do not come out even."""
        tests = [self.n_utterances // N_FOLDS + (i < self.n_utterances % N_FOLDS) for i in range(N_FOLDS)]
        return tuple(math.ceil((self.n_utterances - test) / self.batch_size) for test in tests)

    def computation(self) -> int:
        """Frames through all blocks in an epoch of the longest fold, as tasks.jobs counts them."""
        longest = self.n_utterances - self.n_utterances // N_FOLDS
        return longest * self.model.n_frames * self.model.n_tabs

    def growth(self, others: Iterable["Size"]) -> float:
        """How many times EMO-DB's computation a step is: frames times blocks, each of which computes once a frame."""
        (emodb,) = [other for other in others if other.name == "EMODB"]
        return self.model.n_frames * self.model.n_tabs / (emodb.model.n_frames * emodb.model.n_tabs)


def sizes() -> list[Size]:
    """The six published corpora, by name."""
    found = []
    for name in corpora.PUBLISHED:
        card = corpora.get(name)
        assert card.counts is not None
        assert card.mean_signal_length is not None
        frames = n_frames(FEATURES["published"], card.mean_signal_length)
        model = ModelSettings("timnet", frames, N_COEFFICIENTS, len(card.labels), card.n_tabs)
        found.append(Size(name, sum(card.counts.values()), model, RECIPES["published"].batch_size))
    return found


def fold_seconds(
    of: Sequence[Size], epochs: int, seeds: int, step_ms: float, grows: bool, in_order: bool = False
) -> list[float]:
    """Seconds that each fold takes alone, in the order in which a run starts them: the corpus that computes most first.

    `in_order`: as given instead. A step takes `step_ms` for EMO-DB, and for the others as long or, where it grows, as much longer as it computes more.
    """
    return [
        epochs * steps * step_ms / 1000 * (size.growth(of) if grows else 1)
        for size in (of if in_order else sorted(of, key=Size.computation, reverse=True))
        for _ in range(seeds)
        for steps in size.steps_per_epoch
    ]


@dataclass(frozen=True)
class Bill:
    """Devices that are paid for until the last fold has ended."""

    n_devices: int
    elapsed_s: float
    taken: float  # share of the time of all places in which a fold was there

    @property
    def paid_h(self) -> float:
        return self.n_devices * self.elapsed_s / HOUR_S


def bill(folds: Sequence[float], n_devices: int, per_device: int = 1, as_fast: bool = True) -> Bill:
    """What folds take of devices with so many places each, every fold begun in order as soon as a place is free.

    Folds that are together on a device are each as fast as alone, or share its speed. Ray fills a device before it takes
    the next.
    """
    waiting = list(reversed(folds))
    devices: list[list[float]] = [[] for _ in range(n_devices)]  # seconds left of the folds on each
    elapsed_s = place_s = 0.0
    while True:
        for device in devices:
            while waiting and len(device) < per_device:
                device.append(waiting.pop())
        busy = [(device, 1 if as_fast else len(device)) for device in devices if device]
        if not busy:
            return Bill(n_devices, elapsed_s, place_s / (n_devices * per_device * elapsed_s))
        step_s = min(min(device) * slower for device, slower in busy)
        elapsed_s += step_s
        for device, slower in busy:
            place_s += step_s * len(device)
            device[:] = [rest for left in device if (rest := left - step_s / slower) > 1e-6]


def folds_per_device(share: float) -> int:
    """How many folds fit on a device of which each takes such a share."""
    return int(1 / share + 1e-9)
