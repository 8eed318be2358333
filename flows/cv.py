"""Cross-validation of corpora: `python -m flows.cv --local`, or the deployment timnet-cv/all-corpora."""

import sys
from typing import TYPE_CHECKING, Any

if __name__ == "__main__":
    from flows import stopping

    stopping.leave_at_once()

    # Options are checked, and --help answers, before Prefect is loaded, which takes seconds; its API
    # starts meanwhile.
    from flows.start import command_line
    from timnet.config import RunSettings
    from timnet.plan import checked

    SETTINGS, API = command_line("flows.cv", __doc__, sys.argv[1:], RunSettings, checked)

from prefect import flow

from flows.run import run, run_name
from flows.start import finish
from timnet.config import RunSettings

if TYPE_CHECKING:
    from prefect.states import State


@flow(name="timnet-cv", flow_run_name=run_name, persist_result=False)
def timnet_cv(settings: RunSettings = RunSettings()) -> "dict[str, Any] | State":
    """Extract features, train every fold of every corpus and seed, and report.

    Finishes as Failed, with the report made, if a fold failed for good.
    """
    return finish(run(settings))


if __name__ == "__main__":
    from flows.start import start

    raise SystemExit(start(timnet_cv, SETTINGS, API))
