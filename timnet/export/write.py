"""Write a file, read it with its own runtime, compare, and only then put it in its place with its model card."""

import hashlib
import importlib.util
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from timnet import models
from timnet.errors import ConfigError, ExportError, StoreError, TimnetError
from timnet.export import card
from timnet.export.about import about
from timnet.export.examples import Examples
from timnet.export.formats import FORMATS, Format
from timnet.predict import Recogniser
from timnet.store import beside
from timnet.trained import Trained
from timnet.unfinished import unfinished


@dataclass(frozen=True)
class Check:
    """What came of comparing a file with the model that it was made of."""

    runtime: str
    n_examples: int
    source: str  # of the examples
    real: bool  # of recordings
    max_difference: float  # of a probability
    tolerance: float
    n_same_answer: int  # examples that are given the same emotion

    @property
    def sentence(self) -> str:
        n = self.n_examples
        return (
            f"Checked with {self.runtime} on {n} {'example' if n == 1 else 'examples'} ({self.source}): probabilities "
            f"differ by at most {self.max_difference:.1e} from the model it was made of, {self.tolerance:.0e} being "
            f"allowed; {self.n_same_answer} of {n} are given the same emotion."
        )


@dataclass(frozen=True)
class Exported:
    path: str
    card: str  # path of the model card
    json: str  # path of the same for programs
    n_bytes: int
    check: Check


def check_use(trained: Trained, form: Format, path: "str | os.PathLike[str]") -> None:
    """Raises ConfigError where the model, the name of the file or what is installed does not go with the format."""
    if not os.fspath(path).endswith(form.suffix):
        raise ConfigError(
            f"--output {os.fspath(path)}: the name of a file of --format {form.name} ends in {form.suffix}."
        )
    model = models.get(trained.model.name)
    if form.networks_only and not model.is_network:
        allowed = ", ".join(one.name for one in FORMATS.values() if not one.networks_only)
        raise ConfigError(
            f"--format {form.name} is for networks, and {trained.name} is none ({model.title}). Allowed for it: {allowed}."
        )
    missing = [package for package in form.packages if importlib.util.find_spec(package) is None]
    if missing:
        raise ConfigError(
            f"--format {form.name} needs {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed. "
            "Say: pip install 'timnet[export]'"
        )


def check_place(path: "str | os.PathLike[str]") -> None:
    """Raises ConfigError where one of the three files would replace what no export has written, or what was changed since.

    What an export has written is what its PATH.json says. Raises StoreError where the place cannot be reached.
    """
    store, name = beside(path)
    store.check()
    model, text, facts = name, f"{name}.md", f"{name}.json"
    try:
        said = store.read_json(facts)
        written = {model: said["file"]["sha256"], text: said["card"]["sha256"], facts: None}
    except (StoreError, KeyError, TypeError):  # it is not there, or somebody else's
        written = {}
    for file in (model, text, facts):
        what = None
        if store.is_local and os.path.isdir(store.at(file)):
            what = "is a folder"
        elif store.exists(file) and (
            file not in written or written[file] not in (None, _sha256(store.read_bytes(file)))
        ):
            what = "is not what an export wrote"
        if what:
            raise ConfigError(
                f"--output {os.fspath(path)}: {store.at(file)} {what}, and is not replaced. Give another name, or rename or "
                "delete it."
            )


def export(
    trained: Trained, form: Format, path: "str | os.PathLike[str]", examples: Examples, threads: int = 1
) -> Exported:
    """Write the model to a path or URI, with the model card PATH.md and PATH.json beside it.

    The three files appear after the check, the model first; each is there whole or not at all, and nothing that was there
    before is touched if the check fails. The card and PATH.json name the SHA-256 of the model that they are about. Raises
    what `check_use` and `check_place` do, ExportError where the model cannot be written or the file does not give what the
    model gives, and StoreError where the place cannot be written to.
    """
    check_use(trained, form, path)
    check_place(path)
    store, name = beside(path)
    expected = Recogniser(trained, threads).probabilities(examples.features).mean(axis=0)
    facts = about(trained)
    with unfinished(tempfile.mkdtemp(prefix="timnet-export-")) as folder:
        made = Path(folder) / f"model{form.suffix}"
        _write(trained, form, facts, made)
        check = checked(made, form, examples, expected)
        data = made.read_bytes()
    facts |= {"file": {"name": name, "format": form.name, "n_bytes": len(data), "sha256": _sha256(data)}}
    facts |= {"check": asdict(check)}
    text = card.markdown(trained, facts, check.sentence).encode()
    facts |= {"card": {"name": f"{name}.md", "sha256": _sha256(text)}}
    store.write_bytes(name, data)
    store.write_bytes(f"{name}.md", text)
    store.write_json(f"{name}.json", facts)
    return Exported(store.at(name), store.at(f"{name}.md"), store.at(f"{name}.json"), len(data), check)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _write(trained: Trained, form: Format, facts: dict[str, Any], path: Path) -> None:
    try:
        form.write(trained, facts, path)
    except TimnetError:
        raise
    except Exception as error:  # converters raise whatever they meet
        first = str(error).strip().split("\n")[0]
        raise ExportError(
            f"{trained.name} cannot be written as {form.name} ({type(error).__name__}: {first}). Nothing was written; try "
            "another --format."
        ) from error


def checked(path: Path, form: Format, examples: Examples, expected: np.ndarray) -> Check:
    """Compare what the file gives, for all examples at once and for one alone, with the expected probabilities.

    Raises ExportError where it cannot be read or differs by more than the format's tolerance.
    """
    try:
        found = form.predict(path, [examples.features, examples.features[:1]])
    except Exception as error:  # likewise
        first = str(error).strip().split("\n")[0]
        raise ExportError(
            f"The {form.name} file cannot be read by {form.runtime()} ({type(error).__name__}: {first}). Nothing was written."
        ) from error
    shapes = [array.shape for array in found]
    if shapes != [expected.shape, expected[:1].shape]:
        raise ExportError(
            f"The {form.name} file gives probabilities of shape {shapes[0]} and {shapes[1]}, expected are {expected.shape} "
            f"and {expected[:1].shape}. Nothing was written."
        )
    difference = max(float(np.abs(array - expected[: len(array)]).max()) for array in found)
    if not difference <= form.tolerance:  # also where it is no number
        raise ExportError(
            f"The {form.name} file gives other probabilities than the model: they differ by up to {difference:.1e} on "
            f"{len(expected)} examples ({examples.source}), and {form.tolerance:.0e} is allowed. Nothing was written."
        )
    same = int((found[0].argmax(axis=1) == expected.argmax(axis=1)).sum())
    return Check(form.runtime(), len(expected), examples.source, examples.real, difference, form.tolerance, same)
