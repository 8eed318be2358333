"""Which runs a store holds, and their run.json and summary.json, checked as they are read: a store may come from others."""

import datetime
import re
from typing import Annotated, Any

import pyarrow as pa
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from timnet import tables
from timnet.config import RUN_ID
from timnet.errors import BrokenFileError, StoreError
from timnet.store import Store


def _a_time(text: str) -> str:
    datetime.datetime.fromisoformat(text)
    return text


_Time = Annotated[str, AfterValidator(_a_time)]
_Seed = Annotated[str, Field(pattern="^[0-9]+$")]
_Score = float | None


FACTS, SUMMARY = "run.json", "report/summary.json"  # in the folder of a run
_MAKE_AGAIN = "Make the report again: timnet runs report {}."


class _Checked(BaseModel):
    """What readers need; whatever else there is may stay."""

    model_config = ConfigDict(strict=True)


class _Fold(_Checked):
    fold: int
    # It is deleted with the run: never anything above the folder of a single fold.
    path: str = Field(pattern=r"^(trained|evaluated)(/[^/.][^/]*){2,}$")
    state: str
    error: str | None
    reused: bool
    seconds: float | None


class _Cut(_Checked):
    split: str
    folds: list[_Fold]


class _Corpus(_Checked):
    title: str
    language: str
    licence: str
    synthetic: bool
    labels: list[str]
    n_utterances: int
    duration_s: float
    signal_length: int
    sources: list[str] | None = None
    manifest: str
    features: list[str]
    problems: list[dict[str, Any]]
    notes: list[str]
    seeds: dict[_Seed, _Cut] = Field(min_length=1)


class _Named(_Checked):
    name: str


class _Protocol(_Named):
    description: str
    selection: str


class _Facts(_Checked):
    kind: str
    created: _Time
    settings: dict[str, Any]
    versions: dict[str, Any]
    machine: dict[str, Any]
    recipe: dict[str, Any]
    protocol: _Protocol
    features: dict[str, Any]
    model: _Named
    timings: list[dict[str, Any]]
    corpora: dict[str, _Corpus] = Field(min_length=1)


class _Scores(_Checked):
    war: _Score
    uar: _Score


class _Intervals(_Checked):
    war: list[float] | None
    uar: list[float] | None
    over: str | None
    n_clusters: int


class _CorpusSummary(_Checked):
    synthetic: bool
    folds_completed: int
    folds_total: int
    pooled: _Scores
    interval: _Intervals
    fold_mean: _Scores
    fold_sd: _Scores
    warnings: list[str]


class _Summary(_Checked):
    created: _Time
    folds_completed: int
    folds_total: int
    warnings: list[str]
    corpora: dict[str, _CorpusSummary] = Field(min_length=1)


def names(store: Store) -> list[str]:
    """The ids of all runs, sorted; other files and folders, such as those that a desktop leaves behind, are none."""
    return [name for name in store.children("runs") if _is_run(store, name)]


def exists(store: Store, run_id: str) -> bool:
    """Whether there is a run of exactly this id; "", "." and a path are no ids."""
    return RUN_ID.fullmatch(run_id) is not None and run_id in store.children("runs") and _is_run(store, run_id)


def _is_run(store: Store, name: str) -> bool:
    if not RUN_ID.fullmatch(name):
        return False
    return not {"settings.json", FACTS, "report"}.isdisjoint(store.children(f"runs/{name}"))


def check(store: Store, run_id: str) -> None:
    """Raises StoreError naming the runs that there are, where this is none of them."""
    if not exists(store, run_id):
        raise StoreError(f"There is no run {run_id!r} in {store.uri}; there are: {', '.join(names(store)) or 'none'}.")


def facts(store: Store, run_id: str) -> dict[str, Any]:
    """run.json: what the run was made of and with.

    Raises StoreError where there is no such run or it never came to a report, BrokenFileError where something is missing
    in it or is not what it has to be.
    """
    if not has(store, run_id, FACTS):
        raise StoreError(
            f"The run {run_id} in {store.uri} is unfinished: it has no report yet. Give its command again."
        )
    advice = f"Give the run's command again, or delete the run: timnet runs delete {run_id}."
    # A run is what its folder is called: somebody may have renamed that.
    return {**_read(store, _path(run_id, FACTS), _Facts, advice), "run_id": run_id}


def summary(store: Store, run_id: str) -> dict[str, Any]:
    """summary.json: the scores of the run's report. Raises like `facts`."""
    return _read(store, _of_report(store, run_id, SUMMARY), _Summary, _MAKE_AGAIN.format(run_id))


def predictions(store: Store, run_id: str) -> pa.Table:
    """What the report says of every test of every utterance, as tables.PREDICTIONS. Raises like `facts`."""
    return store.read_table(_of_report(store, run_id, "report/predictions.parquet"), tables.PREDICTIONS)


def has(store: Store, run_id: str, name: str) -> bool:
    """Whether a run has a file of this name in its folder; raises StoreError where there is no such run."""
    if RUN_ID.fullmatch(run_id) and store.exists(_path(run_id, name)):
        return True
    check(store, run_id)
    return False


def _path(run_id: str, name: str) -> str:
    return f"runs/{run_id}/{name}"


def _of_report(store: Store, run_id: str, name: str) -> str:
    if not has(store, run_id, name):
        raise StoreError(f"The run {run_id} in {store.uri} has no whole report. {_MAKE_AGAIN.format(run_id)}")
    return _path(run_id, name)


def _read(store: Store, path: str, shape: type[_Checked], advice: str) -> dict[str, Any]:
    value = store.read_json(path)
    try:
        shape.model_validate(value)
    except ValidationError as error:
        raise BrokenFileError(f"{store.at(path)} cannot be used: {_said(error)}. {advice}", path) from error
    return value


def _said(error: ValidationError) -> str:
    faults = error.errors(include_url=False)
    where = ".".join(str(part) for part in faults[0]["loc"])
    if faults[0]["type"] == "missing":
        said = f"{where} is missing"
    else:
        received = re.sub(r"\s+", " ", repr(faults[0]["input"]))[:60]
        what = faults[0]["msg"].removeprefix("Value error, ")
        said = f"{where or 'it'}: {what[:1].lower()}{what[1:]}, received {received}"
    return said + (f" (and {len(faults) - 1} more faults)" if len(faults) > 1 else "")
