"""Train on one corpus, test on the others, every ordered pair: `python -m flows.cross_corpus --local --data-root DIR`.

Over the emotions that all corpora have. The validation data, which choose the epoch, are other speakers of the training
corpus; the tested corpora are predicted once.
"""

import sys
from typing import TYPE_CHECKING, Any

if __name__ == "__main__":
    from flows import stopping

    stopping.leave_at_once()

    # As in flows.cv: options are checked before Prefect is loaded.
    from flows.start import command_line
    from timnet.config import CrossCorpusSettings
    from timnet.plan import checked

    SETTINGS, API = command_line("flows.cross_corpus", __doc__, sys.argv[1:], CrossCorpusSettings, checked)

from prefect import flow

from flows.run import run, run_name
from flows.start import finish
from timnet.config import CrossCorpusSettings

if TYPE_CHECKING:
    from prefect.states import State


@flow(name="timnet-cross-corpus", flow_run_name=run_name, persist_result=False)
def timnet_cross_corpus(settings: CrossCorpusSettings = CrossCorpusSettings()) -> "dict[str, Any] | State":
    """Train a model on every corpus, test it on all the others, and report.

    Finishes as Failed, with the report made, if a training failed for good.
    """
    return finish(run(settings))


if __name__ == "__main__":
    from flows.start import start

    raise SystemExit(start(timnet_cross_corpus, SETTINGS, API))
