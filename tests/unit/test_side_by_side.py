"""Runs side by side: the numbers of the page are those of the comparison, and what cannot be compared is refused."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from stored_run import Made, write_run
from test_report_page import HOSTILE, Page

from timnet import report
from timnet.errors import TimnetError
from timnet.report import side_by_side
from timnet.store import Store

TEN = tuple(f"s{number}" for number in range(10))


@pytest.fixture
def store(tmp_path):
    """Runs of one corpus: one that recognises 6 of 10 recordings, one that recognises 9, and one on random folds."""
    store = Store(str(tmp_path))
    for run_id, skill, protocol in (
        ("weak", 0.6, "speaker-independent"),
        ("strong", 0.9, "speaker-independent"),
        ("leaky", 0.95, "published-leaky"),
    ):
        # Every run has folders of its own; the fixture names them by fold, so it is given another store to merge from.
        one = Store(str(tmp_path / run_id))
        write_run(one, [Made("A", skill=skill, speakers=TEN)], protocol=protocol, run_id=run_id)
        report.build(one, run_id)
        for name in ("run.json", "report/predictions.parquet"):
            store.write_bytes(f"runs/{run_id}/{name}", one.read_bytes(f"runs/{run_id}/{name}"))
    return store


def scores(store, run_id):
    one = Store(f"{store.uri}/{run_id}")
    return one.read_json(f"runs/{run_id}/report/summary.json")["corpora"]["A"]["pooled"]


def test_differences_are_those_of_the_reports(store):
    summary = side_by_side.build(store, ["weak", "strong", "leaky"], "comparisons/x")
    assert summary == store.read_json("comparisons/x/comparison.json")
    rows = summary["corpora"]["A"]["runs"]
    for run_id in ("weak", "strong", "leaky"):
        for name in ("uar", "war"):
            assert rows[run_id][name] == pytest.approx(scores(store, run_id)[name])
    gain = rows["strong"]["versus_first"]["uar"]
    assert gain["difference"] == pytest.approx(scores(store, "strong")["uar"] - scores(store, "weak")["uar"])
    assert gain["interval"][0] < gain["difference"] < gain["interval"][1]
    assert rows["weak"]["versus_first"] is None
    assert 0 < rows["strong"]["versus_first"]["p_value"] < 0.05
    names = {row["name"]: row["values"] for row in summary["settings"]}
    assert names["protocol"] == ["speaker-independent", "speaker-independent", "published-leaky"]
    assert "epochs" not in names  # the same in all


def test_the_page_says_what_weakens_the_comparison(store):
    side_by_side.build(store, ["weak", "strong", "leaky"], "comparisons/x")
    page = Page(store.read_bytes("comparisons/x/index.html").decode())
    assert page.faults == []
    assert "leaky made its choice ON THE TEST FOLD" in page.text
    assert "what a protocol flatters, not which model is better" in page.text
    assert "only where p is below 0.025" in page.text
    assert "strong recognises" in page.text
    side_by_side.build(store, ["weak", "strong"], "comparisons/y")
    assert Page(store.read_bytes("comparisons/y/index.html").decode()).all("p")
    assert "warning" not in [
        attrs.get("class") for attrs in Page(store.read_bytes("comparisons/y/index.html").decode()).all("p")
    ]


def changed(store, run_id, change):
    facts = store.read_json(f"runs/{run_id}/run.json")
    change(facts)
    store.write_json(f"runs/{run_id}/run.json", facts)


def warnings(store):
    return "\n".join(side_by_side.build(store, ["weak", "strong"], "comparisons/z")["warnings"])


def test_what_p_and_interval_do_not_know_is_said(store):
    assert warnings(store) == ""
    changed(store, "strong", lambda facts: facts["corpora"]["A"]["seeds"].pop("47"))
    assert "different seeds" in warnings(store)
    assert "strong has one seed: p and interval know nothing of what other folds and trainings" in warnings(store)
    changed(store, "weak", lambda facts: facts["protocol"].update(selection="given"))
    assert "weak: The weights were given, and how they were made is not known here." in warnings(store)


def test_few_speakers_promise_nothing(tmp_path):
    store = Store(str(tmp_path))
    for run_id, skill in (("weak", 0.3), ("strong", 0.9)):
        write_run(store, [Made("A", skill=skill)], run_id=run_id)
        report.build(store, run_id)
    assert warnings(store) == "A: the intervals stand on 6 speakers: they are rough, and rather too narrow."
    page = Page(store.read_bytes("comparisons/z/index.html").decode())
    assert "over 6 speakers: so few that it is rough, and rather too narrow." in page.text
    assert "would probably" not in page.text


def test_every_setting_that_differs_is_shown(store):
    changed(store, "strong", lambda facts: facts["settings"].update(patience=5, split_table="mine.csv"))
    changed(
        store,
        "strong",
        lambda facts: facts.update(recipe={"A": facts["recipe"], "B": {**facts["recipe"], "epochs": 77}}),
    )
    rows = {
        row["name"]: row["values"] for row in side_by_side.build(store, ["weak", "strong"], "comparisons/z")["settings"]
    }
    assert rows["patience"] == ["–", "5"]
    assert rows["split_table"] == ["–", "mine.csv"]
    assert rows["epochs"] == ["12", "12, 77"]


def test_names_never_become_markup(tmp_path):
    store = Store(str(tmp_path))
    for run_id in ("a", "b"):
        write_run(store, [HOSTILE], run_id=run_id)
        report.build(store, run_id)
    made = ["a", "b"]
    with pytest.raises(TimnetError):  # its fold 2 failed under one seed
        side_by_side.build(store, made, "comparisons/x")
    for run_id in ("a", "b"):
        write_run(store, [Made(HOSTILE.name, labels=HOSTILE.labels, speakers=HOSTILE.speakers)], run_id=run_id)
        report.build(store, run_id)
    side_by_side.build(store, made, "comparisons/x")
    page = Page(store.read_bytes("comparisons/x/index.html").decode())
    assert page.all("script") == page.all("img") == []


@pytest.mark.parametrize(
    ("runs", "text"),
    [
        (["weak"], "needs two or more different runs, received weak"),
        (["weak", "weak"], "needs two or more different runs, received weak, weak"),
        (["weak", "none"], "There is no run 'none' in"),
        (["weak", "weak/report"], "There is no run 'weak/report' in"),
    ],
)
def test_what_cannot_be_compared_is_refused(store, runs, text):
    with pytest.raises(TimnetError) as caught:
        side_by_side.build(store, runs, "comparisons/x")
    assert text in str(caught.value)
    assert "leaky, strong, weak" in str(caught.value)
    assert not store.exists("comparisons/x/index.html")


def test_runs_without_a_common_corpus(store, tmp_path):
    other = Store(str(tmp_path))
    write_run(other, [Made("B")], run_id="elsewhere")
    report.build(other, "elsewhere")
    with pytest.raises(TimnetError, match=r"have no corpus in common \(weak: A; elsewhere: B\)"):
        side_by_side.build(store, ["weak", "elsewhere"], "comparisons/x")


def test_the_command(store, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "flows.compare", "weak", "strong", "--store", store.uri],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert "A  strong: UAR" in done.stdout
    path = done.stdout.splitlines()[-1].removeprefix("Page: ")
    summary = json.loads(Path(path).with_name("comparison.json").read_text())
    assert np.isclose(summary["corpora"]["A"]["runs"]["weak"]["uar"], scores(store, "weak")["uar"])
    wrong = subprocess.run(
        [sys.executable, "-m", "flows.compare", "weak", "--store", store.uri],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("timnet: A comparison needs two or more different runs")
