"""Your own recordings as a corpus: a folder with a sub-folder an emotion, or a table that says what they are.

In the data root, for a corpus `mine`:

    mine/angry/001.wav              the folder says the emotion; the speaker is unknown
    mine/angry/anna/001.wav         and a second one the speaker
    mine.csv or mine.parquet        a table with the columns path and emotion, and where known speaker, sentence and
    mine/manifest.csv or .parquet   session; paths are relative to the folder that it lies in. A table comes first.

Emotions are compared in lower case without blanks around them: `Angry` and `angry ` are one. Labels are sorted.
Speakers, sentences and sessions are compared so, too: one speaker in two spellings would be on both sides of a fold.
"""

import math
import posixpath
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

from timnet.config import SAMPLE_RATE_HZ
from timnet.corpora import entries, names, recordings_table
from timnet.corpora.base import NOT_STATED, Corpus, Found, Problem, Source, Utterance, is_audio, not_readable
from timnet.corpora.naming import unrecognised
from timnet.corpora.recordings_table import OPTIONAL, SUFFIXES, Row
from timnet.errors import ConfigError, CorpusError

SIGNAL_LENGTH_QUANTILE = 0.9
SIGNAL_LENGTH_STEP = 1_000  # samples

# Folders that are named so one level too deep show that somebody sorted by speaker first.
_EMOTIONS = frozenset(
    [
        "anger",
        "angry",
        "annoyed",
        "anxious",
        "bored",
        "boredom",
        "calm",
        "contempt",
        "disgust",
        "disgusted",
        "excited",
        "excitement",
        "fear",
        "fearful",
        "frustrated",
        "happiness",
        "happy",
        "joy",
        "joyful",
        "neutral",
        "sad",
        "sadness",
        "surprise",
        "surprised",
    ]
)

ALLOWED_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")  # it becomes a folder of the store


def own(name: str, data_root: str) -> tuple[Corpus, Source]:
    """The corpus `name` of your own recordings in data_root, and where they lie.

    Raises ConfigError for a name that cannot be used, and CorpusError where there is no such folder or table, the table
    cannot be read, or there are fewer than two emotions.
    """
    if not ALLOWED_NAME.fullmatch(name):
        raise ConfigError(
            f"--corpora {name!r} cannot be the name of a corpus: allowed are letters, digits, dot, dash and underscore."
        )
    root, inside = entries(data_root)
    find: Callable[[Source], Found]
    folder = Source(f"{root}/{name}") if name in inside else None
    folder = folder if folder and folder.is_folder() else None
    tables = [(Source(root), f"{name}{suffix}") for suffix in SUFFIXES if f"{name}{suffix}" in inside]
    if folder:
        manifests = (f"manifest{suffix}" for suffix in SUFFIXES)
        tables += [(folder, manifest) for manifest in manifests if manifest in folder.listing]
    if len(tables) > 1:
        found = " and ".join(f"{source.root}/{path}" for source, path in tables)
        raise CorpusError(f"{name} has more than one table: {found}. Keep one of them.")
    if tables:
        source, path = tables[0]
        find, what = partial(find_in_table, path), f"{source.root}/{path}"
        rows, _ignored = recordings_table.read(source, path)
        labels = {label(row.values["emotion"]) for row in rows} - {""}
    elif folder:
        source, find, what = folder, find_in_folders, f"{folder.root} with its folders"
        labels = {utterance.emotion for utterance in find_in_folders(folder).utterances}
    else:
        raise CorpusError(
            f"There is no corpus {name}: it is not built in ({', '.join(names())}), and {root} has no folder {name} "
            f"with a sub-folder an emotion and no table {name}.csv or {name}.parquet; it holds "
            f"{', '.join(inside) or 'nothing'}."
        )
    if len(labels) < 2:
        received = ", ".join(sorted(labels)) or "none"
        raise CorpusError(
            f"{what} has recordings of fewer than two emotions (received: {received}). Two are the least."
        )
    if folder and not tables:
        refuse_speakers_first(folder)
    return card(name, what, tuple(sorted(labels)), find), source


def label(text: str) -> str:
    """An emotion as a label: lower case, single blanks, one spelling of accents (macOS stores them taken apart)."""
    return " ".join(unicodedata.normalize("NFC", text).lower().split())


def signal_length(corpus: Corpus, durations_s: Sequence[float]) -> int:
    """Samples at 22 050 Hz that recordings are padded or cut to: the corpus's published number, or worked out.

    Worked out: nine recordings in ten fit without being cut (the 90th percentile of the durations, rounded up to 1000).
    For EMODB that would be 87 000; published is 96 000, in which 94 of 100 recordings fit. Raises CorpusError where
    there is no recording.
    """
    if corpus.mean_signal_length is not None:
        return corpus.mean_signal_length
    if len(durations_s) == 0:
        raise CorpusError(f"{corpus.name} has no recording that can be used, so none to take the signal length from.")
    import numpy as np

    samples = float(np.quantile(durations_s, SIGNAL_LENGTH_QUANTILE)) * SAMPLE_RATE_HZ
    return math.ceil(round(samples / SIGNAL_LENGTH_STEP, 6)) * SIGNAL_LENGTH_STEP


def find_in_folders(source: Source) -> Found:
    """emotion/file or emotion/speaker/file; deeper folders are read too, and say nothing."""
    utterances, problems = [], not_readable(source)
    depths: Counter[int] = Counter()
    for path in filter(is_audio, source.listing):
        folders = path.split("/")[:-1]
        if not folders or not label(folders[0]):
            problems.append(unrecognised(path, "it does not lie in the folder of an emotion", "Move it into one."))
            continue
        depths[len(folders)] += 1
        speaker = folders[1] if len(folders) == 2 else None
        utterances.append(Utterance(path, label(folders[0]), speaker=speaker))
    notes = spellings(path.split("/")[0] for path in (utterance.path for utterance in utterances))
    utterances, more = one_spelling(utterances)
    notes += more
    if n_unknown := depths.total() - depths[2]:
        notes.append(
            f"Speaker unknown, as recordings that do not lie in emotion/speaker/: {n_unknown} of {depths.total()}."
        )
    return Found(tuple(utterances), tuple(problems), tuple(notes))


def find_in_table(table: str, source: Source) -> Found:
    """The recordings that a table lists, each once, in its order."""
    rows, ignored = recordings_table.read(source, table)
    where = f"{source.root}/{table}"
    found = find_in_rows(rows, where, source)
    notes = list(found.notes)
    if ignored:
        notes.append(f"{table}: other columns are ignored: {', '.join(ignored)}.")
    listed = set(_refuse_outside(rows, where))
    folders = {posixpath.dirname(path) for path in listed}
    all_of_it = posixpath.basename(table).startswith("manifest.")  # a table in the corpus's own folder
    on_disk = (unicodedata.normalize("NFC", path) for path in source.listing)
    n_unlisted = sum(
        is_audio(path) and path not in listed and (all_of_it or posixpath.dirname(path) in folders) for path in on_disk
    )
    if n_unlisted:
        notes.append(f"Left out, as recordings that {table} does not list: {n_unlisted}.")
    return Found(found.utterances, found.problems, tuple(notes))


def find_in_rows(rows: Sequence[Row], where: str, source: Source) -> Found:
    """The recordings that the rows of a table list, each once; `where` names the table."""
    listed = _refuse_outside(rows, where)
    on_disk = {unicodedata.normalize("NFC", path): path for path in source.listing}
    in_lower_case = {path.lower(): path for path in on_disk}
    by_path: dict[str, list[Row]] = defaultdict(list)
    for row, path in zip(rows, listed, strict=True):
        by_path[path].append(row)

    utterances, problems = [], []
    for path, same in by_path.items():
        numbers = " and ".join(str(row.number) for row in same)
        place = f"{where}, row {numbers}: {path}"
        emotions = {label(row.values["emotion"]) for row in same}
        if len(same) > 1:
            what = "lists it more than once" + (f", as {' and '.join(sorted(emotions))}" if len(emotions) > 1 else "")
            problems.append(Problem("duplicate-id", f"{place}: the table {what}. Keep one row.", path))
        if len(emotions) > 1:  # nobody knows which
            continue
        if "" in emotions:
            problems.append(Problem("unknown-label", f"{place} has no emotion. Give it one, or remove the row.", path))
        elif path not in on_disk:
            other = in_lower_case.get(path.lower())
            hint = f" There is {other}: write it so." if other else " Paths are relative to the folder of the table."
            problems.append(Problem("missing-file", f"{place} is not there.{hint}", path))
        else:
            known = {name: same[0].values[name] or None for name in OPTIONAL}
            utterances.append(Utterance(on_disk[path], emotions.pop(), **known))
    notes = spellings(row.values["emotion"] for row in rows)
    utterances, more = one_spelling(utterances)
    notes += more
    return Found(tuple(utterances), tuple(problems), tuple(notes))


def refuse_speakers_first(folder: Source) -> None:
    """Raises CorpusError for speaker/emotion/file: a network would be trained to tell the speakers."""
    deep = [path.split("/") for path in folder.listing if is_audio(path) and path.count("/") > 1]
    first, second = ({label(parts[level]) for parts in deep} for level in (0, 1))
    if len(second) > 1 and second <= _EMOTIONS and not first & _EMOTIONS:
        raise CorpusError(
            f"{folder.root} is sorted by {', '.join(sorted(first)[:3])} first and by emotion ({', '.join(sorted(second)[:3])}) "
            f"inside. The first folder is the emotion, the second the speaker: move them to {sorted(second)[0]}/"
            f"{sorted(first)[0]}/…, or list the recordings in a table with the columns path, emotion and speaker."
        )


def _refuse_outside(rows: Sequence[Row], where: str) -> list[str]:
    """The rows' paths with forward slashes; raises CorpusError for blank ones and for those outside the folder."""
    paths = []
    for row in rows:
        text = row.values["path"]
        path = posixpath.normpath(unicodedata.normalize("NFC", text).replace("\\", "/"))
        if not text or re.match(r"/|\.\.(/|$)|\w+:/", path):
            received = f"{text!r}" if text else "nothing"
            raise CorpusError(
                f"{where}, row {row.number}: a path is relative to the folder of the table and stays inside it, "
                f"received {received}."
            )
        paths.append(path)
    return paths


def spellings(emotions: Iterable[str]) -> list[str]:
    """A note for each label that is written in more than one way."""
    written: dict[str, set[str]] = defaultdict(set)
    for text in emotions:
        written[label(text)].add(text)
    return [
        f"{', '.join(repr(text) for text in sorted(ways))} are all taken for {name}."
        for name, ways in sorted(written.items())
        if len(ways) > 1
    ]


def one_spelling(utterances: Sequence[Utterance]) -> tuple[list[Utterance], list[str]]:
    """The utterances with every speaker, sentence and session in its first spelling, and notes on those with more."""
    result, notes = list(utterances), []
    for column in OPTIONAL:
        written: dict[str, set[str]] = defaultdict(set)
        for utterance in result:
            if (text := getattr(utterance, column)) is not None:
                written[label(text)].add(unicodedata.normalize("NFC", " ".join(text.split())))
        chosen = {key: min(ways) for key, ways in written.items()}
        result = [
            utterance
            if (text := getattr(utterance, column)) is None
            else replace(utterance, **{column: chosen[label(text)]})
            for utterance in result
        ]
        notes += [
            f"{', '.join(repr(text) for text in sorted(ways))} are taken for one {column}."
            for _, ways in sorted(written.items())
            if len(ways) > 1
        ]
    return result, notes


def card(name: str, what: str, labels: tuple[str, ...], find: Callable[[Source], Found]) -> Corpus:
    return Corpus(
        name=name,
        title="own recordings",
        language=NOT_STATED,
        labels=labels,
        find=find,
        mean_signal_length=None,
        licence=NOT_STATED,
        source=what,
        example=f"{labels[0]}/anna/001.wav -> {labels[0]}/anna/001, speaker anna, sentence unknown, {labels[0]}",
        published=False,
    )
