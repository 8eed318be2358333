"""A whole cross-validation: ours, folds side by side, against `model.fit` on plain layers, one fold after another.

Part of `make bench`. The reference is what its users would run: the layers of TIM-Net in Keras, compiled and fitted with
all cores, in a process of its own. Ours is the pool of trainers on a Ray of its own, with a thread each. Both train the
same number of folds and epochs on arrays of EMO-DB's size, start-up included; only times are compared here.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from tests.bench import ratios

FOLDS, EPOCHS, ROUNDS = 2, 40, 1
N_UTTERANCES, N_CLASSES = 535, 7

REFERENCE = """
import json, sys, time
import numpy as np, keras
from timnet.config import ModelSettings
from timnet.models import timnet
folds, epochs, n, n_classes = json.loads(sys.argv[1])
random = np.random.default_rng(0)
x = random.normal(size=(n, 188, 39)).astype(np.float32)
y = np.eye(n_classes, dtype=np.float32)[np.arange(n) % n_classes]
steps = []
for fold in range(folds):
    test = np.arange(n) % 10 == fold
    network = timnet.build(ModelSettings("timnet", 188, 39, n_classes))
    model = keras.Model(network.input, network.outputs[0])
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
    model.compile(optimizer=keras.optimizers.Adam(1e-3, 0.93, 0.98, 1e-8), loss=loss, metrics=["accuracy"])
    model.fit(x[~test], y[~test], batch_size=64, epochs=epochs, verbose=0, validation_data=(x[test], y[test]))
    model.evaluate(x[test], y[test], verbose=0)
"""

OURS = """
import json, sys, threading
import numpy as np
from concurrent.futures import ThreadPoolExecutor
import ray
from tasks.pool import TrainerPool
from tasks import cluster
from timnet.config import FoldSettings, ModelSettings, RECIPES
from timnet.splits import Columns
from timnet.store import Store
folds, epochs, n, n_classes = json.loads(sys.argv[1])
random = np.random.default_rng(0)
x = random.normal(size=(n, 188, 39)).astype(np.float32)
classes = (np.arange(n) % n_classes).astype(np.int32)
nobody = (None,) * n
columns = Columns("BENCH", tuple(map(str, range(n))), classes, tuple("abcdefg"[:n_classes]), nobody, nobody, nobody)
recipe = RECIPES["published"].having(epochs, None)
with cluster.cluster("local"):
    features = ray.put(x)
    pool = TrainerPool("bench", cluster.slots(1, 0, None), 1, 0)
    pool.warm_up(folds)
    def train(fold):
        test = np.arange(n) % 10 == fold
        rows = tuple(np.flatnonzero(part) for part in (~test, test & False, test))
        settings = FoldSettings(ModelSettings("timnet", 188, 39, n_classes), recipe, "test", 0, fold + 1, epochs)
        with pool.lease(threading.Event()) as actor:
            ray.get(actor.run.remote(features, columns, rows, settings, Store(sys.argv[2]), f"fold{fold}", None))
    with ThreadPoolExecutor(pool.size) as threads:
        list(threads.map(train, range(folds)))
    pool.close()
"""


def seconds(code: str, *more: str) -> float:
    started = time.perf_counter()
    sizes = json.dumps([FOLDS, EPOCHS, N_UTTERANCES, N_CLASSES])
    environment = os.environ | {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    subprocess.run([sys.executable, "-c", code, sizes, *more], check=True, env=environment, capture_output=True)
    return time.perf_counter() - started


def main() -> list[ratios.Ratio]:
    pairs = []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            pairs.append((seconds(REFERENCE), seconds(OURS, str(Path(folder)))))
    steps = FOLDS * EPOCHS * int(np.ceil(0.9 * N_UTTERANCES / 64))
    found = ratios.Ratio(
        "cross-validation on a CPU",
        "`model.fit` of the same layers with all cores, a fold after another, evaluated on the test part in every epoch",
        pairs,
        f"{FOLDS} folds of {EPOCHS} epochs, EMO-DB's size, start-up included",
    )
    theirs, ours = (1000 * np.median([pair[side] for pair in pairs]) / steps for side in (0, 1))
    found.notes.append(f"{theirs:.0f} ms against {ours:.0f} ms of wall time per step of 64, all cores at work")
    return [found]


if __name__ == "__main__":
    print(ratios.table(main()))
