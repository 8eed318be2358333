"""Every row of FORMATS through one harness: written, read by the format's own runtime, and compared."""

import hashlib
import json
import re
import subprocess
import sys
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile

from flows import export as command
from tests.exportable import LABELS, network
from timnet import models
from timnet.corpora import demo
from timnet.errors import ExportError
from timnet.export import FORMATS, Check, Examples, Format, examples, export
from timnet.export.write import checked
from timnet.predict import Recogniser
from timnet.store import Store
from timnet.trained import of_file

NETWORKS = [name for name in models.names() if models.get(name).is_network]

pytestmark = pytest.mark.usefixtures("trainer")


@dataclass
class Case:
    form: Format
    path: Path
    check: Check
    recogniser: Recogniser
    examples: Examples
    expected: np.ndarray  # (n, n_classes), of the Keras models of the folds


@pytest.fixture(scope="module")
def given(trainer, tmp_path_factory):
    """A model, examples, and what its folds say of these."""
    trained = network()
    found = examples(trained, Store(str(tmp_path_factory.mktemp("store"))))
    return Recogniser(trained), found, said_by(Recogniser(trained), found.features)


@pytest.fixture(scope="module")
def of_another(given):
    return said_by(Recogniser(network(seed=1)), given[1].features)


def said_by(recogniser, x):
    return recogniser.probabilities(x).mean(axis=0)


@pytest.fixture(scope="module", params=FORMATS)
def case(request, given, tmp_path_factory):
    form = FORMATS[request.param]
    for package in form.packages:
        pytest.importorskip(package)
    path = tmp_path_factory.mktemp(form.name) / f"model{form.suffix}"
    done = export(given[0].trained, form, path, given[1])
    return Case(form, path, done.check, *given)


def test_every_format_gives_what_the_model_gives_for_any_number_of_recordings(case):
    assert np.ptp(case.expected, axis=0).max() > 0.05  # or any answer would do
    assert case.check.max_difference <= case.form.tolerance
    assert case.check.n_same_answer == len(case.expected)
    x = case.examples.features
    for n, found in zip((1, 3, 8), case.form.predict(case.path, [x[:1], x[:3], x]), strict=True):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, case.expected[:n], atol=case.form.tolerance, rtol=0)


def test_every_file_says_what_it_is(case):
    match case.form.name:
        case "onnx":
            import onnx

            model = onnx.load(case.path)
            said = {one.key: one.value for one in model.metadata_props}
            assert said["run_id"] == "made-up"
            said = {key: json.loads(said[key]) for key in ("labels", "features")}
            ends = [(one.name, one.type.tensor_type.shape.dim) for one in (*model.graph.input, *model.graph.output)]
            assert [(name, [dim.dim_param or dim.dim_value for dim in dims]) for name, dims in ends] == [
                ("frames", ["batch", 17, 39]),
                ("probabilities", ["batch", 3]),
            ]
        case "npz":
            again = of_file(case.path)
            said = {"labels": list(again.labels), "features": {"hop_samples": again.profile.hop_samples}}
        case _:
            with zipfile.ZipFile(case.path) as archive:
                said = json.loads(archive.read("timnet.json"))
    assert said["labels"] == list(LABELS)
    assert said["features"]["hop_samples"] == 512


def test_every_file_has_its_card(case):
    assert sorted(path.name for path in case.path.parent.iterdir()) == [
        f"model{case.form.suffix}{ending}" for ending in ("", ".json", ".md")
    ]
    facts = json.loads(Path(f"{case.path}.json").read_text())
    sha256 = hashlib.sha256(case.path.read_bytes()).hexdigest()
    assert facts["file"]["sha256"] == sha256
    assert facts["scores"]["pooled"]["uar"] == 0.5924
    assert facts["check"]["max_difference"] == case.check.max_difference
    card = Path(f"{case.path}.md").read_text()
    assert sha256 in card
    assert case.check.runtime in card


def test_the_code_in_every_card_works(case, monkeypatch):
    monkeypatch.chdir(case.path.parent)
    samples = demo.utterance("s04", "t2", "angry")
    soundfile.write("a.wav", samples, 16_000)
    blocks = re.findall(r"```python\n(.*?)```", Path(f"{case.path.name}.md").read_text(), re.DOTALL)
    ours, librosas, asked = blocks
    names = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(ours, names)
        frames = names["frames"]
        if case.form.name == "npz":  # once is enough
            exec(librosas, names)
            np.testing.assert_allclose(names["frames"], frames, atol=2e-3)
        exec(asked, names)
    Path("a.wav").unlink()
    expected = said_by(case.recogniser, frames[None])
    np.testing.assert_allclose(names["probabilities"], expected, atol=case.form.tolerance)


def test_a_file_of_another_model_is_refused(case, of_another):
    with pytest.raises(ExportError, match=f"The {case.form.name} file gives other probabilities than the model"):
        checked(case.path, case.form, case.examples, of_another)


def test_a_file_that_is_broken_is_refused(case, tmp_path):
    """At its beginning: of one that is cut off, TensorFlow Lite does not notice it and ends the process."""
    broken = tmp_path / case.path.name
    broken.write_bytes(bytes(64) + case.path.read_bytes()[64:])
    with pytest.raises(ExportError, match=f"The {case.form.name} file cannot be read by"):
        checked(broken, case.form, case.examples, case.expected)


def test_the_command_offers_every_format():
    assert tuple(FORMATS) == command.FORMATS


ALONE = """
import os, sys
sys.modules["timnet"] = sys.modules["tensorflow"] = None  # importing them fails
os.environ["KERAS_BACKEND"] = "jax"
import keras, numpy as np
model = keras.saving.load_model(sys.argv[1])
np.save(sys.argv[2], np.asarray(model(np.load(sys.argv[3]), training=False)))
"""


@pytest.mark.parametrize("case", ["keras"], indirect=True)
def test_a_keras_file_needs_neither_timnet_nor_tensorflow(case, tmp_path):
    np.save(tmp_path / "in.npy", case.examples.features)
    arguments = [case.path, tmp_path / "out.npy", tmp_path / "in.npy"]
    done = subprocess.run(
        [sys.executable, "-I", "-c", ALONE, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), case.expected, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "timnet"])
@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
def test_every_network_in_every_format(name, form, given, tmp_path):
    for package in form.packages:
        pytest.importorskip(package)
    done = export(network(name), form, tmp_path / f"model{form.suffix}", given[1])
    assert done.check.n_same_answer == done.check.n_examples
