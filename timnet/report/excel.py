"""results.xlsx: a sheet a corpus and seed with a confusion matrix and a report per class for every fold.

Numbers are numbers. Words from outside are marked as text, so that none of them, whatever it starts with, is a formula.
"""

import datetime
import io
import re
import zipfile
from typing import Any

import numpy as np

from timnet import metrics
from timnet.report import text
from timnet.report.gather import CorpusResult, RunResult

PERCENT = "0.00%"
LONGEST_SHEET_NAME = 31  # Excel's limit
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can hold


def workbook(run: RunResult, summary: dict[str, Any]) -> bytes:
    """The file as bytes; the same for the same run."""
    from openpyxl import Workbook

    book = Workbook()
    overview = _Sheet(book.active, "Summary", set())
    _overview(overview, run, summary)
    names = {overview.name}
    for corpus in run.corpora:
        for seed in corpus.seeds:
            sheet = _Sheet(book.create_sheet(), corpus.name, names, f" seed {seed}")
            names.add(sheet.name)
            _folds(sheet, corpus, summary["corpora"][corpus.name], seed)
    created = datetime.datetime.fromisoformat(run.facts["created"]).replace(tzinfo=None)
    book.properties.creator = "timnet"
    book.properties.created = created
    buffer = io.BytesIO()
    book.save(buffer)
    return _without_clock(buffer.getvalue(), created)


class _Sheet:
    """Appends rows to a worksheet."""

    def __init__(self, sheet: Any, name: str, taken: set[str], tail: str = ""):
        self._sheet = sheet
        self._next = 1
        self.name = sheet.title = _sheet_name(name, taken, tail)
        sheet.column_dimensions["A"].width = 24

    def row(self, *values: Any, bold: bool = False, style: str | None = None) -> None:
        from openpyxl.styles import Font

        for column, value in enumerate(values, start=1):
            cell = self._sheet.cell(row=self._next, column=column)
            _put(cell, value)
            if bold:
                cell.font = Font(bold=True)
            if style and isinstance(value, float):
                cell.number_format = style
        self._next += 1

    def gap(self) -> None:
        self._next += 1


def _put(cell: Any, value: Any) -> None:
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    if isinstance(value, str):
        cell.value = ILLEGAL_CHARACTERS_RE.sub("�", value)[:32_767]  # as long as a cell can be
        cell.data_type = "s"
        cell.quotePrefix = value.startswith(("=", "+", "-", "@"))  # stays text when somebody edits the cell
    elif value is None or (isinstance(value, float) and not np.isfinite(value)):
        cell.value = None
    else:
        cell.value = value


def _overview(sheet: _Sheet, run: RunResult, summary: dict[str, Any]) -> None:
    sheet.row(f"timnet {summary['run_id']}", bold=True)
    sheet.row("created", summary["created"])
    sheet.row("protocol", summary["protocol"]["name"], summary["protocol"]["description"])
    sheet.row("folds", text.folds_done(summary["folds_completed"], summary["folds_total"]))
    for warning in summary["warnings"]:
        sheet.row("WARNING", warning)
    sheet.gap()
    scores = [score.title for name, score in metrics.SCORES.items() if name != "f1_macro"]
    header = ["corpus", *(f"{s} pooled" for s in scores)]
    for score in scores:
        header += [
            f"{score} 95 % from",
            f"{score} 95 % to",
            f"{score} fold mean",
            f"{score} fold sd",
            f"{score} seed sd",
        ]
    sheet.row(*header, "chance UAR", "majority WAR", "folds", "of", bold=True)
    for name, corpus in summary["corpora"].items():
        cells = [text.named(name, corpus), corpus["pooled"]["war"], corpus["pooled"]["uar"]]
        for score in ("war", "uar"):
            cells += [*(corpus["interval"][score] or (None, None))]
            cells += [corpus[kind][score] for kind in ("fold_mean", "fold_sd", "seed_sd")]
        baselines = corpus["baselines"]
        cells += [baselines["chance_uar"], baselines["majority_war"], corpus["folds_completed"], corpus["folds_total"]]
        sheet.row(*cells, style=PERCENT)
    for name, corpus in summary["corpora"].items():
        for warning in corpus["warnings"]:
            sheet.row(name, warning)


def _folds(sheet: _Sheet, corpus: CorpusResult, summary: dict[str, Any], seed: int) -> None:
    sheet.row(f"{text.named(corpus.name, summary)}, seed {seed}", bold=True)
    for warning in summary["warnings"]:
        sheet.row("WARNING", warning)
    sheet.gap()
    _block(sheet, "All folds together", corpus.labels, corpus.matrix(corpus.of_seed(seed)))
    for fold in corpus.folds:
        if fold.seed != seed:
            continue
        if fold.completed:
            _block(sheet, f"Fold {fold.fold}", corpus.labels, corpus.matrix((fold,)))
        else:
            sheet.row(f"Fold {fold.fold}", "FAILED", fold.error, bold=True)
            sheet.gap()


def _block(sheet: _Sheet, title: str, labels: list[str], matrix: np.ndarray) -> None:
    """A confusion matrix and the scores of each class, as the published system writes them."""
    sheet.row(title, bold=True)
    sheet.row("true \\ recognised", *labels, bold=True)
    for label, counts in zip(labels, matrix.tolist(), strict=True):
        sheet.row(label, *counts)
    sheet.row("emotion", "precision", "recall", "F1", "support", bold=True)
    n = matrix.sum(axis=1).tolist()
    columns = [metrics.CLASS_SCORES[name].of(matrix).tolist() for name in ("precision", "recall", "f1")]
    for label, precision, recall, f1, support in zip(labels, *columns, n, strict=True):
        sheet.row(label, precision, recall, f1, support, style=PERCENT)
    sheet.row("UAR", None, float(metrics.uar(matrix)), float(metrics.f1_macro(matrix)), sum(n), style=PERCENT)
    sheet.row("WAR (accuracy)", None, float(metrics.war(matrix)), None, sum(n), style=PERCENT)
    sheet.gap()


def _sheet_name(name: str, taken: set[str], tail: str = "") -> str:
    """Excel allows 31 characters without []:*?/\\ and no quote at the ends, and no name twice, whatever its case.

    A name that is too long loses its end; `tail`, the seed, stays.
    """
    allowed = re.sub(r"[\[\]:*?/\\\x00-\x1f]", "_", name).strip("' ") or "corpus"
    lower = {other.lower() for other in taken}
    for number in range(1, len(taken) + 2):
        end = tail if number == 1 else f"{tail} ({number})"
        candidate = allowed[: LONGEST_SHEET_NAME - len(end)].rstrip("' ") + end
        if candidate.lower() not in lower:
            break
    return candidate


def _without_clock(data: bytes, created: datetime.datetime) -> bytes:
    """openpyxl writes the time of saving into the file, and zip into every member; put the run's time there instead."""
    buffer = io.BytesIO()
    stamp = f"{created:%Y-%m-%dT%H:%M:%SZ}".encode()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "docProps/core.xml":
                content = re.sub(rb"(<dcterms:modified[^>]*>)[^<]*", rb"\g<1>" + stamp, content)
            new.writestr(zipfile.ZipInfo(name, ZIP_EPOCH), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()
