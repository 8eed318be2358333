"""How a command starts its flow: check everything first, then run, then say what came of it by the exit status."""

import contextlib
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

from flows import stopping
from flows.command import fail, parse
from tasks.local_api import LocalApi
from timnet.config import RECIPES, CommonSettings
from timnet.errors import ConfigError, TimnetError
from timnet.urls import one_line, without_secrets

if TYPE_CHECKING:
    from prefect import Flow

COMPLETED, FAILED = 0, 1
PATIENCE = 7  # waits of 2, 4, … 128 s for a Prefect server that is away; Prefect's own 5 give up after a minute

# Prefect's own words on events and logs that it cannot send, each with a dump of the event.
_NOISY = ("prefect.events.clients", "prefect._internal.concurrency", "EventsWorker", "APILogWorker")

_command: list[float] = []  # when the command began, until a run has taken it
_finished: dict[str, int] = {}  # exit status by the flow's name, once its report is made


def began() -> float:
    """When a run began, as time.perf_counter tells it: with its command, if it is the first that this starts; else now."""
    return _command.pop() if _command else time.perf_counter()


def command_line(
    program: str,
    description: str,
    arguments: list[str],
    model: type[CommonSettings],
    check: Callable[[Any], object],
) -> tuple[Any, LocalApi | None]:
    """Settings that have passed the check, and with --local the API that is on its way up.

    Otherwise one line on what is wrong, and exit status 2.
    """
    _command[:] = [time.perf_counter()]
    from timnet import corpora, models, splits
    from timnet.features import FEATURES
    from timnet.tracking import TRACKERS

    choices = {
        "corpora": corpora.names(),
        "protocol": list(splits.PROTOCOLS),
        "features": list(FEATURES),
        "model": models.names(),
        "models": models.names(),
        "recipe": list(RECIPES),
        "track": list(TRACKERS),
    }
    try:
        settings, own = parse(program, description, arguments, choices, model)
        check(settings)
    except TimnetError as error:
        fail(error)
    return settings, LocalApi() if own.local else None


def start(flow: "Flow", settings: CommonSettings, api: LocalApi | None) -> int:
    """Run the flow in this process; returns the exit status."""
    try:
        return _start(flow, settings, api)
    finally:
        stopping.leave_at_once()  # what is left is Prefect's, which sends its last events


def _start(flow: "Flow", settings: CommonSettings, api: LocalApi | None) -> int:
    import httpx
    from prefect.exceptions import PrefectException

    of_prefect = (httpx.HTTPError, PrefectException)
    try:
        stopping.stop_the_flow()
        with prefect_settings(api):
            try:
                state: Any = flow(settings, return_state=True)
            except of_prefect as error:
                print(f"timnet: {_untold(flow.name, error)}", file=sys.stderr)
                _leave(_finished.get(flow.name, FAILED))
            outcome = None if state.is_completed() else state.result(raise_on_failure=False)
            if isinstance(outcome, of_prefect):  # of a flow in this one
                outcome = TimnetError(_untold(flow.name, outcome))
    except KeyboardInterrupt:
        print(stopping.SAID, file=sys.stderr)
        return stopping.status()
    except TimnetError as error:
        print(f"timnet: {without_secrets(error)}", file=sys.stderr)
        return FAILED
    if state.is_completed():
        return COMPLETED
    if isinstance(outcome, ConfigError):
        fail(outcome)
    said = outcome if isinstance(outcome, TimnetError) else state.message or state.name
    print(f"timnet: {without_secrets(said)}", file=sys.stderr)
    return FAILED


def _untold(flow: str, error: Exception) -> str:
    reason = one_line(error) or type(error).__name__
    left = (
        "The run is over and its report is there, only Prefect was not told."
        if flow in _finished
        else "What was computed is in the store: give the same command again when it is back."
    )
    return f"Prefect's server at {_server()} stays away or refuses ({reason}). {left}"


def _leave(status: int) -> NoReturn:
    """End the process without Prefect's last events: it would try to send each of them for seven seconds."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _server() -> str:
    """Host and port of Prefect's server."""
    from prefect import settings

    return urlsplit(without_secrets(settings.PREFECT_API_URL.value())).netloc


@contextmanager
def prefect_settings(api: LocalApi | None) -> Iterator[None]:
    """Prefect's settings for the time of a command: the server that they name, else a local API; quiet on the terminal.

    Raises TimnetError where neither answers.
    """
    from prefect import settings

    changes: dict[Any, Any] = {
        settings.PREFECT_SERVER_ANALYTICS_ENABLED: False,
        settings.PREFECT_LOGGING_LEVEL: "WARNING",
        settings.PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW: "ignore",
        settings.PREFECT_CLIENT_MAX_RETRIES: PATIENCE,
    }
    with contextlib.ExitStack() as stack:
        if api is None and not settings.PREFECT_API_URL.value():
            api = LocalApi()
        if api is not None:
            api.wait()  # it is closed when this process ends: Prefect sends its last events only then
            changes[settings.PREFECT_API_URL] = api.url
        stack.enter_context(settings.temporary_settings(changes))
        logging.getLogger("prefect").setLevel(logging.WARNING)
        # What went wrong is said once, by the command itself; Prefect keeps its own account of it with the run.
        for name in ("prefect.flow_runs", "prefect.task_runs"):
            logging.getLogger(name).propagate = False
        for name in _NOISY:
            logging.getLogger(name).disabled = True  # one of them looks at no level
        logging.raiseExceptions = False  # or it would print that its account of the run cannot be sent
        if api is None:
            _check_server()
        yield


def _check_server() -> None:
    """Knock once: the client of a run is patient for minutes, in case that the server goes away in its middle."""
    import httpx
    from prefect import get_client, settings

    try:
        with (
            settings.temporary_settings({settings.PREFECT_CLIENT_MAX_RETRIES: 1}),
            get_client(sync_client=True) as client,
        ):
            error = client.api_healthcheck()
        said = error and one_line(error)
    except httpx.InvalidURL:  # whose text may be a part of a password
        said = "this is no URL"
    if said is not None:
        raise TimnetError(
            f"Prefect's server at {_server()} cannot be used ({said}). Start it with `prefect server start`, check "
            "PREFECT_API_URL, or give --local, which needs none."
        )


def finish(summary: dict[str, Any]) -> Any:
    """What a flow returns: its summary, or a failed state that names the folds that failed."""
    from prefect.runtime import flow_run
    from prefect.states import Failed

    failed = [
        f"{name} seed {fold['seed']} fold {fold['fold']}"
        for name, corpus in summary["corpora"].items()
        for fold in corpus["folds"]
        if fold["state"] != "completed"
    ]
    _finished[str(flow_run.flow_name)] = FAILED if failed else COMPLETED
    if not failed:
        return summary
    total = sum(len(corpus["folds"]) for corpus in summary["corpora"].values())
    return Failed(message=f"{len(failed)} of {total} folds failed: {', '.join(failed)}. The report names their errors.")
