"""`timnet corpora import`: a folder or table of one's own becomes a corpus of the data root."""

import argparse
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flows import stopping
from flows.command import add_data_root
from flows.printing import print_table

if TYPE_CHECKING:
    import pyarrow as pa

    from timnet.corpora.base import Corpus, Found, Problem, Source


def add(actions: Any) -> None:
    """Add the action to the parser of `timnet corpora`."""
    words = (
        "make a corpus of a folder or table of your own: everything is checked first, and nothing of yours is changed"
    )
    one = actions.add_parser("import", help=words, description=words, allow_abbrev=False)
    one.set_defaults(action=_import)
    one.add_argument(
        "origin",
        metavar="FOLDER_OR_TABLE",
        help="a folder with a sub-folder an emotion, or a flat one, or a CSV, TSV or Parquet",
    )
    one.add_argument("--name", required=True, metavar="NAME", help="what the corpus shall be called")
    add_data_root(one, "folder that the corpus is put into")
    one.add_argument(
        "--pattern",
        metavar="REGEX",
        help="takes file names apart by named groups: emotion, speaker, sentence, session, such as "
        r"'(?P<speaker>\d+)_(?P<emotion>\w+)\.wav'; with a slash, folders, too",
    )
    one.add_argument(
        "--speaker-from", metavar="REGEX", help="finds the speaker in a path: its group, or all that it finds"
    )
    one.add_argument(
        "--column",
        action="append",
        default=[],
        metavar="OURS=YOURS",
        help="a column of the table that is called otherwise",
    )
    one.add_argument(
        "--label", action="append", default=[], metavar="YOURS=OURS", help="an emotion that shall be called otherwise"
    )
    one.add_argument("--audio-root", metavar="DIR", help="what a table's paths are relative to [default: its folder]")
    one.add_argument(
        "--copy", action="store_true", help="copy the recordings into the corpus, and depend on nothing else"
    )
    one.add_argument("--skip-bad", action="store_true", help="leave out recordings that cannot be used, and list them")
    one.add_argument("--replace", action="store_true", help="replace what an earlier import has made under that name")


def _import(given: argparse.Namespace) -> None:
    from timnet import importing, placing, storage
    from timnet.errors import CorpusError
    from timnet.import_rules import Rules

    rules = Rules(
        _pairs("--column", given.column, "emotion=label"),
        _pairs("--label", given.label, "wut=angry"),
        given.pattern,
        given.speaker_from,
        given.audio_root,
    )
    root = storage.local_folder(given.data_root)
    with stopping.saying("Nothing was written."):
        source, found = importing.read(given.origin, rules)
        corpus = importing.card(given.name, given.origin, found)
        folder = storage.local_folder(source.root)
        read = [storage.local_folder(given.origin), *(folder / utterance.path for utterance in found.utterances)]
        place = placing.place(root, given.name, folder, read, given.copy, given.replace)
        corpus, kept, table, problems = _checked(corpus, found, source, given.skip_bad)
        try:
            placing.write(place, kept.utterances, given.copy)
        except OSError as error:
            raise CorpusError(
                f"{error.filename or place.target} cannot be written: {error.strerror or error}. Nothing is changed."
            ) from error
    for problem in problems:
        print(f"left out: {problem.message}")
    for note in kept.notes:
        print(f"note: {note}")
    where = "copied" if given.copy else "where they are" if place.inside else "linked to where they are"
    print(f"{corpus.name} in {place.target}: {len(kept.utterances)} recordings, {where}")
    _print_summary(corpus, table, str(root))


def _pairs(option: str, given: Sequence[str], example: str) -> Mapping[str, str]:
    from timnet.errors import ConfigError

    pairs = dict(text.partition("=")[::2] for text in given)
    if any("=" not in text for text in given) or len(pairs) < len(given):
        raise ConfigError(f"{option} {' '.join(given)}: expected each once, and written like {option} {example}.")
    return {key.strip(): value for key, value in pairs.items()}


def _checked(
    corpus: "Corpus", found: "Found", source: "Source", skip_bad: bool
) -> "tuple[Corpus, Found, pa.Table, list[Problem]]":
    """The corpus of the recordings that can be used, these with what should be known of them, their manifest, and what is
    wrong with the others, which skip_bad must accept."""
    from timnet import importing, placing
    from timnet.corpora import manifest
    from timnet.corpora.base import Found

    facts = manifest.inspected(found, source)
    table, problems = manifest.build(corpus, found, facts)
    twice, notes = importing.same_recordings(table)
    problems = manifest.check(corpus, [*problems, *placing.cannot_be_listed(found.utterances), *twice], skip_bad)
    bad = {problem.path for problem in problems}
    usable = tuple(utterance for utterance in found.utterances if utterance.path not in bad)
    corpus = importing.card(corpus.name, corpus.source, Found(usable))
    kept = Found(usable, notes=(*found.notes, *notes, *importing.notes_on(corpus, usable)))
    return corpus, kept, manifest.build(corpus, kept, facts)[0], problems


def _print_summary(corpus: "Corpus", table: "pa.Table", root: str) -> None:
    from timnet import importing

    emotions, speakers = table["emotion"].to_pylist(), table["speaker"].to_pylist()
    counts = {label: emotions.count(label) for label in corpus.labels}
    rows = [("emotion", "recordings"), *((label, str(n)) for label, n in counts.items())]
    print_table([*rows, ("speakers", str(len(set(speakers) - {None}) or "unknown"))])
    for n_folds in (corpus.n_folds, max(2, min(counts.values()))):
        why_not = importing.protocols(corpus, table, n_folds)
        possible = [name for name, reason in why_not.items() if reason is None]
        if set(possible) - {"published"}:
            break
    print(f"protocols that it can be run with: {', '.join(possible) or 'none'}")
    for name, reason in why_not.items():
        if reason:
            print(f"  not {name}: {reason}")
    if possible:
        folds = "" if n_folds == corpus.n_folds else f" --folds {n_folds}"
        protocol = "" if possible[0] == "speaker-independent" else f" --protocol {possible[0]}"
        run = f"python -m flows.cv --local --data-root {shlex.quote(root)} --corpora {corpus.name}{protocol}{folds}"
        print(f"Next, for a first look and then for TIM-Net:\n  {run} --model svm\n  {run}")
