"""What a store holds: its runs with scores, sizes and states, and taking one of them away again."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from timnet import event_files, report, run_files
from timnet.errors import BrokenFileError, StoreError
from timnet.store import DONE, Store

FINISHED, FAILED, UNFINISHED, DAMAGED = "finished", "folds failed", "unfinished", "damaged"


@dataclass(frozen=True)
class Run:
    """A run as its folder tells it."""

    run_id: str
    state: str  # finished, folds failed (with a report), unfinished (at work, or stopped), damaged
    facts: dict[str, Any] | None  # run.json; None without a report, or where it is damaged
    summary: dict[str, Any] | None  # summary.json, likewise
    n_bytes: int  # of the run's own folder: its report, not the folds, which runs share
    damage: str | None  # what is wrong and what to do

    @property
    def created(self) -> str | None:
        """ISO 8601, of the last report."""
        return None if self.summary is None else self.summary["created"]

    @property
    def folds(self) -> set[str] | None:
        """Folders of the folds that the report was made of; None where that is not known."""
        if self.facts is None:
            return None
        seeds = [seed for corpus in self.facts["corpora"].values() for seed in corpus["seeds"].values()]
        return {fold["path"] for seed in seeds for fold in seed["folds"]}


def runs(store: Store) -> list[Run]:
    """Every run of the store, by name."""
    return [_told(store, name) for name in run_files.names(store)]


def run(store: Store, run_id: str) -> Run:
    """One run; raises StoreError naming those that there are."""
    run_files.check(store, run_id)
    return _told(store, run_id)


def _told(store: Store, run_id: str) -> Run:
    folder, facts, summary, damage = f"runs/{run_id}", None, None, None
    lost = store.lost(folder)
    try:
        if run_files.has(store, run_id, run_files.FACTS):
            facts = run_files.facts(store, run_id)
        if run_files.has(store, run_id, run_files.SUMMARY):
            summary = run_files.summary(store, run_id)
    except BrokenFileError as error:
        damage = str(error)
    if damage is None and lost:
        helps = (
            "Give its command again"
            if run_files.FACTS in lost
            else f"Make its report again: timnet runs report {run_id}"
        )
        damage = f"{store.at(folder)} is not whole: {', '.join(lost)} is gone or was changed. {helps}."
    if damage is not None:
        state = DAMAGED
    elif lost is not None:
        state = FINISHED
    elif summary is not None and summary["folds_completed"] < summary["folds_total"]:
        state = FAILED
    else:
        state = UNFINISHED
    return Run(run_id, state, facts, summary, store.size(folder), damage)


def report_again(store: Store, run_id: str) -> dict[str, Any]:
    """Make the report of a run again from what the store holds; returns the summary.

    Raises StoreError where there is no such run, or where it never came to a report.
    """
    folder = f"runs/{run_id}"
    summary = report.build(store, run_id)
    if summary["folds_completed"] == summary["folds_total"]:
        store.mark_done(folder, {"n_folds": summary["folds_total"]})
    else:
        store.remove(f"{folder}/{DONE}")
    return summary


def folds_of_none_else(store: Store, run_id: str) -> set[str] | None:
    """Folders of the folds that no other run needs; None where the run does not say which its folds are.

    Raises StoreError like `run`, and where it is not known which folds another run needs.
    """
    run_files.check(store, run_id)
    needed = {one.run_id: one.folds for one in runs(store)}
    own = needed.pop(run_id)
    if unknown := [name for name, folds in needed.items() if folds is None]:
        raise StoreError(
            f"Nothing was deleted: nobody knows which folds {', '.join(unknown)} needs, without a whole run.json. Finish or "
            f"delete that first, or delete {run_id} alone, without --with-folds; its folds then stay."
        )
    return None if own is None else own.difference(*(folds or () for folds in needed.values()))


def delete(store: Store, run_id: str, folds: Collection[str] = ()) -> None:
    """Delete a run, and the folders of these folds; raises StoreError where there is no such run.

    Folds that stay are found again by a run with the same settings.
    """
    run_files.check(store, run_id)
    store.delete(f"runs/{run_id}")
    store.delete(event_files.folder(run_id))
    for folder in sorted(folds):
        store.delete(folder)
