"""Where a corpus of one's own is put in a data root, so that every command finds it by its name.

    NAME.csv                the recordings lie in the data root already: a table that refers to them
    .NAME.imported.json     and a note of what was written
    NAME/manifest.csv       they lie elsewhere, or are to be copied: a table, and beside it
    NAME/recordings/…       links to them, or copies
    NAME/.imported.json     and the note

Either is there whole or not at all. Nothing that was there is overwritten but what an import has made itself and nobody
has changed since: the note says what every file held.
"""

import csv
import hashlib
import io
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from timnet.corpora.base import Problem, Utterance, as_text
from timnet.corpora.recordings_table import COLUMNS, REQUIRED, SUFFIXES
from timnet.errors import ConfigError
from timnet.store import Store

TABLE, RECORDINGS = "manifest.csv", "recordings"
NOTE = ".imported.json"  # listings leave hidden files out
MAX_NAMED = 3  # files of an import that were changed since


@dataclass(frozen=True)
class Place:
    """Where the corpus will lie: `inside` says that the recordings do so already and are referred to."""

    root: Path
    name: str
    origin: Path  # the folder that the recordings' paths are relative to
    inside: bool

    @property
    def target(self) -> Path:
        return self.root / (f"{self.name}.csv" if self.inside else self.name)

    @property
    def note(self) -> Path:
        return self.root / f".{self.name}{NOTE}" if self.inside else self.target / NOTE


def place(root: Path, name: str, origin: Path, read: Sequence[Path], copy: bool, replace: bool) -> Place:
    """Decide where; `read` are the table and the recordings that are imported.

    Raises ConfigError where something of that name is in the way.
    """
    within = origin.is_relative_to(root)
    hidden = within and any(part.startswith(".") for part in origin.relative_to(root).parts)
    found = Place(root, name, origin, inside=within and not hidden and not copy)
    if root.exists() and not root.is_dir():
        raise ConfigError(f"--data-root {root} is not a folder.")
    if in_the_way := _in_the_way(found):
        if why := _why_not_replaced(found, in_the_way, read):
            raise ConfigError(
                f"{', '.join(map(str, in_the_way))} would be a corpus {name}, too, and {why}: it is not replaced. Choose "
                "another --name, or rename or delete it."
            )
        if not replace:
            raise ConfigError(
                f"{found.target} is there already. Choose another --name, or give --replace to replace it."
            )
    return found


def cannot_be_listed(utterances: Sequence[Utterance]) -> list[Problem]:
    """A problem for every file whose name a table of text cannot hold."""
    return [
        Problem(
            "unrecognised-name",
            f"{u.path!r}: a table cannot hold its name. Rename it: no backslash, no line break, no blank at an end.",
            u.path,
        )
        for u in utterances
        if u.path != u.path.strip() or any(letter in u.path for letter in "\\\r\n\0")
    ]


def write(to: Place, utterances: Sequence[Utterance], copy: bool) -> None:
    """Write the corpus. Raises StoreError or OSError where the disk refuses; what was there is there then as before."""
    if to.inside:
        prefix = to.origin.relative_to(to.root).as_posix()
        _write_table(to.root, to.target.name, utterances, "" if prefix == "." else f"{prefix}/")
        _write_note(to.note, to.target)
        return
    to.root.mkdir(parents=True, exist_ok=True)
    beside = to.root / f".{to.name}.importing"
    shutil.rmtree(beside, ignore_errors=True)  # of a process that was killed
    try:
        for utterance in utterances:
            file = beside / RECORDINGS / utterance.path
            file.parent.mkdir(parents=True, exist_ok=True)
            if copy:
                shutil.copyfile(to.origin / utterance.path, file)
            else:
                file.symlink_to(to.origin / utterance.path)
        _write_table(beside, TABLE, utterances, f"{RECORDINGS}/")
        _write_note(beside / NOTE, beside)
        os.sync()
        if to.target.exists():
            old = to.root / f".{to.name}.replaced"
            shutil.rmtree(old, ignore_errors=True)
            to.target.rename(old)
            beside.rename(to.target)
            shutil.rmtree(old)
        else:
            beside.rename(to.target)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _write_table(folder: Path, name: str, utterances: Sequence[Utterance], prefix: str) -> None:
    """The table, whole or not at all, with the columns that some utterance fills."""
    columns = [c for c in COLUMNS if c in REQUIRED or any(getattr(u, c) is not None for u in utterances)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for utterance in utterances:
        cells = (getattr(utterance, column) or "" for column in columns[1:])
        writer.writerow([f"{prefix}{utterance.path}", *cells])
    Store(str(folder)).write_bytes(name, text.getvalue().encode())


def _in_the_way(to: Place) -> list[Path]:
    """What a corpus of that name is made of already."""
    candidates = [to.root / f"{to.name}{suffix}" for suffix in SUFFIXES]
    folder = to.root / to.name
    if to.inside and to.origin.is_relative_to(folder):  # its own folder, which a table now stands for
        candidates += [folder / f"manifest{suffix}" for suffix in SUFFIXES]
    else:
        candidates.append(folder)
    return [path for path in candidates if os.path.lexists(path)]


def _why_not_replaced(to: Place, in_the_way: Sequence[Path], read: Sequence[Path]) -> str | None:
    """None where all that is in the way is what an import has made, as it was made, and nothing of it is imported now."""
    if in_the_way != [to.target] or to.target.is_symlink() or not to.note.is_file():
        return "was not made by such an import"
    here = os.path.realpath(to.target)
    if any(Path(os.path.realpath(path)).is_relative_to(here) for path in read):
        return "is what would be imported"
    try:
        was = dict(json.loads(to.note.read_bytes())["files"])
    except (ValueError, KeyError, TypeError):
        return f"its note {to.note} cannot be read"
    now = _contents(to.target)
    if changed := sorted(name for name in was.keys() | now.keys() if was.get(name) != now.get(name)):
        more = f" and {len(changed) - MAX_NAMED} more" if len(changed) > MAX_NAMED else ""
        return f"was changed since it was imported ({', '.join(changed[:MAX_NAMED])}{more})"
    return None


def _write_note(note: Path, of: Path) -> None:
    facts = {"made_by": "timnet corpora import", "files": _contents(of)}
    Store(str(note.parent)).write_json(note.name, facts)


def _contents(path: Path) -> dict[str, str]:
    """A digest of a file, or of every file below a folder but its note, by name: of a link that of where it leads to."""
    if not path.is_dir():
        return {path.name: _digest(path)}
    files = (one for one in path.rglob("*") if (one.is_symlink() or not one.is_dir()) and one != path / NOTE)
    return {as_text(str(one.relative_to(path))): _digest(one) for one in files}


def _digest(path: Path) -> str:
    if path.is_symlink():
        return hashlib.sha256(b"link to " + os.readlink(os.fsencode(path))).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
