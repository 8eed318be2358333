"""The networks on Keras' other backends, each in a process of its own: TensorFlow's outputs, and its training in lockstep."""

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest
from kept import Kept

from timnet import models
from timnet.lockstep import LockstepFold, LockstepTrainer
from timnet.models.base import get_weights, set_weights
from timnet.recipes import FoldSettings, ModelSettings, Recipe
from timnet.training import FoldData

NETWORKS = [name for name in models.names() if models.get(name).is_network]
SHAPE = {"n_frames": 20, "n_coefficients": 4, "n_classes": 3, "n_tabs": 2, "filters": 5, "dropout": 0.2}
RECIPE = Recipe(
    "test", "", epochs=4, batch_size=16, learning_rate=0.003, schedule="cosine", standardise=True,
    speed=0.2, shift_frames=3, warp=0.1, averaged=0.75,
)  # fmt: skip
SETTINGS = FoldSettings(ModelSettings("timnet", **SHAPE), RECIPE, "validation", 3, 1, checkpoint_every_epochs=2)

PREDICT = """
import sys
sys.modules["tensorflow"] = None
import keras, numpy as np
from timnet import models
from timnet.models.base import set_weights
from timnet.recipes import ModelSettings
folder, *names = sys.argv[1:]
given, found = np.load(f"{folder}/given.npz"), {}
for name in names:
    model = models.get(name).build(ModelSettings(name, **SHAPE))
    set_weights(model, {k.split(":")[1]: v for k, v in given.items() if k.startswith(name + ":")})
    outputs = model(given["frames"], training=False)
    found |= {f"{name}/{i}": keras.ops.convert_to_numpy(output) for i, output in enumerate(outputs)}
np.savez(f"{folder}/found.npz", **found)
"""

TRAIN = """
import sys
sys.modules["tensorflow"] = None
import numpy as np
from timnet.lockstep import LockstepFold, LockstepTrainer
from timnet.recipes import FoldSettings, ModelSettings, Recipe
from timnet.training import FoldData
class Saved:
    def load(self):
        return {k[len("saved:"):]: v for k, v in given.items() if k.startswith("saved:")}
    def save(self, arrays):
        raise AssertionError("after the last epoch there is nothing left to save")
folder, = sys.argv[1:]
given = dict(np.load(f"{folder}/given.npz"))
data = FoldData(*(given[name] for name in ("features", "classes", "train", "validation", "test")))
settings = SETTINGS
((_, result),) = LockstepTrainer().train_together([LockstepFold(data, settings, Saved())])
np.savez(f"{folder}/found.npz", probabilities=result.probabilities, loss=[row["train_loss"] for row in result.history],
         **{f"weight:{k}": v for k, v in result.weights.items()})
"""


def on(backend, code, folder, *arguments):
    """Run the code where TensorFlow cannot be imported; what it saved."""
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    code = code.replace("SHAPE", repr(SHAPE)).replace("= SETTINGS", f"= {SETTINGS!r}")
    environment = {**os.environ, "KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", code, str(folder), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
    return dict(np.load(folder / "found.npz"))


@pytest.mark.usefixtures("trainer")
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_every_network_gives_tensorflows_outputs(backend, tmp_path):
    random = np.random.default_rng(0)
    frames = random.normal(size=(5, SHAPE["n_frames"], SHAPE["n_coefficients"])).astype(np.float32)
    given, expected = {"frames": frames}, {}
    for name in NETWORKS:
        model = models.get(name).build(ModelSettings(name, **SHAPE))
        weights = {k: (v + random.uniform(0.1, 1, v.shape)).astype(np.float32) for k, v in get_weights(model).items()}
        set_weights(model, weights)
        given |= {f"{name}:{k}": v for k, v in weights.items()}
        expected |= {f"{name}/{i}": np.asarray(output) for i, output in enumerate(model(frames, training=False))}
    np.savez(tmp_path / "given.npz", **given)
    found = on(backend, PREDICT, tmp_path, *NETWORKS)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5, atol=1e-5, err_msg=name)


def test_a_training_that_began_on_tensorflow_goes_on_on_jax(trainer, tmp_path):
    random = np.random.default_rng(0)
    classes = np.arange(60, dtype=np.int32) % 3
    features = random.normal(size=(60, 20, 4)).astype(np.float32) + classes[:, None, None].astype(np.float32)
    rows = random.permutation(60)
    data = FoldData(features, classes, rows[:40], rows[40:50], rows[50:])
    kept = Kept()
    ((_, result),) = LockstepTrainer().train_together([LockstepFold(data, SETTINGS, kept)])
    arrays = {name: getattr(data, name) for name in ("features", "classes", "train", "validation", "test")}
    np.savez(tmp_path / "given.npz", **arrays, **{f"saved:{name}": value for name, value in kept.saved[0].items()})
    found = on("jax", TRAIN, tmp_path)
    np.testing.assert_allclose(found["loss"], [row["train_loss"] for row in result.history], rtol=1e-4)
    np.testing.assert_allclose(found["probabilities"], result.probabilities, atol=1e-4)
    for name, value in result.weights.items():
        if "/conv" not in name or not name.endswith("bias"):  # rounding, see test_training
            np.testing.assert_allclose(found[f"weight:{name}"], value, atol=1e-4, rtol=1e-4, err_msg=name)
