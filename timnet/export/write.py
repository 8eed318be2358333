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
from timnet.errors import ConfigError, ExportError, TimnetError
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


def export(
    trained: Trained, form: Format, path: "str | os.PathLike[str]", examples: Examples, threads: int = 1
) -> Exported:
    """Write the model to a path or URI, with PATH.json and the model card PATH.md beside it.

    The three files appear after the check, the model last; each is there whole or not at all, and nothing that was there
    before is touched if the check fails. Raises what `check_use` does, ExportError where the model cannot be written or
    the file does not give what the model gives, and StoreError where the place cannot be written to.
    """
    check_use(trained, form, path)
    store, name = beside(path)
    store.check()
    expected = Recogniser(trained, threads).probabilities(examples.features).mean(axis=0)
    facts = about(trained)
    with unfinished(tempfile.mkdtemp(prefix="timnet-export-")) as folder:
        made = Path(folder) / f"model{form.suffix}"
        _write(trained, form, facts, made)
        check = checked(made, form, examples, expected)
        data = made.read_bytes()
    file = {"name": name, "format": form.name, "n_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    facts |= {"file": file, "check": asdict(check)}
    store.write_json(f"{name}.json", facts)
    store.write_bytes(f"{name}.md", card.markdown(trained, facts, check.sentence).encode())
    store.write_bytes(name, data)
    return Exported(store.at(name), store.at(f"{name}.md"), store.at(f"{name}.json"), len(data), check)


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
