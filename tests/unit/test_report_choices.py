"""What choosing on the test fold gains, in the report."""

import numpy as np
import pytest

from tests.stored_run import RUN, Made, write_run
from timnet import report, tables
from timnet.errors import BrokenFileError
from timnet.report import text
from timnet.store import Store


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path))


def test_every_choice_is_scored_as_scikit_learn_scores_it(store):
    from sklearn.metrics import accuracy_score, recall_score

    write_run(store, (Made("A"),), protocol="speaker-independent-leaky")
    found = report.build(store, RUN)["corpora"]["A"]
    assert list(found["choices"]) == ["validation", "last", "test"]
    facts = store.read_json(f"runs/{RUN}/run.json")["corpora"]["A"]["seeds"]
    for name, of in found["choices"].items():
        war, uar = [], []
        for seed in facts.values():
            truth, predicted = [], []
            for fold in seed["folds"]:
                table = store.read_table(f"{fold['path']}/predictions.parquet", tables.PREDICTIONS)
                truth += table["emotion"].to_pylist()
                if name != "test":
                    rows = store.read_table(f"{fold['path']}/choices.parquet", tables.CHOICES).to_pylist()
                    predicted += [row["predicted"] for row in rows if row["choice"] == name]
                else:
                    predicted += table["predicted"].to_pylist()
            war.append(accuracy_score(truth, predicted))
            uar.append(recall_score(truth, predicted, average="macro"))
        assert of["war"] == pytest.approx(np.mean(war))
        assert of["uar"] == pytest.approx(np.mean(uar))
    assert found["choices"]["test"] == {**found["pooled"]}
    gain = found["choices"]["validation"]["gain"]["uar"]
    assert gain["difference"] == pytest.approx(found["pooled"]["uar"] - found["choices"]["validation"]["uar"])
    assert gain["interval"][0] < gain["difference"] < gain["interval"][1]


def test_page_and_terminal_say_it(store):
    write_run(store, (Made("A"),), protocol="stratified-leaky")
    summary = report.build(store, RUN)
    page = store.read_bytes(f"runs/{RUN}/report/index.html").decode()
    assert "What choosing on the test fold gains" in page
    for name in ("on validation data", "by no data", "ON THE TEST FOLD"):
        assert f"chosen {name}</th>" in page
        assert (f"the same trainings, chosen {name}" in text.terminal(summary)) == (name != "ON THE TEST FOLD")
    honest = Store(f"{store.uri}/honest")
    write_run(honest, (Made("A"),))
    assert "choices" not in report.build(honest, RUN)["corpora"]["A"]
    assert "What choosing" not in honest.read_bytes(f"runs/{RUN}/report/index.html").decode()


def test_without_validation_data_the_last_epoch_alone_is_beside_it(store):
    write_run(store, (Made("A"),), protocol="published-leaky")
    assert list(report.build(store, RUN)["corpora"]["A"]["choices"]) == ["last", "test"]


def test_failed_folds_leave_out_the_intervals(store):
    write_run(store, (Made("A", failed=frozenset({(46, 1)})),), protocol="speaker-independent-leaky")
    found = report.build(store, RUN)["corpora"]["A"]["choices"]
    assert all("gain" not in of and 0 < of["war"] < 1 for of in found.values())


def test_folds_of_an_earlier_version_have_no_choices_and_are_reported(store):
    write_run(store, (Made("A"),), protocol="published-leaky")
    folder = store.read_json(f"runs/{RUN}/run.json")["corpora"]["A"]["seeds"]["46"]["folds"][0]["path"]
    store.remove(f"{folder}/choices.parquet")
    store.mark_done(folder, {})
    assert "choices" not in report.build(store, RUN)["corpora"]["A"]


def test_choices_of_other_utterances_are_broken(store):
    write_run(store, (Made("A"),), protocol="published-leaky")
    folder = store.read_json(f"runs/{RUN}/run.json")["corpora"]["A"]["seeds"]["46"]["folds"][0]["path"]
    table = store.read_table(f"{folder}/choices.parquet", tables.CHOICES)
    store.write_table(f"{folder}/choices.parquet", table.slice(1), tables.CHOICES)
    store.mark_done(folder, {})
    with pytest.raises(BrokenFileError, match=r"choices\.parquet is not about the utterances of predictions\.parquet"):
        report.build(store, RUN)
