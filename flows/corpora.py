"""`timnet corpora`: which corpora there are, how to get them, and what is in a folder that is said to hold one."""

import argparse
from typing import Any

from flows import fetching, importing
from flows.command import add_data_root
from flows.verdict import print_verdict


def add(groups: Any) -> None:
    """Add the command and its actions to the parser of `timnet`."""
    words = "list the corpora that are known, fetch, import or check one"
    actions = groups.add_parser("corpora", help=words, description=words, allow_abbrev=False).add_subparsers(
        metavar="ACTION", required=True
    )
    words = "every corpus: what it is, its licence, where it comes from and how to get it"
    listing = actions.add_parser("list", help=words, description=words, allow_abbrev=False)
    listing.set_defaults(action=_list)
    add_data_root(listing, "also say which of them are here", required=False)
    words = "decode every recording of a corpus and say what is there and what is wrong with it"
    check = actions.add_parser("check", help=words, description=words, allow_abbrev=False)
    check.set_defaults(action=_check)
    check.add_argument("corpus", metavar="CORPUS", help="a known corpus, or the name of your own folder or table")
    add_data_root(check, "folder or URI that holds the corpora")
    fetching.add(actions)
    importing.add(actions)


def _list(given: argparse.Namespace) -> None:
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
        if given.data_root is not None and not corpus.synthetic:
            print(f"  here: {_where(corpus, given.data_root)}")
        fetching.print_steps(corpus, given.data_root)


def _where(corpus: Any, data_root: str) -> str:
    from timnet import corpora
    from timnet.errors import CorpusError

    root, _ = corpora.entries(data_root)  # a folder that is not there is wrong use, and not every corpus missing
    try:
        source = corpora.locate(corpus, root)
    except CorpusError:
        return f"not in {root}"
    n, expected = len(corpus.find(source).utterances), sum((corpus.counts or {}).values())
    return f"in {source.root}" + (f", {n} of {expected} recordings" if expected and n != expected else "")


def _check(given: argparse.Namespace) -> None:
    from timnet.plan import located_corpus

    print_verdict(*located_corpus(given.corpus, given.data_root))
