"""Folds in lockstep against the plain layers of Keras on the same device: what does one step of one fold cost?

`python -m tests.bench.lockstep` needs Keras, JAX and numpy, and no TensorFlow; set KERAS_BACKEND=tensorflow for that. The
reference is what its users would run: the layers of TIM-Net, compiled, `model.fit`. Both train on recordings of EMO-DB's
size in batches of 64, in turn; compiling is not counted, all else is. Options: --folds 1,10,30 --compute
float32,bfloat16 --epochs 5 --rounds 5 --frames 188. Products of float32 are what the backend's defaults make of them,
which on newer GPUs has fewer digits, for both sides alike.
"""

import argparse
import os
import time
from collections.abc import Callable

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np

from tests.bench import ratios
from timnet import models
from timnet.recipes import RECIPES, ModelSettings
from timnet.replicas import Replicas
from timnet.training import Batch

PUBLISHED_STEP_MS = 60  # on an RTX 3090
BATCH, STEPS, N_CLASSES = 64, 8, 7  # steps of an epoch: 512 recordings
RECIPE = RECIPES["published"]


def recordings(n_frames: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    classes = (np.arange(BATCH * STEPS) % N_CLASSES).astype(np.int32)
    return random.normal(size=(len(classes), n_frames, 39)).astype(np.float32), classes


def plain(settings: ModelSettings, epochs: int) -> Callable[[], float]:
    """Seconds a step of `model.fit`, after an epoch that compiles it."""
    features, classes = recordings(settings.n_frames)
    targets = np.eye(N_CLASSES, dtype=np.float32)[classes]
    network = models.get("timnet").build(settings)
    model = keras.Model(network.input, network.outputs[0])
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=RECIPE.label_smoothing)
    optimizer = keras.optimizers.Adam(RECIPE.learning_rate, RECIPE.beta_1, RECIPE.beta_2, RECIPE.epsilon)
    model.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"])

    def fit(n: int) -> float:
        started = time.perf_counter()
        model.fit(features, targets, batch_size=BATCH, epochs=n, verbose=0)
        return (time.perf_counter() - started) / (n * STEPS)

    fit(1)
    return lambda: fit(epochs)


def lockstep(settings: ModelSettings, n: int, compute: str, epochs: int) -> Callable[[], float]:
    """Seconds a step of n folds, after an epoch that compiles it."""
    features, classes = recordings(settings.n_frames)
    replicas = Replicas(settings, RECIPE, n, compute)
    for replica in range(n):
        replicas.start(replica, 0, replica + 1, None, None)
    random = np.random.default_rng(0)

    def train(epochs: int) -> float:
        started = time.perf_counter()
        for _ in range(epochs):
            orders = [random.permutation(len(classes)).reshape(STEPS, BATCH) for _ in range(n)]
            seeds = random.integers(2**31, size=(STEPS, n, 2)).astype(np.int32)
            steps = [
                {r: Batch(orders[r][i], RECIPE.learning_rate, seeds[i, r]) for r in range(n)} for i in range(STEPS)
            ]
            losses, _ = replicas.train_on(features, classes, steps, BATCH)
        assert np.isfinite(losses).all()
        return (time.perf_counter() - started) / (epochs * STEPS)

    train(1)
    return lambda: train(epochs)


def peak_memory() -> str:
    """Of the device, since the process began, where the backend says it."""
    if keras.backend.backend() != "jax":
        return ""
    import jax

    stats = jax.devices()[0].memory_stats() or {}
    return (
        f", at most {stats['peak_bytes_in_use'] / 2**30:.1f} GiB of its memory" if "peak_bytes_in_use" in stats else ""
    )


def device() -> str:
    if keras.backend.backend() == "jax":
        import jax

        return str(jax.devices()[0].device_kind)
    return ", ".join(keras.distribution.list_devices())


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--folds", default="1,10,30")
    options.add_argument("--compute", default="float32,bfloat16")
    options.add_argument("--epochs", type=int, default=5)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--frames", type=int, default=188)
    given = options.parse_args()
    settings = ModelSettings("timnet", given.frames, 39, N_CLASSES)
    print(f"{keras.backend.backend()} on {device()}; {ratios.machine()}")
    reference = plain(settings, given.epochs)
    print("| lockstep | a fold and step | a step of all | plain layers, in turn | ratio |\n|---|---|---|---|---|")
    for compute in given.compute.split(","):
        for n in map(int, given.folds.split(",")):
            ours = lockstep(settings, n, compute, given.epochs)
            pairs = [(reference(), ours() / n) for _ in range(given.rounds)]
            theirs, own = (1000 * np.median([pair[side] for pair in pairs]) for side in (0, 1))
            times = ratios.Ratio("", "", pairs, "").times
            print(
                f"| {n} folds, {compute} | {own:.3f} ms | {n * own:.1f} ms | {theirs:.1f} ms | **{np.median(times):.1f}** "
                f"({times.min():.1f} to {times.max():.1f}) |",
                flush=True,
            )
    print(f"\nPublished: {PUBLISHED_STEP_MS} ms a step on an RTX 3090{peak_memory()}")


if __name__ == "__main__":
    main()
