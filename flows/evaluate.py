"""Evaluation of given weights, fold by fold: `python -m flows.evaluate --local --corpora EMODB --weights DIR`."""

import sys
from typing import TYPE_CHECKING, Any

if __name__ == "__main__":
    from flows import stopping

    stopping.leave_at_once()

    # As in flows.cv: options are checked before Prefect is loaded.
    from flows.start import command_line
    from timnet.config import EvaluateSettings
    from timnet.plan import checked

    SETTINGS, API = command_line("flows.evaluate", __doc__, sys.argv[1:], EvaluateSettings, checked)

from prefect import flow

from flows.run import run, run_name
from flows.start import finish
from timnet.config import EvaluateSettings

if TYPE_CHECKING:
    from prefect.states import State


@flow(name="timnet-evaluate", flow_run_name=run_name, persist_result=False)
def timnet_evaluate(settings: EvaluateSettings) -> "dict[str, Any] | State":
    """Evaluate every fold's given weights on the test part of that fold, and report as after training.

    Finishes as Failed, with the report made, if a fold failed for good.
    """
    return finish(run(settings))


if __name__ == "__main__":
    from flows.start import start

    raise SystemExit(start(timnet_evaluate, SETTINGS, API))
