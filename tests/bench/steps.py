"""How long a training step takes on one core, of the smallest and of the largest network: `python -m tests.bench.steps`.

The recordings are noise; only their number and length matter. It is processor time, not that of the clock, so that a
machine may do other things meanwhile; the corpora take turns and the shortest time counts.
"""

import math
import time

import numpy as np

from tests.bench import bill, ratios
from timnet.config import RECIPES, FoldSettings
from timnet.training import FoldData, Trainer

STEPS, ROUNDS = 3, 3
CORPORA = ("EMODB", "IEMOCAP")


def milliseconds() -> dict[str, float]:
    trainer, recipe = Trainer(threads=1), RECIPES["published"].having(2, None)
    sizes = [size for size in bill.sizes() if size.name in CORPORA]
    random, found = np.random.default_rng(0), dict.fromkeys(CORPORA, math.inf)
    for _ in range(ROUNDS):
        for size in sizes:
            n = STEPS * size.batch_size
            features = random.normal(size=(n, size.model.n_frames, size.model.n_coefficients)).astype(np.float32)
            classes = (np.arange(n) % size.model.n_classes).astype(np.int32)
            data = FoldData(features, classes, np.arange(n), np.arange(0), np.arange(1))
            at: list[float] = []
            settings = FoldSettings(size.model, recipe, "last", 0, 1)
            trainer.train(data, settings, on_epoch=lambda _, at=at: at.append(time.process_time()))
            found[size.name] = min(found[size.name], (at[1] - at[0]) / STEPS * 1000)  # the first epoch may compile
    return found


def main() -> None:
    found, sizes = milliseconds(), bill.sizes()
    print(f"{ratios.machine()}, one core:")
    for size in sizes:
        if size.name in CORPORA:
            taken, growth = found[size.name], size.growth(sizes)
            print(f"  {size.name}: {taken:.0f} ms, {taken / found['EMODB']:.2f} x EMODB's (computed: {growth:.2f} x)")


if __name__ == "__main__":
    main()
