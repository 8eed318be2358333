"""`timnet runs`: what is in a store."""

import argparse
import os
from typing import TYPE_CHECKING, Any

from flows.command import Parser, add_store
from flows.printing import print_table

if TYPE_CHECKING:
    from timnet.store import Store


def add(groups: Any) -> None:
    """Add the command and its actions to the parser of `timnet`."""
    where = Parser(add_help=False)
    add_store(where)
    words = "list, show, report again or delete what is in a store"
    actions = groups.add_parser("runs", help=words, description=words, allow_abbrev=False).add_subparsers(
        metavar="ACTION", required=True
    )
    for name, (action, words) in _ACTIONS.items():
        one = actions.add_parser(name, help=words, description=words, parents=[where], allow_abbrev=False)
        one.set_defaults(action=action)
        if name != "list":
            one.add_argument("run", metavar="RUN", help="the run's id")
        if name == "delete":
            one.add_argument("--yes", action="store_true", help="do it; without this, only what would go is said")
            one.add_argument(
                "--with-folds", action="store_true", help="also the folds that no other run's report needs"
            )


def _list(given: argparse.Namespace) -> None:
    from timnet import runs
    from timnet.report import text

    rows: list[tuple[str, ...]] = [("run", "state", "made", "size", "corpus", "folds", "WAR", "UAR")]
    store = _opened(given)
    found = runs.runs(store)
    for run in found:
        first = (run.run_id, run.state, text.when(run.created) if run.created else "–", _size(run.n_bytes))
        corpora = (run.summary or {}).get("corpora") or {"–": None}
        for name, corpus in corpora.items():
            cells: tuple[str, ...] = (name, "–", "–", "–")
            if corpus is not None:
                done = f"{corpus['folds_completed']} of {corpus['folds_total']}"
                scores = (text.percent(corpus["pooled"][score]) for score in ("war", "uar"))
                cells = (text.named(name, corpus), done, *scores)
            rows.append((*first, *cells))
            first = ("", "", "", "")
    if not found:
        print(f"There are no runs in {store.uri}.")
        return
    print_table(rows)
    for run in found:
        if run.damage is not None:
            print(f"! {run.run_id}: {run.damage}")


def _show(given: argparse.Namespace) -> None:
    from timnet import report, runs
    from timnet.errors import StoreError

    store = _opened(given)
    run = runs.run(store, given.run)
    if run.damage is not None and None in (run.facts, run.summary):
        raise StoreError(run.damage)
    print(
        f"{run.run_id}: {run.state}, {_size(run.n_bytes)}{'' if run.folds is None else f' and {len(run.folds)} folds'}"
    )
    if run.damage is not None:
        print(f"! {run.damage}")
    if run.summary is not None:
        print(report.terminal(run.summary))
        print(f"Report: {store.at(f'runs/{run.run_id}/report/index.html')}")


def _report(given: argparse.Namespace) -> None:
    from timnet import report, runs

    store = _opened(given)
    print(report.terminal(runs.report_again(store, given.run)))
    print(f"Report: {store.at(f'runs/{given.run}/report/index.html')}")


def _delete(given: argparse.Namespace) -> None:
    from timnet import runs

    store = _opened(given)
    run = runs.run(store, given.run)
    folds = runs.folds_of_none_else(store, given.run) if given.with_folds else set()
    also = f" and {len(folds)} folds that no other run needs" if given.with_folds and folds is not None else ""
    if given.yes:
        runs.delete(store, given.run, folds or ())
        print(f"Deleted {run.run_id}{also}.")
    else:
        print(
            f"{run.run_id} ({run.state}, {_size(run.n_bytes)}){also} would be deleted from {store.uri}. Add --yes to do it."
        )
    if folds is None:
        print(
            f"Folds that it has finished stay: without a whole run.json {run.run_id} does not say which they are. Its command, "
            "given again, finds them and makes its report; deleted after that with --with-folds, they go, too."
        )


def _opened(given: argparse.Namespace) -> "Store":
    from timnet.errors import StoreError
    from timnet.store import Store

    store = Store(given.store)
    store.check()
    if store.is_local and not os.path.isdir(store.at("")):
        raise StoreError(f"There is no store at {store.uri}. Give another --store; the first run in one makes it.")
    return store


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 2**20:.1f} MiB"


_ACTIONS = {
    "list": (_list, "every run with its state, size and scores"),
    "show": (_show, "one run: its scores and where its report is"),
    "report": (_report, "make the report of a run again, without training"),
    "delete": (_delete, "delete a run"),
}
