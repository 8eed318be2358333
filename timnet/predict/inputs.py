"""From the files and folders that are named on the command line to recordings."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from timnet import storage
from timnet.corpora.base import Source, as_text, is_audio, not_readable
from timnet.errors import ConfigError, CorpusError
from timnet.predict.recognise import Recording


@dataclass(frozen=True)
class Input:
    """A recording that is to be read, here or on another machine."""

    shown: str  # as it was given
    source: Source
    path: str  # in the source
    error: str | None = None  # what is known to be wrong with it beforehand

    def read(self) -> Recording:
        """Its bytes, or why they cannot be had; raises StoreError where S3 refuses or is away."""
        if self.error is not None:
            return Recording(self.shown, error=self.error)
        try:
            return Recording(self.shown, self.source.read_bytes(self.path))
        except (CorpusError, OSError) as error:  # missing, or not allowed to be read
            return Recording(self.shown, error=f"{self.shown} cannot be read: {error}")


def find(given: Sequence[str]) -> list[Input]:
    """Every file, and of every folder the recordings below it, by name; what is named twice comes once.

    Recordings of kinds that cannot be read, and those whose names are not UTF-8, come with their error. Raises
    ConfigError for a folder without any recording and for a URI of another kind than the disk's and S3's.
    """
    found: dict[tuple[str, str], Input] = {}
    sources: dict[str, Source] = {}
    for name in given:
        where = name if "://" in name else os.path.abspath(os.path.expanduser(name))
        source = _source(where, name, sources)
        if source.is_folder():
            inside = _below(source, name)
            if not inside:
                raise ConfigError(f"{name} holds no recordings: nothing below it is named like WAV, FLAC, OGG, MP3 …")
        else:
            folder, _, file = where.rstrip("/").rpartition("/")
            inside = [_input(name, _source(folder or "/", name, sources), file)]
        for one in inside:
            found.setdefault((one.source.root, one.path), one)
    return list(found.values())


def _source(root: str, name: str, known: dict[str, Source]) -> Source:
    if "://" in root and not (storage.is_s3(root) or root.startswith("file://")):
        raise ConfigError(f"{name} cannot be opened. Allowed are files, folders, file://… and s3://….")
    return known.setdefault(root, known.get(root) or Source(root))


def _below(source: Source, name: str) -> list[Input]:
    shown = name.rstrip("/")
    errors = {str(problem.path): f"{shown}/{problem.message}" for problem in not_readable(source)}
    return [
        _input(f"{shown}/{path}", source, path, errors.get(path))
        for path in sorted({*filter(is_audio, source.listing), *errors})
    ]


def _input(shown: str, source: Source, path: str, error: str | None = None) -> Input:
    """Linux takes any bytes for a name; what is written of a recording is text."""
    text = as_text(shown)
    if text != shown:
        error = f"{text}: its name is not UTF-8. Rename it."
    return Input(text, source, path, error)
