"""The authors' features, in and out: `<CORPUS>.npy`, a pickled dict of x and y.

`x` is float32 (n_utterances, n_frames, 39), `y` float32 one-hot (n_utterances, n_classes), in published order. Such a
file is an `.npy` header and a pickle; `published_pickle` reads it without running anything.
"""

import io
import math
import os
import pickle
from typing import Any

import numpy as np

from timnet.config import N_COEFFICIENTS
from timnet.errors import WeightsError
from timnet.published import contents
from timnet.published_pickle import RefusedError, parts, short, unpickled

MAX_FEATURES_BYTES = 2 * 2**30  # four times IEMOCAP, the largest published file
PICKLE_PROTOCOL = 3  # what np.save of numpy 1 wrote
NUMPY_1 = b"cnumpy.core.multiarray\n"  # the module as numpy 1 calls it, after the pickle's instruction to fetch a name
NUMPY_2 = b"cnumpy._core.multiarray\n"

ALLOWED = (
    f'Allowed is what np.save writes of a dict of "x", float32 (n_utterances, n_frames, {N_COEFFICIENTS}), and "y", '
    "float32 one-hot (n_utterances, n_classes)."
)


def read_features(source: "str | os.PathLike[str] | bytes") -> tuple[np.ndarray, np.ndarray]:
    """x, float32 (n_utterances, n_frames, 39), and y, float32 one-hot (n_utterances, n_classes).

    `source` is a path, a URI or the bytes of a file. Raises WeightsError where it is anything else than such a file;
    nothing that a file says is ever executed.
    """
    data, name = contents(source, MAX_FEATURES_BYTES)
    try:
        x, y = _x_and_y(unpickled(data))
    except RefusedError as refused:
        raise WeightsError(
            f"{name} cannot be read as published features: {refused}. {ALLOWED} Fetch the file again from where it "
            "came from, or extract the features here."
        ) from None
    del data  # before the copies: the largest file has half a gigabyte
    x, y = x.copy(), y.copy()
    _check(x, y, name)
    return x, y


def write_features(x: np.ndarray, y: np.ndarray) -> bytes:
    """The bytes of a published feature file, as numpy 1 wrote and reads it.

    `x` is float32 (n_utterances, n_frames, 39), `y` float32 one-hot (n_utterances, n_classes). Raises WeightsError
    where they are not. For 256 to 65 535 utterances of fewer than 256 frames that is 431 bytes more than x and y have.
    """
    _check(x, y, "What is to be written")
    if x.nbytes + y.nbytes > MAX_FEATURES_BYTES:
        raise WeightsError(
            f"What is to be written has {x.nbytes + y.nbytes} bytes; a published feature file has less than "
            f"{MAX_FEATURES_BYTES}. Write the utterances into several files."
        )
    # A view has the one and only dtype object of float32, which the pickle then describes once and not twice.
    features = {"x": np.ascontiguousarray(x).view(np.float32), "y": np.ascontiguousarray(y).view(np.float32)}
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|O", "fortran_order": False, "shape": ()})
    pickled = pickle.dumps(np.array(features, dtype=object), protocol=PICKLE_PROTOCOL)
    # The name is fetched once, before any data; numpy 1 does not know numpy 2's.
    start = pickled.index(NUMPY_2)
    rest = memoryview(pickled)[start + len(NUMPY_2) :]
    return b"".join((header.getvalue(), pickled[:start], NUMPY_1, rest))


def _x_and_y(value: Any) -> tuple[np.ndarray, np.ndarray]:
    """Views of the pickle's bytes; raises RefusedError."""
    shape, dtype, _, items = parts(value, "what it holds")
    if shape != () or dtype[:1] != ("O8",) or type(items) is not list or len(items) != 1 or type(items[0]) is not dict:
        raise RefusedError("its array of objects does not hold one dict")
    features = items[0]
    if set(features) != {"x", "y"}:
        keys = sorted(short(key) if type(key) is str else type(key).__name__ for key in features)
        raise RefusedError(f"its dict has the keys {', '.join(keys[:5]) or 'none'}{' …' if len(keys) > 5 else ''}")
    return _floats(features["x"], "x", 3), _floats(features["y"], "y", 2)


def _floats(value: Any, name: str, n_axes: int) -> np.ndarray:
    shape, dtype, fortran, data = parts(value, name)
    if dtype != ("f4", "<"):
        raise RefusedError(f"{name} is of the type {short(''.join(reversed(dtype)))}, not '<f4', little-endian float32")
    if not all(type(length) is int for length in shape):
        raise RefusedError(f"the shape of {name} is not made of numbers")
    if len(shape) != n_axes or min(shape) < 1:
        raise RefusedError(f"{name} has the shape {shape[:8]}, not {n_axes} axes of at least 1")
    if type(data) is not bytes or len(data) != 4 * math.prod(shape):
        held = f"{len(data)} bytes" if type(data) is bytes else f"a {type(data).__name__}"
        raise RefusedError(f"{name} has the shape {shape}, {4 * math.prod(shape)} bytes, and holds {held}")
    return np.frombuffer(data, np.float32).reshape(shape, order="F" if fortran is True else "C")


def _check(x: np.ndarray, y: np.ndarray, name: str) -> None:
    """Raises WeightsError where x and y are not features and one-hot classes of the same utterances."""
    wrong = None
    if x.dtype != np.float32 or y.dtype != np.float32:
        wrong = f"x is {x.dtype} and y {y.dtype}"
    elif x.ndim != 3 or y.ndim != 2 or 0 in x.shape or x.shape[2] != N_COEFFICIENTS or y.shape[1] < 2:
        wrong = f"x has the shape {x.shape} and y {y.shape}"
    elif len(x) != len(y):
        wrong = f"x has {len(x)} utterances and y {len(y)}"
    elif not np.isfinite(x).all():
        row = next(row for row in range(len(x)) if not np.isfinite(x[row]).all())
        wrong = f"x is not finite in utterance {row} (counted from 0)"
    else:
        off = np.flatnonzero(((y != 0) & (y != 1)).any(axis=1) | (y.sum(axis=1) != 1))
        if len(off):
            wrong = (
                f"y is not one-hot in {len(off)} of {len(y)} utterances, first in utterance {off[0]} (counted from 0)"
            )
    if wrong:
        raise WeightsError(f"{name} is not published features: {wrong}. {ALLOWED} Extract the features again.")
