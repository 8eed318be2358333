"""How a command starts its flow: check everything first, then run, then say what came of it by the exit status."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from flows.command import fail, parse
from timnet.config import RECIPES, RunSettings
from timnet.errors import ConfigError, TimnetError

if TYPE_CHECKING:
    from prefect import Flow

COMPLETED, FAILED, INTERRUPTED = 0, 1, 130


def command_line(program: str, description: str, arguments: list[str]) -> tuple[RunSettings, bool]:
    """Settings that are known to be possible, and whether to run locally; otherwise one line and exit status 2."""
    from timnet import corpora, models, splits
    from timnet.features import FEATURES
    from timnet.plan import plan

    choices = {
        "corpora": corpora.names(),
        "protocol": list(splits.PROTOCOLS),
        "features": list(FEATURES),
        "model": models.names(),
        "recipe": list(RECIPES),
    }
    try:
        settings, own = parse(program, description, arguments, choices)
        plan(settings)
    except TimnetError as error:
        fail(error)
    return settings, own.local


def start(flow: "Flow", settings: RunSettings, local: bool) -> int:
    """Run the flow in this process; returns the exit status."""
    with prefect_settings(local):
        try:
            state = flow(settings, return_state=True)
        except KeyboardInterrupt:
            print("timnet: interrupted. The same command goes on from what was finished.", file=sys.stderr)
            return INTERRUPTED
    if state.is_completed():
        return COMPLETED
    error = state.data if isinstance(state.data, BaseException) else None
    if isinstance(error, ConfigError):
        fail(error)
    print(f"timnet: {error or state.message or state.name}", file=sys.stderr)
    return FAILED


@contextmanager
def prefect_settings(local: bool) -> Iterator[None]:
    """Prefect's settings for the time of a command: with --local its own temporary API, and quiet on the terminal."""
    from prefect import settings

    changes: dict[Any, Any] = {
        settings.PREFECT_SERVER_ANALYTICS_ENABLED: False,
        settings.PREFECT_LOGGING_LEVEL: "WARNING",
        settings.PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW: "ignore",
    }
    if local:
        changes |= {
            settings.PREFECT_API_URL: None,
            settings.PREFECT_SERVER_ALLOW_EPHEMERAL_MODE: True,
            # A first start makes the database, which on a busy laptop takes longer than the 20 s it is given.
            settings.PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS: 120,
        }
    with settings.temporary_settings(changes):
        logging.getLogger("prefect").setLevel(logging.WARNING)
        yield


def finish(summary: dict[str, Any]) -> Any:
    """What a flow returns: its summary, or a failed state that names the folds that failed."""
    from prefect.states import Failed

    failed = [
        f"{name} seed {fold['seed']} fold {fold['fold']}"
        for name, corpus in summary["corpora"].items()
        for fold in corpus["folds"]
        if fold["state"] != "completed"
    ]
    if not failed:
        return summary
    total = sum(len(corpus["folds"]) for corpus in summary["corpora"].values())
    return Failed(message=f"{len(failed)} of {total} folds failed: {', '.join(failed)}. The report names their errors.")
