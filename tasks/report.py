"""The Prefect task that makes the report of a run and its artifacts."""

import re
from typing import Any

import httpx
from prefect import task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.exceptions import PrefectException
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from tasks.context import RunContext
from timnet import report
from timnet.urls import one_line

RETRIES = 3  # 14 s for a server that is away: artifacts are an extra, and the run is not over before them


@task(name="report", task_run_name="report {name}", cache_policy=NO_CACHE, persist_result=False)
def make_report(name: str, context: RunContext) -> dict[str, Any]:
    """Make tables, figures, page and summary.json of a run from the store; returns the summary."""
    with context.timed(f"report {name}"):
        summary = report.build(context.store, name)
    key = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")  # what Prefect allows in an artifact's key
    try:
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: RETRIES}):
            create_markdown_artifact(
                key=f"{key}-summary", markdown=report.markdown(summary), description=f"timnet run {name}"
            )
            create_table_artifact(
                key=f"{key}-folds", table=report.table(summary), description=f"the folds of timnet run {name}"
            )
    except (httpx.HTTPError, PrefectException) as error:
        said = one_line(error) or type(error).__name__
        context.reporter.say(f"Warning: Prefect's server did not take the report's artifacts ({said}).")
    return summary
