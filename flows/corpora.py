"""`timnet corpora`: which corpora there are, and what is in a folder that is said to hold one."""

import argparse
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from flows.command import Environment
from flows.printing import print_table

PROBLEMS_FOUND = 1  # exit status of `check`


def add(groups: Any) -> None:
    """Add the command and its actions to the parser of `timnet`."""
    words = "list the corpora that are known, or check one that lies here"
    actions = groups.add_parser("corpora", help=words, description=words, allow_abbrev=False).add_subparsers(
        metavar="ACTION", required=True
    )
    words = "every corpus: what it is, its licence and where it comes from"
    actions.add_parser("list", help=words, description=words, allow_abbrev=False).set_defaults(action=_list)
    words = "decode every recording of a corpus and say what is there and what is wrong with it"
    check = actions.add_parser("check", help=words, description=words, allow_abbrev=False)
    check.set_defaults(action=_check)
    check.add_argument("corpus", metavar="CORPUS", help="a known corpus, or the name of your own folder or table")
    root = Environment().data_root
    check.add_argument(
        "--data-root", default=root, required=root is None, metavar="DIR", help="folder or URI that holds the corpora"
    )


def _list(_: argparse.Namespace) -> None:
    from timnet import corpora

    for name in corpora.names():
        corpus = corpora.get(name)
        n = sum(corpus.counts.values()) if corpus.counts else 0
        print(f"{name}{' (synthetic)' if corpus.synthetic else ''}: {corpus.title}")
        print(f"  {n} recordings, {corpus.n_speakers} speakers, {corpus.language}; {', '.join(corpus.labels)}")
        print(f"  licence: {corpus.licence}")
        print(f"  from: {corpus.source}")
        print(f"  named like: {corpus.example}")
        for quirk in corpus.quirks:
            print(f"  note: {quirk}")


def _check(given: argparse.Namespace) -> None:
    from timnet import audio
    from timnet.corpora import manifest
    from timnet.plan import located_corpus

    corpus, source = located_corpus(given.corpus, given.data_root)
    found = corpus.find(source)

    def facts(path: str) -> audio.AudioFacts:
        return audio.inspect(source.read_bytes(path), path)

    with ThreadPoolExecutor() as threads:
        paths = [utterance.path for utterance in found.utterances]
        inspected = dict(zip(paths, threads.map(facts, paths), strict=True))
    table, problems = manifest.build(corpus, found, inspected)
    hours = sum(table["duration_s"].to_pylist()) / 3600
    print(f"{corpus.name} in {source.root}: {table.num_rows} recordings that can be used, {hours:.2f} h")
    emotions, speakers = table["emotion"].to_pylist(), table["speaker"].to_pylist()
    rows = [("emotion", "here", "expected")]
    for label in corpus.labels:
        expected = str(corpus.counts[label]) if corpus.counts else "–"
        rows.append((label, str(emotions.count(label)), expected))
    rows.append(("speakers", str(len(set(speakers) - {None})), str(corpus.n_speakers or "–")))
    print_table(rows)
    for note in found.notes:
        print(f"note: {note}")
    for problem in problems:
        print(f"problem: {problem.message}")
    print("Nothing is wrong with it." if not problems else f"{len(problems)} problems.")
    if problems:
        raise SystemExit(PROBLEMS_FOUND)
