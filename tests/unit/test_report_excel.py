"""results.xlsx, read back with openpyxl."""

import io
import zipfile

import pytest
from openpyxl import load_workbook
from stored_run import RUN, Made, write_run

from timnet import report
from timnet.report.excel import _sheet_name
from timnet.store import Store

HOSTILE = Made(
    "=HYPERLINK(1)",
    labels=("=1+1", "@sum", "-neutral", "+plus\x07"),
    failed=frozenset({(46, 2)}),
    error="=cmd|' /C calc'!A1",
    synthetic=True,
)


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    store = Store(str(tmp_path_factory.mktemp("store")))
    write_run(store, (Made("EMODB"), HOSTILE))
    summary = report.build(store, RUN)
    return load_workbook(io.BytesIO(store.read_bytes(f"runs/{RUN}/report/results.xlsx"))), summary


def rows(sheet):
    return [[cell.value for cell in row] for row in sheet.iter_rows()]


def test_a_sheet_a_corpus_and_seed(book):
    assert book[0].sheetnames == [
        "Summary", "EMODB seed 46", "EMODB seed 47", "=HYPERLINK(1) seed 46", "=HYPERLINK(1) seed 47"
    ]  # fmt: skip


def test_blocks_add_up(book):
    read = rows(book[0]["EMODB seed 46"])
    titles = [row[0] for row in read]
    start = titles.index("Fold 2")
    assert read[start + 1][:5] == ["true \\ recognised", "angry", "happy", "neutral", "sad"]
    counts = [row[1:5] for row in read[start + 2 : start + 6]]
    fold = book[1]["corpora"]["EMODB"]["folds"][1]
    n = sum(map(sum, counts))
    assert n == fold["n"]
    war = next(row for row in read[start:] if row[0] == "WAR (accuracy)")
    assert war[2] == pytest.approx(sum(counts[i][i] for i in range(4)) / n) == pytest.approx(fold["war"])
    angry = next(row for row in read[start + 6 :] if row[0] == "angry")
    assert angry[2] == pytest.approx(counts[0][0] / sum(counts[0]))  # recall
    assert angry[4] == sum(counts[0])  # support


def test_summary_sheet(book):
    read = rows(book[0]["Summary"])
    header = next(row for row in read if row[0] == "corpus")
    emodb = dict(zip(header, next(row for row in read if row[0] == "EMODB"), strict=True))
    corpus = book[1]["corpora"]["EMODB"]
    assert emodb["WAR pooled"] == corpus["pooled"]["war"]
    assert emodb["UAR fold sd"] == pytest.approx(corpus["fold_sd"]["uar"])
    assert emodb["folds"] == 6


def test_nothing_from_outside_is_a_formula(book):
    dangerous = 0
    for sheet in book[0]:
        for row in sheet.iter_rows():
            for cell in row:
                assert cell.data_type != "f", (sheet.title, cell.coordinate)
                if isinstance(cell.value, str) and cell.value[0] in "=+-@":
                    assert cell.data_type == "s"
                    assert cell.quotePrefix
                    dangerous += 1
    assert dangerous > 20


def test_failed_fold_and_synthetic_are_there(book):
    read = rows(book[0]["=HYPERLINK(1) seed 46"])
    assert read[0][0] == "=HYPERLINK(1) (synthetic), seed 46"
    assert any(row[:3] == ["Fold 2", "FAILED", "=cmd|' /C calc'!A1"] for row in read)
    assert any(str(row[1]).startswith("SYNTHETIC") for row in read)


def test_file_holds_no_clock(book, tmp_path):
    store = Store(str(tmp_path))
    write_run(store, (Made("EMODB"),))
    report.build(store, RUN)
    with zipfile.ZipFile(io.BytesIO(store.read_bytes(f"runs/{RUN}/report/results.xlsx"))) as archive:
        core = archive.read("docProps/core.xml").decode()
        assert core.count("2025-03-14T15:09:26Z") == 2  # created and modified: the run's own time
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_sheet_names():
    taken = {"Summary"}
    long = "a" * 40
    first = _sheet_name(long, taken, " seed 46")
    assert first == "a" * 23 + " seed 46"
    assert _sheet_name(long, taken | {first}, " seed 46") == "a" * 19 + " seed 46 (2)"
    assert _sheet_name("summary", taken) == "summary (2)"  # Excel does not tell them apart
    assert _sheet_name("a/b:c[d]?*\\'", set()) == "a_b_c_d____"
    assert _sheet_name("''", set()) == "corpus"
