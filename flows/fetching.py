"""`timnet corpora fetch`: a corpus that may be fetched comes here, and of the others is said how to get them."""

import argparse
import sys
import time
from typing import TYPE_CHECKING, Any

from flows import stopping
from flows.command import add_data_root
from flows.verdict import print_verdict

if TYPE_CHECKING:
    from rich.progress import TaskID

    from timnet.corpora.base import Corpus

SECONDS_BETWEEN_LINES = 10.0  # where there is no terminal, as in a log file


def add(actions: Any) -> None:
    """Add the action to the parser of `timnet corpora`."""
    words = "download and unpack a corpus that may be fetched, and check it; of the others, say how to get them"
    fetch = actions.add_parser("fetch", help=words, description=words, allow_abbrev=False)
    fetch.set_defaults(action=_fetch)
    fetch.add_argument("corpus", metavar="CORPUS", help="a known corpus")
    add_data_root(fetch, "folder that it is put into, under its name")
    fetch.add_argument("--accept-licence", action="store_true", help="accept the terms of the corpus's licence")
    fetch.add_argument("--url", metavar="URL", help="another address of the same archive, such as a mirror")


def print_steps(corpus: "Corpus", data_root: str | None) -> None:
    """Print how to get a corpus into a data root, DIR where that is not known."""
    from timnet import fetching

    root = data_root or "DIR"
    if corpus.synthetic:
        return
    command = fetching.command(corpus, root)
    print(f"  get it with: {command}\n  or by hand:" if command else "  get it:")
    for number, step in enumerate(fetching.steps(corpus, root), start=1):
        print(f"    {number}. {step}")


def _fetch(given: argparse.Namespace) -> None:
    from timnet import corpora, download, fetching
    from timnet.errors import ConfigError
    from timnet.plan import located_corpus

    corpus = corpora.get(given.corpus)
    if corpus.download is None and not corpus.synthetic:
        print(f"{corpus.name}: {corpus.title}")
        print_steps(corpus, given.data_root)
        sys.stdout.flush()
    archive = fetching.fetchable(corpus)
    if given.url is not None:
        download.check_url(given.url)  # before it is shown
    n_bytes = "size not stated" if archive.n_bytes is None else f"{archive.n_bytes / 1e6:.0f} MB"
    print(f"{corpus.name}: {corpus.title}")
    print(f"  licence: {corpus.licence}{f' ({archive.terms})' if archive.terms else ''}")
    print(f"  from: {given.url or archive.url}, {n_bytes}", flush=True)
    fetching.refuse_existing(corpus, given.data_root)
    if archive.terms and not given.accept_licence:
        raise ConfigError(
            f"{corpus.name} is under {corpus.licence}: {archive.terms}. Give --accept-licence if you accept that."
        )
    with stopping.saying("The same command goes on from what was downloaded."), Transfer() as transfer:
        fetching.fetch(corpus, given.data_root, url=given.url, say=transfer.say, progress=transfer.progress)
    known = "size and MD5 are the publisher's" if archive.md5 else "the publisher states no checksum"
    print(f"Fetched: {known}; now every recording is decoded and counted.", flush=True)
    print_verdict(*located_corpus(corpus.name, given.data_root))


class Transfer:
    """Bytes that come: one live line on a terminal, plain lines now and then elsewhere."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        self._console = Console(file=sys.stderr, highlight=False)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
            transient=True,
        )
        self._tasks: dict[str, TaskID] = {}
        self._said = time.monotonic()

    def __enter__(self) -> "Transfer":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def say(self, text: str) -> None:
        self._console.print(f"  {text}", markup=False, soft_wrap=True)

    def progress(self, what: str, done: int, total: int | None) -> None:
        if what not in self._tasks:
            self._tasks[what] = self._bar.add_task(what, total=total, completed=done)
        self._bar.update(self._tasks[what], completed=done, total=total)
        if not self._console.is_terminal and time.monotonic() - self._said > SECONDS_BETWEEN_LINES:
            self._said = time.monotonic()
            self.say(f"{what}: {done / 1e6:.1f} MB" + (f" of {total / 1e6:.1f} MB" if total else ""))
