"""What a command says of a Prefect server that is away, and the status that it ends with."""

from contextlib import nullcontext

import httpx
import pytest
from prefect import settings
from prefect.exceptions import ObjectNotFound
from prefect.states import Failed

from flows import start
from flows.start import finish
from tasks import report as task
from timnet import report
from timnet.config import RunSettings

AWAY = httpx.ConnectError("no answer from 'http://me:hunter2@host:4200/api/x?sig=hunter2'")
WHERE = "timnet: Prefect's server at host:4200 stays away or refuses (no answer from 'http://host:4200/api/x'). "


class Flow:
    """A flow of which only the name, and what comes of it, count."""

    name = "timnet-cv"

    def __init__(self, act):
        self._act = act

    def __call__(self, given, return_state):
        return self._act()


def raising(error):
    raise error


@pytest.fixture
def started(monkeypatch, capsys):
    """Starts such a flow; returns its exit status and what was said."""

    def leave(status):
        raise SystemExit(status)

    monkeypatch.setattr(start, "prefect_settings", lambda api: nullcontext())
    monkeypatch.setattr(start.stopping, "stop_the_flow", lambda: None)
    monkeypatch.setattr(start.stopping, "leave_at_once", lambda: None)
    monkeypatch.setattr(start, "_leave", leave)
    monkeypatch.setattr(start, "_finished", {})
    monkeypatch.setenv("PREFECT__RUNTIME__FLOW_RUN__FLOW_NAME", Flow.name)

    def started(act):
        with settings.temporary_settings({settings.PREFECT_API_URL: "http://me:hunter2@host:4200/api"}):
            try:
                status = start.start(Flow(act), RunSettings(), None)
            except SystemExit as left:
                status = left.code
        return status, capsys.readouterr().err

    return started


def summary(*states):
    folds = [{"seed": 1, "fold": number, "state": state} for number, state in enumerate(states, 1)]
    return {"corpora": {"EMODB": {"folds": folds}}}


def test_a_server_that_stays_away_is_one_line_that_says_what_is_left(started):
    status, said = started(lambda: raising(AWAY))
    assert status == start.FAILED
    assert said == f"{WHERE}What was computed is in the store: give the same command again when it is back.\n"


@pytest.mark.parametrize(("last", "expected"), [("completed", start.COMPLETED), ("failed", start.FAILED)])
def test_a_run_that_is_over_says_so_and_ends_as_it_would_have(last, expected, started):
    status, said = started(lambda: (finish(summary("completed", last)), raising(AWAY)))
    assert status == expected
    assert said == f"{WHERE}The run is over and its report is there, only Prefect was not told.\n"


def test_a_server_that_has_forgotten_the_run_is_one_line_too(started):
    status, said = started(lambda: raising(ObjectNotFound(AWAY, "no such\n run")))
    assert status == start.FAILED
    assert said.startswith("timnet: Prefect's server at host:4200 stays away or refuses (no such run). What was")
    assert said.count("\n") == 1


def test_a_flow_inside_that_could_not_begin_is_said_the_same_way(started):
    status, said = started(lambda: Failed(message="crashed", data=AWAY))
    assert status == start.FAILED
    assert said.startswith(WHERE)


class Told:
    """What of a run's context the report needs."""

    store = None

    def __init__(self):
        self.said = []
        self.reporter = self

    def say(self, text):
        self.said.append(text)

    def timed(self, name):
        return nullcontext()


def test_artifacts_that_prefect_does_not_take_do_not_fail_the_report(monkeypatch):
    monkeypatch.setattr(report, "build", lambda store, name: {"run_id": name})
    monkeypatch.setattr(report, "markdown", lambda summary: "")
    patience = []

    def away(**given):
        patience.append(settings.PREFECT_CLIENT_MAX_RETRIES.value())
        raise AWAY

    monkeypatch.setattr(task, "create_markdown_artifact", away)
    told = Told()
    assert task.make_report.fn("first", told) == {"run_id": "first"}
    assert patience == [3]  # or nobody would be told of the report for minutes
    assert told.said == [
        "Warning: Prefect's server did not take the report's artifacts (no answer from 'http://host:4200/api/x')."
    ]
