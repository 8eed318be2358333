"""Where predictions are written to: checked before the work, so that nothing is lost after it or overwritten by it."""

import os
import tempfile
from collections.abc import Sequence

from timnet import storage
from timnet.corpora.base import is_audio
from timnet.errors import ConfigError
from timnet.predict.inputs import Input
from timnet.predict.written import is_written
from timnet.store import Store, beside


def place(output: str, inputs: Sequence[Input], model: str) -> tuple[Store, str]:
    """The folder and the name of the file that --output means; what a link points to is meant, not the link.

    Raises ConfigError where no file can be written there, and where there is anything but a file of predictions, which is
    replaced; StoreError where S3 is away or refuses.
    """
    if is_audio(output):
        raise ConfigError(f"--output {output} is named like a recording, which predictions are not. Give another name.")
    if storage.is_s3(output):
        store, name = beside(output)
        store.check()
        _refuse_inputs(output, [one for one in inputs if one.source.at(one.path) == store.at(name)])
        _refuse_others(output, store, name)
        return store, name
    if "://" in output and not output.startswith("file://"):
        raise ConfigError(f"--output {output} cannot be written. Allowed are a file, file://… and s3://bucket/name.")
    path = os.path.realpath(os.path.expanduser(output.removeprefix("file://")))
    if output.endswith("/") or os.path.isdir(path):
        raise ConfigError(f"--output {output} is a folder. Give the name of a file in it.")
    if os.path.isfile(path):
        _refuse_inputs(output, [one for one in inputs if one.source.is_local and _same(one.source.at(one.path), path)])
        if _same(model, path):
            raise ConfigError(f"--output {output} is the model, and would be overwritten. Give another name.")
    elif os.path.lexists(path):
        raise ConfigError(f"--output {output} is not a regular file, and is not replaced. Give the name of a file.")
    above = os.path.dirname(path)
    while not os.path.lexists(above):
        above = os.path.dirname(above)
    if not os.path.isdir(above):
        raise ConfigError(f"--output {output} cannot be written: {above} is not a folder. Give another name.")
    store, name = beside(path)
    _refuse_others(output, store, name)
    _try(output, above, name)
    return store, name


def _refuse_others(output: str, store: Store, name: str) -> None:
    """What is there and was not predicted may be all that somebody has, such as a corpus's table of recordings."""
    if store.exists(name) and (data := store.read_bytes(name)) and not is_written(data):
        raise ConfigError(
            f"--output {output} is there and holds something else than predictions, so it is not replaced. Give another "
            "name, or move that file away."
        )


def _try(output: str, folder: str, name: str) -> None:
    """Write nothing to a file as the predictions will be, or say before the work that it cannot be done."""
    try:
        with tempfile.NamedTemporaryFile(prefix=f"{name}.", suffix=f"-{os.getpid()}.partial", dir=folder):
            pass
    except OSError as error:
        raise ConfigError(
            f"--output {output} cannot be written: {folder} may not be written to ({error.strerror}). Give another name or "
            "folder."
        ) from error


def _refuse_inputs(output: str, same: Sequence[Input]) -> None:
    if same:
        raise ConfigError(f"--output {output} is a file to be predicted ({same[0].shown}). Give another name.")


def _same(one: str, path: str) -> bool:
    return os.path.exists(one) and os.path.samefile(one, path)
