"""MLflow: a run with the settings, the pooled scores and the report, and below it one for every fold with its curves.

Where MLflow is, it knows itself: MLFLOW_TRACKING_URI and its other variables. Without that one it is a database in the
store. A run is found again by its tags.
"""

import logging
import os
import re
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from timnet import tracking
from timnet.errors import ConfigError, StoreError, TrackingError
from timnet.store import Store
from timnet.tracking import TrackedRun

FOLDER = "mlflow"  # in the store
EXPERIMENT = "timnet"  # unless MLFLOW_EXPERIMENT_NAME says otherwise
ARTIFACTS = ("index.html", "summary.json")
METRICS_AT_ONCE = 1000  # what MLflow takes in one request
MOST_SHOWN = 300  # letters of an error

# Nobody waits four minutes for a server that is away; nobody else is told of a run; what is to be said the run says.
_SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
_TALKATIVE = ("mlflow", "alembic", "urllib3.connectionpool")


def _mlflow() -> Any:
    """The module, which takes two seconds to import. What the user has set of its variables stays."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    import mlflow

    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.ERROR)
    return mlflow


def check(store: Store) -> None:
    """Raises ConfigError where there is nowhere to write to."""
    if store.is_local and unquote(store.at(FOLDER)).partition("?")[0] == store.at(FOLDER):
        return
    if not _mlflow().is_tracking_uri_set():
        why = " with that path: % and ? mean something else in an address of a database" if store.is_local else ""
        raise ConfigError(
            f"--track mlflow needs MLFLOW_TRACKING_URI, as MLflow's database cannot lie in {store.uri}{why}. Set it to a "
            "server, http://HOST:5000, or to a file, sqlite:////FOLDER/mlflow.db."
        )


class Run:
    """A tracking.Tracker. Its errors are TrackingError, or StoreError for what cannot be read from the store."""

    def __init__(self, store: Store, run: TrackedRun):
        mlflow = _mlflow()
        self._store, self._run = store, run
        self._uri, artifacts = str(mlflow.get_tracking_uri()), None
        if not mlflow.is_tracking_uri_set():
            self._uri = f"sqlite:///{store.at(FOLDER)}/mlflow.db"
            artifacts = Path(store.at(FOLDER), "artifacts").as_uri()
        with _explained(self._uri):
            if artifacts is not None:
                os.makedirs(store.at(FOLDER), exist_ok=True)
            self._client = mlflow.MlflowClient(tracking_uri=self._uri)
            self._experiment = self._find_experiment(artifacts)
            self._parent = self._find_parent()
            self._id, self._status = self._parent.info.run_id, self._parent.info.status
            self._written = self._find_folds()

    def fold(self, name: str) -> None:
        if name in self._written:
            return
        about = self._run.folds[name]
        found = tracking.finished_fold(self._store, about.folder)
        with _explained(self._uri):
            self._set_status("RUNNING")
            ended_ms = _now_ms()
            tags = {"mlflow.parentRunId": self._id, "timnet.run_id": self._run.run_id, "timnet.fold": name}
            fold = self._client.create_run(self._experiment, ended_ms - int(1000 * found.seconds), tags, name)
            metrics = [
                (metric, value, ended_ms - int(1000 * epoch.before_end_s), epoch.number)
                for epoch in found.epochs
                for metric, value in epoch.scalars.items()
            ]
            metrics += [(metric, value, ended_ms, found.last_epoch) for metric, value in found.scores.items()]
            params = {"corpus": about.corpus, "seed": about.seed, "fold": about.fold}
            self._write(fold.info.run_id, params, metrics)
            self._client.set_terminated(fold.info.run_id, "FINISHED", ended_ms)
        self._written.add(name)

    def report(self, summary: Mapping[str, Any]) -> None:
        created, now_ms = summary["created"], _now_ms()
        if self._parent.data.tags.get("timnet.report") == created:
            return
        metrics = [
            (f"{corpus}/{name}", value, now_ms, 0)
            for corpus, found in summary["corpora"].items()
            for name, value in tracking.pooled(found).items()
        ]
        with tempfile.TemporaryDirectory() as folder:
            for name in ARTIFACTS:
                Path(folder, name).write_bytes(self._store.read_bytes(f"runs/{self._run.run_id}/report/{name}"))
            with _explained(self._uri):
                self._set_status("RUNNING")
                self._write(self._id, {}, metrics)
                self._client.log_artifacts(self._id, folder, "report")
                self._client.set_tag(self._id, "timnet.report", created)

    def end(self, status: str) -> str:
        with _explained(self._uri):
            self._set_status(status)
        return f"run {self._run.run_id} in {shown(self._uri)}"

    def _find_experiment(self, artifacts: str | None) -> str:
        from mlflow.environment_variables import MLFLOW_EXPERIMENT_NAME

        name = MLFLOW_EXPERIMENT_NAME.get() or EXPERIMENT
        found = self._client.get_experiment_by_name(name)
        return found.experiment_id if found else self._client.create_experiment(name, artifacts)

    def _find_parent(self) -> Any:
        run = self._run
        found = self._client.search_runs([self._experiment], f"tags.`timnet.key` = '{run.key}'", max_results=1)
        if found:
            return found[0]
        tags = {"timnet.key": run.key, "timnet.run_id": run.run_id, "timnet.store": self._store.uri}
        tags |= {f"timnet.{name}": value for name, value in run.about.items()}
        made = self._client.create_run(self._experiment, tags=tags, run_name=run.run_id)
        self._write(made.info.run_id, run.hyperparameters, [])
        return made

    def _find_folds(self) -> set[str]:
        """Names of the folds that are written; one that was half written when its process ended is deleted."""
        written: set[str] = set()
        token = None
        while True:
            page = self._client.search_runs(
                [self._experiment], f"tags.`mlflow.parentRunId` = '{self._id}'", page_token=token
            )
            for run in page:
                if run.info.status == "FINISHED":
                    written.add(run.data.tags["timnet.fold"])
                else:
                    self._client.delete_run(run.info.run_id)
            token = page.token
            if not token:
                return written

    def _set_status(self, status: str) -> None:
        if status == self._status:
            return
        if status == "RUNNING":
            self._client.update_run(self._id, status)
        else:
            self._client.set_terminated(self._id, status)
        self._status = status

    def _write(self, run_id: str, params: Mapping[str, Any], metrics: list[tuple[str, float, int, int]]) -> None:
        """Parameters, and metrics as (name, value, milliseconds since 1970, step)."""
        from mlflow.entities import Metric, Param

        if params:
            self._client.log_batch(run_id, params=[Param(_allowed(name), str(value)) for name, value in params.items()])
        rows = [Metric(_allowed(name), value, at_ms, step) for name, value, at_ms, step in metrics]
        for start in range(0, len(rows), METRICS_AT_ONCE):
            self._client.log_batch(run_id, metrics=rows[start : start + METRICS_AT_ONCE])


def _allowed(name: str) -> str:
    """A name that MLflow takes for a metric or a parameter."""
    return re.sub(r"[^\w.\-/ ]", "_", name)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def shown(uri: str) -> str:
    """A tracking URI without the credentials that it may hold; a password may hold any letter."""
    scheme, _, rest = uri.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2].partition('?')[0]}" if rest else uri


@contextmanager
def _explained(uri: str) -> Iterator[None]:
    """Turn whatever MLflow and what it is built on raise into a TrackingError of one line, without credentials."""
    try:
        yield
    except StoreError:
        raise
    except Exception as error:
        # Not chained: the text of the cause may hold a password.
        raise TrackingError(f"MLflow at {shown(uri)}: {_reason(error, uri)}") from None


def _reason(error: Exception, uri: str) -> str:
    from requests.exceptions import ConnectionError, Timeout

    if isinstance(error.__context__, (ConnectionError, Timeout)):
        return "does not answer; check MLFLOW_TRACKING_URI and that it is up"
    said = " ".join(str(error).replace(uri, shown(uri)).split())
    secrets = uri.partition("://")[2].rpartition("@")[0]
    for part in (secrets, *re.split("[:/@]", secrets)):
        if len(part) > 2:  # or any word would have holes
            said = said.replace(part, "…").replace(unquote(part), "…")
    return f"{type(error).__name__}: {said[:MOST_SHOWN]}"
