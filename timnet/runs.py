"""What a store holds: its runs with scores, sizes and states, and taking one of them away again."""

from dataclasses import dataclass
from typing import Any

from timnet import event_files, report
from timnet.errors import StoreError
from timnet.store import Store

FINISHED, FAILED, UNFINISHED = "finished", "folds failed", "unfinished"


@dataclass(frozen=True)
class Run:
    """A run as its folder tells it."""

    run_id: str
    state: str  # finished, folds failed (with a report), unfinished (without one)
    created: str | None  # ISO 8601, of the last report
    summary: dict[str, Any] | None  # summary.json; None without a report
    n_bytes: int  # of the run's own folder: its report, not the folds, which runs share


def runs(store: Store) -> list[Run]:
    """Every run of the store, by name."""
    return [run(store, name) for name in store.children("runs")]


def run(store: Store, run_id: str) -> Run:
    """One run; raises StoreError naming those that there are."""
    folder = f"runs/{run_id}"
    if not store.children(folder):
        there = ", ".join(store.children("runs")) or "none"
        raise StoreError(f"There is no run {run_id!r} in {store.uri}; there are: {there}.")
    path = f"{folder}/report/summary.json"
    summary = store.read_json(path) if store.exists(path) else None
    state = UNFINISHED if summary is None else FINISHED if store.is_done(folder) else FAILED
    return Run(run_id, state, summary and summary["created"], summary, store.size(folder))


def report_again(store: Store, run_id: str) -> dict[str, Any]:
    """Make the report of a run again from what the store holds; returns the summary.

    Raises StoreError where there is no such run, or where it never came to a report.
    """
    was = run(store, run_id)
    if not store.exists(f"runs/{run_id}/run.json"):
        raise StoreError(f"{run_id} is unfinished: there is nothing to report yet. Give its command again.")
    facts = store.done(f"runs/{run_id}") if was.state == FINISHED else None
    summary = report.build(store, run_id)
    if facts is not None:
        store.mark_done(f"runs/{run_id}", facts)
    return summary


def folds_of(store: Store, run_id: str) -> set[str]:
    """Folders of the folds that a run's report was made of."""
    path = f"runs/{run_id}/run.json"
    corpora = store.read_json(path)["corpora"].values() if store.exists(path) else ()
    return {fold["path"] for corpus in corpora for seed in corpus["seeds"].values() for fold in seed["folds"]}


def delete(store: Store, run_id: str, *, with_folds: bool = False) -> int:
    """Delete a run, and with_folds the folds that no other run's report is made of; returns how many those were.

    Folds that stay are found again by a run with the same settings. Raises StoreError where there is no such run.
    """
    run(store, run_id)
    own = folds_of(store, run_id) if with_folds else set()
    for other in store.children("runs") if own else ():
        own -= folds_of(store, other) if other != run_id else set()
    store.delete(f"runs/{run_id}")
    store.delete(event_files.folder(run_id))
    for folder in sorted(own):
        store.delete(folder)
    return len(own)
