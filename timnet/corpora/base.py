"""What a corpus is: its card, the rule that turns its file names into utterances, and where its files are read from."""

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from timnet import storage
from timnet.errors import CorpusError


@dataclass(frozen=True)
class Utterance:
    """One recording as its corpus describes it, before its audio is opened."""

    path: str  # relative to the corpus root, with forward slashes
    emotion: str  # one of the corpus's labels
    speaker: str | None = None
    sentence: str | None = None
    session: str | None = None

    @property
    def utterance_id(self) -> str:
        """The path without its suffix: unique inside a corpus and readable by a person."""
        stem, _, suffix = self.path.rpartition(".")
        return stem if "/" not in suffix and stem else self.path


@dataclass(frozen=True)
class Problem:
    """Something that is wrong with a corpus: with one file (`path`), or with the whole (`path` None)."""

    # unreadable, empty, truncated, silent, too-short, not-finite, out-of-range, unknown-label, unrecognised-name, missing-file, duplicate-id, count
    kind: str
    message: str  # what is wrong, what was received and what is allowed; names the file
    path: str | None = None


@dataclass(frozen=True)
class Found:
    """What the file-name rule made of a folder."""

    utterances: tuple[Utterance, ...]
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()  # facts that are no fault, such as utterances of classes that the task leaves out


class Source:
    """The files below a root, on a local disk or on S3; paths are relative, with forward slashes."""

    def __init__(self, root: str, without: str | None = None):
        self.root = root.rstrip("/") or "/"
        self._without = without
        self._fs, self._base = storage.open_at(self.root)
        self._base = self._base.rstrip("/")
        self.is_local = storage.is_local(self._fs)

    def __reduce__(self):
        return (Source, (self.root, self._without))

    def leaving_out(self, uri: str) -> "Source":
        """The same without what lies below another path, such as a store inside a data root, which grows as it is used."""
        return Source(self.root, uri.rstrip("/"))

    def __repr__(self) -> str:
        return f"Source({self.root!r})"

    def is_folder(self, path: str = "") -> bool:
        with storage.explained(self.root):
            return self._fs.isdir(f"{self._base}/{path}".rstrip("/"))

    def is_file(self, path: str) -> bool:
        """Raises CorpusError like `read_bytes` where the path leads out of the root."""
        with storage.explained(f"{self.root}/{path}"):
            return self._fs.isfile(self._inside(path))

    @property
    def listing(self) -> Mapping[str, tuple[int, str]]:
        """Every file below the root: relative path -> (size in bytes, what changes with its content), sorted by path.

        What changes: on a disk the times and the inode, which also another file under the old name and time has
        not; on object storage the ETag.
        Hidden files and folders (a leading dot, as macOS leaves behind) are left out. Linked folders are followed.
        Left out, too, are names that are no text: see `not_text`.
        """
        return self._listed[0]

    @property
    def not_text(self) -> tuple[str, ...]:
        """The files below the root whose names are not UTF-8, which no table can hold, as they can be printed."""
        return self._listed[1]

    @cached_property
    def _listed(self) -> tuple[Mapping[str, tuple[int, str]], tuple[str, ...]]:
        found, not_text = {}, []
        with storage.explained(self.root):
            files = list(self._files(self._base, frozenset()))
        for full, info in files:
            path = full[len(self._base) :].lstrip("/")
            if self._without and f"{self.root}/{path}".startswith(f"{self._without}/"):
                continue
            if any(part.startswith(".") for part in path.split("/")):
                continue
            if path != as_text(path):
                not_text.append(as_text(path))
                continue
            found[path] = (int(info["size"]), _version(full, info))
        return dict(sorted(found.items())), tuple(sorted(not_text))

    def _files(self, folder: str, above: frozenset[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        for full, info in self._fs.find(folder, detail=True).items():
            if not (info.get("islink") and self._fs.isdir(full)):
                yield full, info
            elif (real := os.path.realpath(full)) not in above | {os.path.realpath(folder)}:
                # fsspec takes a link to a folder for a file; a link back to where it hangs would never end
                yield from self._files(full, above | {os.path.realpath(folder), real})

    def at(self, path: str) -> str:
        """The path as others would open it: a local path or a full URI."""
        return f"{self._base}/{path}" if self.is_local else f"{self.root}/{path}"

    def read_bytes(self, path: str) -> bytes:
        """Raises CorpusError where there is no such file or its path leads out of the root, OSError where it cannot be read."""
        full = self._inside(path)
        try:
            with storage.explained(f"{self.root}/{path}"):  # a server that fails is no fault of the recording
                if self.is_local and not stat.S_ISREG(os.stat(full).st_mode):  # a pipe would be waited for
                    raise OSError(f"{full} is not a regular file")
                return self._fs.cat_file(full)
        except FileNotFoundError as error:
            target = os.readlink(full) if self.is_local and os.path.islink(full) else None
            gone = "is missing" if target is None else f"is a link to {target}, which is missing"
            raise CorpusError(f"{self.root}/{path} {gone}.") from error

    def _inside(self, path: str) -> str:
        """The whole path. Of a manifest in a store from others it may be anything, and reaches nothing outside the root.

        Links are followed wherever they point: whoever put the corpus there made them, as `timnet corpora import` does.
        """
        if not path or path.startswith("/") or ".." in path.split("/"):
            raise CorpusError(
                f"A path of a recording is relative to {self.root} and stays inside it, received {path!r}."
            )
        return f"{self._base}/{path}"

    def read_text(self, path: str, encoding: str = "utf-8") -> str:
        return self.read_bytes(path).decode(encoding)


def _version(full: str, info: Mapping[str, Any]) -> str:
    if "ino" in info:
        try:
            file = os.stat(full)  # of a link, what it points to
        except OSError:  # what the link points to is missing; whoever reads it will say so
            return "missing"
        return f"{file.st_mtime_ns} {file.st_ctime_ns} {file.st_ino}"
    return str(info.get("ETag") or info.get("LastModified") or info.get("mtime") or "")


NOT_STATED = "not stated"  # as language or licence of a corpus

# What libsndfile reads, and recordings that it does not read: those are named, not passed over. Endings under which mostly
# other things lie (.mat, .htk, .raw, .xi) are left out.
AUDIO_SUFFIXES = (
    ".wav", ".wave", ".wavex", ".bwf", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".mp2", ".aiff", ".aif", ".aifc", ".au",
    ".snd", ".caf", ".w64", ".rf64", ".sph", ".nist", ".voc", ".sf", ".ircam", ".avr", ".paf", ".pvf", ".wve", ".sds",
    ".svx", ".8svx",
)  # fmt: skip
OTHER_SUFFIXES = (".m4a", ".aac", ".mp4", ".wma", ".amr", ".3gp", ".webm", ".mka", ".ape")


def is_audio(path: str) -> bool:
    return path.lower().endswith(AUDIO_SUFFIXES)


def as_text(path: str) -> str:
    """The path itself, or where its bytes are not UTF-8 these as \\x…."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def not_readable(source: Source) -> list[Problem]:
    """A problem for every recording of a kind that cannot be read, and for every one whose name is no text."""
    kinds = AUDIO_SUFFIXES + OTHER_SUFFIXES
    return [
        Problem("unrecognised-name", f"{path}: its name is not UTF-8. Rename it.", path)
        for path in source.not_text
        if path.lower().endswith(kinds)
    ] + [
        Problem(
            "unreadable",
            f"{path}: recordings of this kind cannot be read. Readable are {', '.join(AUDIO_SUFFIXES)}; convert it.",
            path,
        )
        for path in source.listing
        if path.lower().endswith(OTHER_SUFFIXES)
    ]


@dataclass(frozen=True)
class Download:
    """The archive of a corpus that anybody may fetch, as its publisher offers it: a ZIP file."""

    url: str
    n_bytes: int | None = None  # None: not stated by the publisher
    md5: str | None = None  # in hex; None: not stated by the publisher
    terms: str | None = None  # what has to be accepted before; None: the licence asks for nothing


@dataclass(frozen=True)
class Corpus:
    """The card of a corpus. `find` is its file-name rule; everything else is what is known about it.

    Labels are lower-case English in the order of the published class indices.
    """

    name: str
    title: str  # one line: who, what, when
    language: str
    labels: tuple[str, ...]
    find: Callable[[Source], Found]
    mean_signal_length: int | None  # samples at 22 050 Hz; None: worked out from the durations, see folder.py
    licence: str
    source: str  # where it comes from
    example: str  # one worked `path -> id, speaker, sentence, emotion`
    how_to_get: tuple[str, ...] = ()  # what a person does, step by step, until the files are on their disk
    download: Download | None = None  # None: no program may fetch it, or there is nothing to fetch
    counts: Mapping[str, int] | None = None  # utterances per label; None: not known beforehand
    n_speakers: int | None = None
    n_folds: int = 10  # where the settings leave it open
    recipe: str = "fast"  # likewise
    n_tabs: int = 8  # temporal-aware blocks a direction of the published network
    published_seed: int | None = None
    published: bool = True  # one of the six of the paper
    synthetic: bool = False
    order_key: Callable[[Utterance], object] | None = None  # order inside a class; None: natural sort of the file name
    quirks: tuple[str, ...] = field(default=())
