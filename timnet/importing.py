"""A folder or table of somebody's own, read by the rules that they give, into utterances that can be a corpus.

Nothing is written here; `placing` does that. A folder is emotion/speaker/file as ever, or flat, and a regular expression
takes the file names apart. A table may name its columns and emotions as it likes.
"""

import shlex
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from timnet import corpora
from timnet.corpora import folder, recordings_table
from timnet.corpora.base import Corpus, Found, Problem, Source, Utterance, is_audio, not_readable
from timnet.corpora.naming import unrecognised
from timnet.corpora.recordings_table import OPTIONAL, Row
from timnet.errors import ConfigError, CorpusError, SplitError
from timnet.import_rules import Rules

if TYPE_CHECKING:
    import pyarrow as pa

TABLES = (".csv", ".tsv", ".parquet")

# The labels of the known corpora in other words of their languages. How alike two words are spelt says nothing of what they
# mean: Angst is not anger, and unhappy is not happy.
_MEANT = {
    "angry": "anger angriness wut wütend zorn zornig ärger ärgerlich rabbia arrabbiato 愤怒 生气",
    "boredom": "bored boring langeweile gelangweilt noia annoiato 无聊",
    "calm": "calmness ruhe ruhig calma calmo 平静",
    "disgust": "disgusted ekel angeekelt disgusto disgustato 厌恶",
    "fear": "fearful afraid scared angst ängstlich paura spaventato 恐惧 害怕",
    "happy": "happiness joy joyful freude fröhlich glücklich gioia felice felicità 高兴 快乐",
    "neutral": "neutrality neutrale neutralität neutralità 中性",
    "sad": "sadness trauer traurig traurigkeit tristezza triste 悲伤",
    "surprise": "surprised überraschung überrascht sorpresa sorpreso 惊讶",
}


def read(origin: str, rules: Rules) -> tuple[Source, Found]:
    """Where the recordings lie, and what the rules make of them.

    Raises ConfigError and CorpusError where there is nothing of the kind, or the rules do not fit it.
    """
    rules.check()
    path = Path(origin).expanduser().absolute()
    if path.is_dir():
        if rules.columns or rules.audio_root:
            raise ConfigError(f"--column and --audio-root are for tables, and {origin} is a folder.")
        source = Source(str(path))
        found = _in_folder(source, rules)
    elif path.is_file() and path.suffix.lower() in TABLES:
        source = Source(str(Path(rules.audio_root).expanduser().absolute() if rules.audio_root else path.parent))
        if not source.is_folder():
            raise ConfigError(f"--audio-root {rules.audio_root} is not a folder.")
        found = _in_table(path, source, rules)
    else:
        what = "of another kind" if path.exists() else "not there"
        raise ConfigError(f"{origin} is {what}. Give a folder of recordings, or a table: {', '.join(TABLES)}.")
    return source, _relabelled(found, rules)


def _in_folder(source: Source, rules: Rules) -> Found:
    by_folder = "emotion" not in rules.says()
    if by_folder:
        folder.refuse_speakers_first(source)
        found = folder.find_in_folders(source)
    else:
        found = Found(tuple(Utterance(p, "") for p in source.listing if is_audio(p)), tuple(not_readable(source)))
    utterances, problems, written = [], list(found.problems), []
    for utterance in found.utterances:
        said = rules.said_by(utterance.path)
        if said is None or not (by_folder or "emotion" in said):
            problems.append(_not_followed(utterance.path))
            continue
        written.append(utterance.path.split("/")[0] if by_folder else said["emotion"])
        known: dict[str, Any] = {**said, "emotion": folder.label(written[-1])}
        utterances.append(replace(utterance, **known))
    one_spelling, notes = folder.one_spelling(utterances)
    return Found(tuple(one_spelling), tuple(problems), (*folder.spellings(written), *notes))


def _in_table(table: Path, source: Source, rules: Rules) -> Found:
    required = ("path",) if "emotion" in rules.says() else recordings_table.REQUIRED
    rows, ignored = recordings_table.read(Source(str(table.parent)), table.name, rules.columns, required)
    problems, filled = [], []
    for row in rows:
        path = row.values["path"].replace("\\", "/")
        said = rules.said_by(path)
        if said is None:
            problems.append(_not_followed(path, f"{table}, row {row.number}: "))
        else:
            filled.append(Row(row.number, {**row.values, **said}))
    try:
        found = folder.find_in_rows(filled, str(table), source)
    except CorpusError as error:
        raise CorpusError(f"{error} With --audio-root DIR they are relative to that folder.") from error
    notes = [*found.notes, *([f"Other columns are ignored: {', '.join(ignored)}."] if ignored else [])]
    return Found(found.utterances, (*problems, *found.problems), tuple(notes))


def _not_followed(path: str, where: str = "") -> Problem:
    problem = unrecognised(path, "it does not follow --pattern or --speaker-from", "Give one that all names follow.")
    return replace(problem, message=f"{where}{problem.message}")


def _relabelled(found: Found, rules: Rules) -> Found:
    """With the emotions called as asked for; raises ConfigError where one is renamed that is not there."""
    names = {folder.label(written): folder.label(name) for written, name in rules.labels.items()}
    there = {utterance.emotion for utterance in found.utterances}
    if absent := sorted(names.keys() - there):
        raise ConfigError(
            f"--label {absent[0]}={names[absent[0]]}: no recording has the emotion {absent[0]!r}; there are "
            f"{', '.join(sorted(there)) or 'none'}.{_first(found)}"
        )
    if empty := sorted(written for written, name in names.items() if not name):
        raise ConfigError(f"--label {empty[0]}=: say what it shall be called, such as --label {empty[0]}=angry.")
    utterances = (replace(one, emotion=names.get(one.emotion, one.emotion)) for one in found.utterances)
    return replace(found, utterances=tuple(utterances))


def _first(found: Found) -> str:
    n = len(found.problems)
    return f" The first of {n} problems: {found.problems[0].message}" if n else ""


def card(name: str, origin: str, found: Found) -> Corpus:
    """The corpus that the recordings would be; raises ConfigError for a name that it cannot have, and CorpusError where
    there are fewer than two emotions."""
    if not folder.ALLOWED_NAME.fullmatch(name) or name.upper() in {*corpora.names(), "ALL"}:
        raise ConfigError(
            f"--name {name!r} cannot be the name of a corpus of yours: allowed are letters, digits, dot, dash and underscore, "
            f"and not the names {', '.join(corpora.names())} and all."
        )
    labels = tuple(sorted({utterance.emotion for utterance in found.utterances}))
    if len(labels) < 2:
        raise CorpusError(
            f"{origin} has recordings of fewer than two emotions (received: {', '.join(labels) or 'none'}). A folder has a "
            f"sub-folder an emotion, or --pattern takes the file names apart.{_first(found)}"
        )
    return folder.card(name, origin, labels, partial(_as_found, found))


def _as_found(found: Found, _: Source) -> Found:
    return found


def same_recordings(table: "pa.Table") -> tuple[list[Problem], list[str]]:
    """Recordings that are there more than once under several names: a problem where they have several emotions, else a
    note, since random folds would test on what was heard in training."""
    rows = defaultdict(list)
    for row in table.select(["path", "audio_sha256", "emotion"]).to_pylist():
        rows[row["audio_sha256"]].append(row)
    problems, n_more = [], 0
    for same in rows.values():
        emotions = sorted({row["emotion"] for row in same})
        if len(emotions) > 1:
            listed = ", ".join(f"{row['path']} ({row['emotion']})" for row in same)
            message = f"{listed}: one recording under several names, with several emotions. Keep the right one."
            problems += [Problem("duplicate-audio", message, row["path"]) for row in same]
        else:
            n_more += len(same) - 1
    notes = [f"{n_more} recordings are the same as another, sample by sample."] if n_more else []
    return problems, notes


def notes_on(corpus: Corpus, utterances: Sequence[Utterance]) -> list[str]:
    """What a user should know of recordings that are without fault."""
    notes = []
    known = sorted({label for name in corpora.names() for label in corpora.get(name).labels})
    if strange := [label for label in corpus.labels if label not in known]:
        known_as = {word: label for label, words in _MEANT.items() for word in words.split()}
        called = [f"{label}={known_as.get(label, '…')}" for label in strange]
        options = " ".join(f"--label {shlex.quote(one)}" for one in called)
        to_fill_in = " with one of these in place of …" if "…" in options else ""
        notes.append(
            f"{', '.join(strange)}: no emotions of the known corpora, which have {', '.join(known)}. That is fine; to compare "
            f"with those corpora, give{to_fill_in}: {options}"
        )
    counts = Counter(utterance.emotion for utterance in utterances)
    if few := [f"{label} ({counts[label]})" for label in corpus.labels if counts[label] < corpus.n_folds]:
        notes.append(f"Too few for each of {corpus.n_folds} folds to test one: {', '.join(few)}.")
    for column in OPTIONAL:
        missing = sum(getattr(utterance, column) is None for utterance in utterances)
        if missing and (column == "speaker" or missing < len(utterances)):
            notes.append(f"The {column} is unknown for {missing} of {len(utterances)}.{_MEANING.get(column, '')}")
    return notes


_MEANING = {
    "speaker": " Without every speaker no protocol keeps speakers apart: results will say nothing about strangers' voices. "
    "Give them as a column, a folder, or with --pattern or --speaker-from."
}


def protocols(corpus: Corpus, table: "pa.Table", n_folds: int) -> dict[str, str | None]:
    """The protocols that make their own folds and are honest, and why they cannot be carried out here; None: they can."""
    from timnet import splits
    from timnet.plan import FALLBACK_SEED

    columns = splits.Columns.of(corpus.name, corpus.labels, table)
    result: dict[str, str | None] = {}
    for name, protocol in splits.PROTOCOLS.items():
        if name == "table" or protocol.selection == "test":
            continue
        try:
            splits.split(name, columns, n_folds, FALLBACK_SEED)
            result[name] = None
        except SplitError as error:
            result[name] = str(error)
    return result
