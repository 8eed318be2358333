"""Ablation: the same cross-validation with one model after the other, on one page: `python -m flows.ablation --local`.

The default is the published ablation: TIM-Net, and TIM-Net without its backward direction, without multi-scale fusion,
without dynamic fusion, and the plain temporal convolutional network (TCN).
"""

import sys
from typing import Any, cast

if __name__ == "__main__":
    from flows import stopping

    stopping.leave_at_once()

    # As in flows.cv: options are checked before Prefect is loaded.
    from flows.start import command_line
    from timnet.config import AblationSettings
    from timnet.plan import checked_ablation

    SETTINGS, API = command_line("flows.ablation", __doc__, sys.argv[1:], AblationSettings, checked_ablation)

from prefect import flow

from flows.command import located
from flows.cv import timnet_cv
from tasks.cluster import cluster
from timnet.config import AblationSettings
from timnet.plan import checked_ablation
from timnet.report import side_by_side
from timnet.store import Store


@flow(name="timnet-ablation", persist_result=False)
def timnet_ablation(settings: AblationSettings = AblationSettings()) -> dict[str, Any]:
    """Cross-validate every model on the same folds and compare each with the first; returns the comparison.

    Raises where a fold failed: its run's report names it, and the same command goes on from what was finished.
    """
    settings = located(settings)
    each = checked_ablation(settings)
    with cluster(settings.ray_address):  # one for all of them
        summaries = [cast(dict[str, Any], timnet_cv(of_model)) for of_model in each]
    runs = [summary["run_id"] for summary in summaries]
    store = Store(settings.store)
    folder = side_by_side.folder(runs)
    summary = side_by_side.build(store, runs, folder)
    print(side_by_side.terminal(summary), f"Page: {store.at(f'{folder}/index.html')}", sep="\n", file=sys.stderr)
    return summary


if __name__ == "__main__":
    from flows.start import start

    raise SystemExit(start(timnet_ablation, SETTINGS, API))
