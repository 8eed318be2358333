"""The authors' artefacts: where their files are found, and their bytes.

What is in them: `published_features` (`<CORPUS>.npy`) and `published_weights` (`10-fold_weights_best_<fold>.hdf5`).
"""

import os
import re

from timnet import storage
from timnet.errors import WeightsError
from timnet.models.base import some

_WEIGHTS_FILE = re.compile(r"([0-9]+)-fold_weights_best_([0-9]+)\.(?:hdf5|h5)")


def weights_files(folder: "str | os.PathLike[str]", n_folds: int) -> list[str]:
    """The weight files of the folds 1 to n_folds, in this order, as paths or URIs; other files do not matter.

    Raises WeightsError where the folder cannot be read, a fold has no file or several, or there are more folds.
    """
    root = os.fspath(folder).rstrip("/") or "/"
    rule = (
        f"Wanted is one file a fold, {n_folds}-fold_weights_best_1.hdf5 to {n_folds}-fold_weights_best_{n_folds}.hdf5"
    )
    try:
        names = storage.names_in(root)
    except (OSError, ValueError) as error:
        raise WeightsError(f"The folder of weights {root} cannot be read: {error}. {rule}.") from error
    if names is None:
        raise WeightsError(f"The folder of weights {root} is not there, or is not a folder. {rule}.")
    matches = [match for match in map(_WEIGHTS_FILE.fullmatch, names) if match]
    mine = [match for match in matches if int(match[1]) == n_folds]
    if not mine:
        others = sorted({int(match[1]) for match in matches})
        held = f"those of {' and '.join(map(str, others))} folds" if others else f"{len(names)} other files and folders"
        advice = f"use --folds {others[0]}" if others else "give the folder that holds them"
        raise WeightsError(f"{root} has no weights of {n_folds} folds, but {held}. {rule}; {advice}.")
    of_fold: dict[int, list[str]] = {}
    for match in mine:
        of_fold.setdefault(int(match[2]), []).append(match[0])
    wrong = [f"no file of fold {fold}" for fold in range(1, n_folds + 1) if fold not in of_fold]
    wrong += [f"{' and '.join(files)} for fold {fold}" for fold, files in sorted(of_fold.items()) if len(files) > 1]
    wrong += [f"{of_fold[fold][0]} beyond {n_folds} folds" for fold in sorted(of_fold) if not 1 <= fold <= n_folds]
    if wrong:
        raise WeightsError(f"{root} has {some(wrong)}. {rule}; add what is missing and take away the rest.")
    return [f"{root.rstrip('/')}/{of_fold[fold][0]}" for fold in range(1, n_folds + 1)]


def contents(source: "str | os.PathLike[str] | bytes", max_bytes: int) -> tuple[bytes, str]:
    """The bytes of a file and what messages call it; raises WeightsError where it cannot be read or is too large."""
    if isinstance(source, bytes):
        return source, "The given file"
    name = os.fspath(source)
    try:
        fs, path = storage.open_at(name)
        with storage.explained(name):
            size = fs.size(path) or 0
        if size > max_bytes:
            raise WeightsError(
                f"{name} has {size} bytes; published files of its kind have less than {max_bytes}. Give the right file."
            )
        with storage.explained(name):
            return fs.cat_file(path), name
    except (OSError, ValueError) as error:
        reason = "it is not there" if isinstance(error, FileNotFoundError) else error
        raise WeightsError(
            f"{name} cannot be read: {reason}. Allowed are a file, file://… and s3://bucket/key."
        ) from error
