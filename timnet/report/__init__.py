"""The report of a run, made from what the store holds alone: it can be made again without training.

build() writes runs/RUN_ID/report/: index.html (one page that opens from a file, without a network), summary.json,
metrics.parquet, predictions.parquet and results.xlsx. The same store gives the same bytes.
"""

from typing import Any

from timnet.report.text import markdown, table, terminal
from timnet.store import Store


def build(store: Store, run_id: str) -> dict[str, Any]:
    """Make the report of a run; returns the summary that is also written as summary.json.

    Raises StoreError where the run, or a table that it points at, is not in the store.
    """
    from timnet import tables
    from timnet.report import excel, page
    from timnet.report.gather import gather
    from timnet.report.summary import metrics_table, predictions_table, summarise

    run = gather(store, run_id)
    summary = summarise(run)
    folder = f"runs/{run_id}/report"
    store.write_table(f"{folder}/metrics.parquet", metrics_table(run), tables.METRICS)
    store.write_table(f"{folder}/predictions.parquet", predictions_table(run), tables.PREDICTIONS)
    store.write_bytes(f"{folder}/results.xlsx", excel.workbook(run, summary))
    store.write_bytes(f"{folder}/index.html", page.render(run, summary).encode())
    store.write_json(f"{folder}/summary.json", summary)
    return summary


__all__ = ["build", "markdown", "table", "terminal"]
