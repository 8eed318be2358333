"""The authors' weights, in and out: one HDF5 file a fold, `10-fold_weights_best_<fold>.hdf5`, as Keras 2 saved them.

Which layers such a file holds, and in which order, says `published_layers`.
"""

import hashlib
import io
import os
from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np

from timnet.config import ModelSettings
from timnet.errors import WeightsError
from timnet.models.base import some
from timnet.published import contents
from timnet.published_layers import Layer, check_layers, layers
from timnet.training import INPUT_MEAN, INPUT_SD

MAX_WEIGHTS_BYTES = 64 * 2**20  # a published file has less than one
MAX_LAYERS, MAX_LETTERS = 10_000, 1_000  # of a list of layers and a name in it; published files have about 200 and 30
BACKEND, KERAS_VERSION = b"tensorflow", b"2.4.0"  # what the published files name
SIGNATURE = b"\x89HDF\r\n\x1a\n"


def read_weights(source: "str | os.PathLike[str] | bytes", settings: ModelSettings) -> dict[str, np.ndarray]:
    """The weights of one fold, float32, by the names that models.base.set_weights takes.

    `source` is a path, a URI or the bytes of a file. Raises WeightsError where it is no whole HDF5 file of Keras 2, or
    its layers, shapes or numbers are not those of the published network of these settings. Links are never followed.
    """
    wanted = layers(settings)
    data, name = contents(source, MAX_WEIGHTS_BYTES)
    if not data.startswith(SIGNATURE):
        raise WeightsError(
            f"{name} is not an HDF5 file: it starts with {data[:8]!r}. Published weights are files such as "
            "10-fold_weights_best_1.hdf5; give one of them."
        )
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            return _read(file, wanted, settings, name)
    except WeightsError:
        raise
    except Exception as error:  # h5py passes on what the HDF5 library says of a broken file, in many types
        raise WeightsError(
            f"{name} is a broken or cut-off HDF5 file of {len(data)} bytes ({error}). Fetch it again from where it "
            "came from."
        ) from error


def weights_sha256(source: "str | os.PathLike[str] | bytes") -> str:
    """What a weight file is known by: the SHA-256 of its bytes."""
    return hashlib.sha256(contents(source, MAX_WEIGHTS_BYTES)[0]).hexdigest()


def write_weights(weights: Mapping[str, np.ndarray], settings: ModelSettings) -> bytes:
    """The bytes of a weight file that Keras 2 loads into the published network of these settings.

    `weights` are those of training.FoldResult. The published network standardises nothing: a mean and sd of the input
    among the weights go into its first convolutions, which then give the same. Raises WeightsError where names or
    shapes are not those of the network, or a weight is not finite.
    """
    wanted = layers(settings)
    ready = _without_standardisation(_checked(weights, wanted, settings))
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        # Keras 2 looks at layers with weights alone, so those without are not listed.
        file.attrs["layer_names"] = np.array([layer.keras_name for layer in wanted], "S")
        file.attrs["backend"], file.attrs["keras_version"] = BACKEND, KERAS_VERSION
        for layer in wanted:
            group = file.create_group(layer.keras_name)
            group.attrs["weight_names"] = np.array([f"{layer.keras_name}/{weight}:0" for weight in layer.shapes], "S")
            for weight in layer.shapes:
                group.create_dataset(f"{layer.keras_name}/{weight}:0", data=ready[f"{layer.ours}/{weight}"])
    return buffer.getvalue()


def _checked(weights: Mapping[str, np.ndarray], wanted: list[Layer], settings: ModelSettings) -> dict[str, np.ndarray]:
    """All as float32; raises WeightsError where names, shapes or numbers are not those of the network."""
    shapes = {f"{layer.ours}/{weight}": shape for layer in wanted for weight, shape in layer.shapes.items()}
    if INPUT_MEAN in weights or INPUT_SD in weights:
        shapes |= dict.fromkeys((INPUT_MEAN, INPUT_SD), (settings.n_coefficients,))
    missing, unknown = sorted(shapes.keys() - weights.keys()), sorted(weights.keys() - shapes.keys())
    if missing or unknown:
        raise WeightsError(
            f"These weights are not of the published network with {settings.n_tabs} blocks: missing {some(missing)}, "
            f"unknown {some(unknown)}. Give the settings that they were trained with."
        )
    for name, shape in shapes.items():
        _check_shape(weights[name].shape, shape, name, "What is to be written")
        _check_numbers(weights[name], name, "What is to be written")
    return {name: np.asarray(value, "<f4") for name, value in weights.items()}


def _without_standardisation(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """(x - mean) / sd @ kernel + bias is x @ (kernel / sd) + (bias - mean / sd @ kernel)."""
    if INPUT_MEAN not in weights:
        return weights
    mean, sd = weights[INPUT_MEAN].astype(np.float64), weights[INPUT_SD].astype(np.float64)
    folded = dict(weights)
    for stem in ("forward/stem", "backward/stem"):
        kernel, bias = weights[f"{stem}/kernel"], weights[f"{stem}/bias"]
        folded[f"{stem}/kernel"] = (kernel / sd[:, None]).astype("<f4")
        folded[f"{stem}/bias"] = (bias - (mean / sd) @ kernel[0]).astype("<f4")
    return folded


# -- reading ----------------------------------------------------------------------------------------------------------


def _read(file: h5py.File, wanted: list[Layer], settings: ModelSettings, name: str) -> dict[str, np.ndarray]:
    found = []  # (layer, its group, names of its weights), of layers with weights
    for layer_name in _names(file, "layer_names", name):
        group = _member(file, layer_name, name)
        if weight_names := _names(group, "weight_names", name):
            found.append((layer_name, group, weight_names))
    check_layers([layer_name for layer_name, _, _ in found], wanted, settings, name)
    result = {}
    for layer, (layer_name, group, weight_names) in zip(wanted, found, strict=True):
        if [weight.rsplit("/", 1)[-1] for weight in weight_names] != [f"{weight}:0" for weight in layer.shapes]:
            raise WeightsError(
                f"{name}: the layer {layer_name} has the weights {some(weight_names)}; a layer {layer.kind} has "
                f"{', '.join(layer.shapes)}. The file is not of the published network."
            )
        for (weight, shape), path in zip(layer.shapes.items(), weight_names, strict=True):
            ours = f"{layer.ours}/{weight}"
            result[ours] = _floats(_member(group, path, name), shape, ours, f"{name}: {layer_name}")
    return result


def _names(group: Any, attribute: str, name: str) -> list[str]:
    """A list of names among the attributes of a group; Keras writes the empty one as numbers."""
    if not isinstance(group, h5py.Group) or attribute not in group.attrs:
        raise WeightsError(
            f"{name} has no {attribute} at {group.name}: Keras 2 did not write it with save_weights. Give a file of "
            "weights alone, not a whole model and not one of Keras 3."
        )
    stored = group.attrs.get_id(attribute)
    if stored.shape == (0,):
        return []
    large = len(stored.shape) != 1 or stored.shape[0] > MAX_LAYERS or stored.dtype.itemsize > MAX_LETTERS
    if large or h5py.check_string_dtype(stored.dtype) is None:
        raise WeightsError(
            f"{name}: {attribute} at {group.name} is {stored.dtype} of shape {stored.shape}; allowed is a list of at "
            f"most {MAX_LAYERS} names. Fetch the file again from where it came from."
        )
    return [value.decode() if isinstance(value, bytes) else str(value) for value in group.attrs[attribute]]


def _member(group: Any, path: str, name: str) -> Any:
    """What lies at a path below a group. Links of other kinds than HDF5's own tree could lead to any file: refused."""
    for part in path.split("/"):
        key = part.encode()
        if not isinstance(group, h5py.Group) or not part or not group.id.links.exists(key):
            raise WeightsError(
                f"{name} names {path} and does not hold it. Fetch the file again from where it came from."
            )
        if group.id.links.get_info(key).type != h5py.h5l.TYPE_HARD:
            raise WeightsError(
                f"{name}: {path} is a link to somewhere else, which is not followed. Weights lie in their own file; "
                "fetch it again from where it came from."
            )
        group = group[part]
    return group


def _floats(dataset: Any, shape: tuple[int, ...], weight: str, where: str) -> np.ndarray:
    """The numbers of a dataset, float32. Read are only those that lie in the file itself, as many as the shape says."""
    if not isinstance(dataset, h5py.Dataset):
        raise WeightsError(f"{where}, {weight}, is not an array. Fetch the file again from where it came from.")
    # First of all: HDF5 opens the other files to answer even for the shape.
    kept = dataset.id.get_create_plist()
    if kept.get_layout() not in {h5py.h5d.CONTIGUOUS, h5py.h5d.COMPACT} or kept.get_external_count():
        raise WeightsError(
            f"{where}, {weight}, lies in another file or in compressed pieces; allowed are plain arrays, as Keras 2 "
            "writes them. Fetch the file again from where it came from."
        )
    _check_shape(dataset.shape, shape, weight, where)
    if dataset.dtype.kind != "f" or dataset.dtype.itemsize != 4:
        raise WeightsError(
            f"{where}, {weight}, is {dataset.dtype}; allowed is float32. Give a file of published weights."
        )
    value = dataset[()].astype(np.float32)
    _check_numbers(value, weight, where)
    return value


def _check_shape(received: tuple[int, ...] | None, shape: tuple[int, ...], weight: str, where: str) -> None:
    if received == shape:
        return
    if weight.startswith("classifier/") and received and received[:-1] == shape[:-1]:
        raise WeightsError(
            f"{where}, {weight}, tells {received[-1]} classes apart, and the model {shape[-1]}. Give the weights of "
            "this corpus: published are 4 classes for IEMOCAP, 6 for CASIA, 7 for EMODB, EMOVO and SAVEE, 8 for "
            "RAVDESS."
        )
    raise WeightsError(
        f"{where}, {weight}, has the shape {received}, and the model needs {shape}. Are the numbers of coefficients, "
        "filters and blocks the same?"
    )


def _check_numbers(value: np.ndarray, weight: str, where: str) -> None:
    if n_bad := np.count_nonzero(~np.isfinite(value)):
        raise WeightsError(
            f"{where}, {weight}, has {n_bad} values that are not finite, of {value.size}. Training diverged or the "
            "file is broken: give other weights."
        )
    if (weight.endswith("/moving_variance") and value.min() < 0) or (weight == INPUT_SD and value.min() <= 0):
        raise WeightsError(
            f"{where}, {weight}, has the value {value.min()}, and a measure of spread is above 0. The file is broken: "
            "give other weights."
        )
