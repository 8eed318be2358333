"""The formats, each written with its own library and read again by the runtime that its users have."""

import json
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from timnet import __version__
from timnet.errors import ExportError
from timnet.export.network import INPUT, OUTPUT, ensemble, member, traced
from timnet.trained import Trained, of_file, save

if TYPE_CHECKING:
    import onnx

ABOUT = "timnet.json"  # in the zip archive that .keras is, and that follows the model in .tflite
ONNX_OPSET = 18


@dataclass(frozen=True)
class Format:
    name: str
    description: str
    tolerance: float  # largest difference of a probability from the Keras model
    write: Callable[[Trained, Mapping[str, Any], Path], None]  # with what is to be known about the model
    # Batches of features (n, n_frames, n_coefficients) to probabilities (n, n_classes), by the format's own runtime.
    predict: Callable[[Path, Sequence[np.ndarray]], list[np.ndarray]]
    runtime: Callable[[], str]
    packages: tuple[str, ...] = ()  # of the extra `export`
    networks_only: bool = True

    @property
    def suffix(self) -> str:
        return f".{self.name}"


@contextmanager
def _without(message: str) -> Iterator[None]:
    """Without a warning that nobody can mend here."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=message)
        yield


# -- Keras ------------------------------------------------------------------------------------------------------------


def _write_keras(trained: Trained, about: Mapping[str, Any], path: Path) -> None:
    with _without("__array__ implementation doesn't accept a copy keyword"):  # Keras about itself and NumPy 2
        ensemble(trained).save(path)
    with zipfile.ZipFile(path) as archive:
        strangers = sorted(_classes_of_others(json.loads(archive.read("config.json"))))
    if strangers:
        raise ExportError(
            f"The model {trained.model.name} has parts that Keras alone does not know: {', '.join(strangers)}. Allowed "
            "are layers and operations of Keras; use these, or export as npz."
        )
    _append(path, about)


def _classes_of_others(config: Any) -> set[str]:
    """Classes named anywhere in a model's config that are not part of Keras: no other program could load them."""
    if isinstance(config, list):
        return {name for part in config for name in _classes_of_others(part)}
    if not isinstance(config, dict):
        return set()
    module = config.get("module")
    own = {f"{module}.{config.get('class_name')}"} if module and str(module).split(".")[0] != "keras" else set()
    return own | _classes_of_others(list(config.values()))


def _append(path: Path, about: Mapping[str, Any]) -> None:
    """Put what is to be known into the file as a member of a zip archive. Readers of .keras and .tflite pass over it."""
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(ABOUT, json.dumps(about, indent=2, ensure_ascii=False, allow_nan=False))


def _predict_keras(path: Path, batches: Sequence[np.ndarray]) -> list[np.ndarray]:
    import keras

    with _without("__array__ implementation doesn't accept a copy keyword"):
        model = keras.saving.load_model(path)
    return [np.asarray(model(batch, training=False)) for batch in batches]


# -- ONNX -------------------------------------------------------------------------------------------------------------


def _write_onnx(trained: Trained, about: Mapping[str, Any], path: Path) -> None:
    """Each fold is converted alone: the time it takes grows faster than the network."""
    import onnx
    from onnx import TensorProto, compose, helper

    nodes, initializers, found = [], [], []
    for one in trained.folds:
        part = compose.add_prefix(_onnx(replace(trained, folds=(one,))), f"{member(one)}/")
        nodes += [helper.make_node("Identity", [INPUT], [part.graph.input[0].name]), *part.graph.node]
        initializers += part.graph.initializer
        found.append(part.graph.output[0].name)
    nodes.append(helper.make_node("Mean", found, [OUTPUT]))
    shapes = {end: about[end]["shape"] for end in ("input", "output")}
    graph = helper.make_graph(
        nodes,
        trained.model.name,
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, shapes["input"])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, shapes["output"])],
        initializers,
    )
    model = helper.make_model(
        graph, producer_name="timnet", ir_version=part.ir_version, opset_imports=list(part.opset_import)
    )
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in about.items()}
    helper.set_model_props(model, texts)
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString())


def _onnx(trained: Trained) -> "onnx.ModelProto":
    import tf2onnx

    function = traced(ensemble(trained))
    return tf2onnx.convert.from_function(function, input_signature=function.input_signature, opset=ONNX_OPSET)[0]


def _predict_onnx(path: Path, batches: Sequence[np.ndarray]) -> list[np.ndarray]:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return [session.run([OUTPUT], {INPUT: batch})[0] for batch in batches]


# -- TensorFlow Lite --------------------------------------------------------------------------------------------------


def _write_tflite(trained: Trained, about: Mapping[str, Any], path: Path) -> None:
    import tensorflow as tf

    owner = tf.Module()
    owner.predict = traced(ensemble(trained))
    concrete = owner.predict.get_concrete_function()
    path.write_bytes(tf.lite.TFLiteConverter.from_concrete_functions([concrete], owner).convert())
    _append(path, about)


def _predict_tflite(path: Path, batches: Sequence[np.ndarray]) -> list[np.ndarray]:
    import tensorflow as tf

    # It names the package that will hold the interpreter one day. TensorFlow's own reads the same files.
    with _without(r"\s*Warning: tf.lite.Interpreter is deprecated"):
        interpreter = tf.lite.Interpreter(model_path=str(path))
    predict = interpreter.get_signature_runner()
    return [predict(**{INPUT: batch})[OUTPUT] for batch in batches]


# -- our own ----------------------------------------------------------------------------------------------------------


def _write_npz(trained: Trained, about: Mapping[str, Any], path: Path) -> None:
    save(trained, path)  # holds all that `about` is made of


def _predict_npz(path: Path, batches: Sequence[np.ndarray]) -> list[np.ndarray]:
    from timnet.predict import Recogniser

    recogniser = Recogniser(of_file(path))
    return [recogniser.probabilities(batch).mean(axis=0) for batch in batches]


def _versions(*packages: str) -> Callable[[], str]:
    return lambda: ", ".join(f"{package} {version(package)}" for package in packages)


FORMATS = {
    one.name: one
    for one in (
        Format(
            name="keras",
            description="Keras' own format; any Keras 3 loads it, on each of its backends",
            tolerance=1e-5,
            write=_write_keras,
            predict=_predict_keras,
            runtime=_versions("keras", "tensorflow"),
        ),
        Format(
            name="onnx",
            description="for ONNX Runtime and other programs without Python or TensorFlow",
            tolerance=1e-4,
            write=_write_onnx,
            predict=_predict_onnx,
            runtime=_versions("onnxruntime"),
            packages=("onnx", "onnxruntime", "tf2onnx"),
        ),
        Format(
            name="tflite",
            description="TensorFlow Lite (LiteRT), for phones and small devices",
            tolerance=1e-4,
            write=_write_tflite,
            predict=_predict_tflite,
            runtime=_versions("tensorflow"),
        ),
        Format(
            name="npz",
            description="all folds with all that timnet knows about them, for `timnet predict --model FILE`",
            tolerance=1e-6,
            write=_write_npz,
            predict=_predict_npz,
            runtime=lambda: f"timnet {__version__}",
            networks_only=False,
        ),
    )
}
