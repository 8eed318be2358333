"""A trained model as one `.npz` file: the weights of a fold as `SEED/FOLD/NAME`, and `about`, which is JSON in bytes.

Nothing in it is pickled: reading a stranger's file runs none of his code.
"""

import json
import os
from dataclasses import asdict, fields
from typing import Any

import numpy as np

from timnet.config import ModelSettings
from timnet.errors import BrokenFileError, TimnetError, WeightsError
from timnet.features import FeatureProfile
from timnet.store import beside
from timnet.trained.base import Heard, Trained, TrainedFold

SUFFIX = ".npz"
ABOUT = "about"
FORMAT_VERSION = 2  # raise when older programs would read it wrongly


def save(trained: Trained, path: "str | os.PathLike[str]") -> None:
    """Write everything into one file, at a path or URI, whole or not at all; raises StoreError where it cannot."""
    about = {field.name: getattr(trained, field.name) for field in fields(Trained) if field.name != "folds"}
    about |= {name: asdict(about[name]) for name in ("model", "profile", "heard")}
    about |= {"format_version": FORMAT_VERSION}
    about["folds"] = [{"seed": one.seed, "fold": one.fold, "trained_on": one.trained_on} for one in trained.folds]
    arrays = {ABOUT: np.frombuffer(json.dumps(about, allow_nan=False).encode(), np.uint8)}
    for one in trained.folds:
        arrays |= {f"{one.seed}/{one.fold}/{name}": array for name, array in one.weights.items()}
    store, name = beside(path)
    store.write_arrays(name, arrays)


def of_file(path: "str | os.PathLike[str]") -> Trained:
    """Read what `save` wrote. Raises WeightsError where there is no such file."""
    store, name = beside(path)
    if not store.exists(name):
        raise _wrong(path, "is not there")
    try:
        arrays = store.read_arrays(name)
    except BrokenFileError as error:
        raise _wrong(path, "is broken, cut off or no .npz file at all") from error
    if ABOUT not in arrays or arrays[ABOUT].dtype != np.uint8:
        raise _wrong(path, f"has no entry {ABOUT!r} that says what it is, but {len(arrays)} other arrays")
    try:
        about = json.loads(arrays.pop(ABOUT).tobytes())
        if about["format_version"] != FORMAT_VERSION:
            raise _wrong(path, f"has the format {about['format_version']}, and this version reads {FORMAT_VERSION}")
        return _trained(about, arrays)
    except WeightsError:
        raise
    except KeyError as error:
        raise _wrong(path, f"lacks {error}") from error
    except (ValueError, TypeError, AttributeError, TimnetError) as error:
        raise _wrong(path, f"says of itself what cannot be ({error})") from error


def _trained(about: dict[str, Any], arrays: dict[str, np.ndarray]) -> Trained:
    folds = []
    for one in about.pop("folds"):
        beginning = f"{one['seed']}/{one['fold']}/"
        weights = {name[len(beginning) :]: arrays[name] for name in arrays if name.startswith(beginning)}
        fold = TrainedFold(int(one["seed"]), int(one["fold"]), weights, one["trained_on"])
        if not weights:
            raise ValueError(f"no weights of {fold.name}")
        if bad := [name for name, array in weights.items() if array.dtype.kind != "f" or not np.isfinite(array).all()]:
            raise ValueError(f"{bad[0]} of {fold.name} has values that are no finite numbers")
        folds.append(fold)
    del about["format_version"]
    known = {field.name for field in fields(Trained)} - {"folds"}
    if about.keys() != known:
        raise ValueError(f"its entries are {', '.join(sorted(about))}; expected are {', '.join(sorted(known))}")
    about["labels"], about["missing"] = tuple(map(str, about["labels"])), tuple(map(str, about["missing"]))
    about["model"] = ModelSettings(**about["model"])
    about["profile"] = FeatureProfile(**about["profile"])
    about["heard"] = Heard(**{name: value and _tuple(value) for name, value in about["heard"].items()})
    if not folds or len(about["labels"]) != about["model"].n_classes:
        raise ValueError(
            f"{len(folds)} folds, and {len(about['labels'])} labels for {about['model'].n_classes} classes"
        )
    return Trained(**about, folds=tuple(folds))


def _tuple(values: list[Any]) -> tuple[Any, ...]:
    return tuple(_tuple(value) if isinstance(value, list) else value for value in values)


def _wrong(path: "str | os.PathLike[str]", what: str) -> WeightsError:
    return WeightsError(
        f"{os.fspath(path)} {what}. Wanted is a file that `timnet export --format npz` wrote; export it again."
    )
