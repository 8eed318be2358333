"""The command `timnet`: what is in a store. Trainings are started as `python -m flows.cv` and its siblings."""

import argparse
import sys
from collections.abc import Callable

from flows.command import Environment, Parser, fail
from timnet.errors import TimnetError


def main(arguments: list[str] | None = None) -> None:
    """Needs no Ray and no Prefect. Exit status 2 for wrong use and for what is not there."""
    default = Environment().store or "timnet-store"
    where = Parser(add_help=False)
    where.add_argument("--store", default=default, metavar="URI", help=f"the store [default: {default}]")
    parser = Parser(prog="timnet", description=__doc__, allow_abbrev=False)
    groups = parser.add_subparsers(metavar="COMMAND", required=True)
    runs = groups.add_parser("runs", help="list, show, report again or delete what is in a store", allow_abbrev=False)
    actions = runs.add_subparsers(metavar="ACTION", required=True)
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
    try:
        given = parser.parse_args(sys.argv[1:] if arguments is None else arguments)
        given.action(given)
    except TimnetError as error:
        fail(error)


def _list(given: argparse.Namespace) -> None:
    from timnet import runs
    from timnet.report import text
    from timnet.store import Store

    rows = [("run", "state", "made", "size", "corpus", "folds", "WAR", "UAR")]
    for run in runs.runs(_opened(Store, given)):
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
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _show(given: argparse.Namespace) -> None:
    from timnet import report, runs
    from timnet.store import Store

    store = _opened(Store, given)
    run = runs.run(store, given.run)
    print(f"{run.run_id}: {run.state}, {_size(run.n_bytes)} and {len(runs.folds_of(store, given.run))} folds")
    if run.summary is not None:
        print(report.terminal(run.summary))
        print(f"Report: {store.at(f'runs/{run.run_id}/report/index.html')}")


def _report(given: argparse.Namespace) -> None:
    from timnet import report, runs
    from timnet.store import Store

    store = _opened(Store, given)
    print(report.terminal(runs.report_again(store, given.run)))
    print(f"Report: {store.at(f'runs/{given.run}/report/index.html')}")


def _delete(given: argparse.Namespace) -> None:
    from timnet import runs
    from timnet.store import Store

    store = _opened(Store, given)
    run = runs.run(store, given.run)
    if not given.yes:
        print(
            f"{run.run_id} ({run.state}, {_size(run.n_bytes)}) would be deleted from {store.uri}. Add --yes to do it."
        )
        return
    n_folds = runs.delete(store, given.run, with_folds=given.with_folds)
    print(f"Deleted {run.run_id}" + (f" and {n_folds} folds that no other run needs" if given.with_folds else "") + ".")


def _opened(store: Callable, given: argparse.Namespace):
    opened = store(given.store)
    opened.check()
    return opened


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 2**20:.1f} MiB"


_ACTIONS = {
    "list": (_list, "every run with its state, size and scores"),
    "show": (_show, "one run: its scores and where its report is"),
    "report": (_report, "make the report of a run again, without training"),
    "delete": (_delete, "delete a run"),
}

if __name__ == "__main__":
    main()
