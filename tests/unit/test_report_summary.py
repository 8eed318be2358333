"""The numbers of a report against scikit-learn on the stored predictions, and the words that go with them."""

import hashlib
import json
from collections import Counter

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics
from stored_run import RUN, Made, write_run

from timnet import report, tables
from timnet.errors import StoreError
from timnet.store import Store

EMODB = Made("EMODB", labels=("angry", "boredom", "fear", "happy", "sad"), failed=frozenset({(47, 2)}))
DEMO = Made("DEMO", synthetic=True, skill=0.95)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two corpora, two seeds, three folds each, one of which failed: the store and the summary."""
    store = Store(str(tmp_path_factory.mktemp("store")))
    write_run(store, (EMODB, DEMO))
    return store, report.build(store, RUN)


def predictions(store, corpus, seed=None, fold=None):
    rows = store.read_table(f"runs/{RUN}/report/predictions.parquet", tables.PREDICTIONS).to_pylist()
    kept = [r for r in rows if r["corpus"] == corpus and seed in (None, r["seed"]) and fold in (None, r["fold"])]
    return [r["emotion"] for r in kept], [r["predicted"] for r in kept]


def test_folds_are_what_scikit_learn_says(made):
    store, summary = made
    folds = {(f["seed"], f["fold"]): f for f in summary["corpora"]["EMODB"]["folds"]}
    assert list(folds) == [(46, 1), (46, 2), (46, 3), (47, 1), (47, 2), (47, 3)]
    for (seed, number), fold in folds.items():
        if fold["state"] == "completed":
            truth, predicted = predictions(store, "EMODB", seed, number)
            assert fold["n"] == len(truth)
            assert fold["war"] == pytest.approx(sklearn_metrics.accuracy_score(truth, predicted))
            assert fold["uar"] == pytest.approx(sklearn_metrics.balanced_accuracy_score(truth, predicted))


def test_pooled_is_the_mean_over_the_seeds(made):
    store, summary = made
    for name in ("EMODB", "DEMO"):
        pooled = [predictions(store, name, seed) for seed in (46, 47)]
        corpus = summary["corpora"][name]
        for score, of in (("war", sklearn_metrics.accuracy_score), ("uar", sklearn_metrics.balanced_accuracy_score)):
            each = [of(*pair) for pair in pooled]
            assert [corpus["seeds"][str(s)]["pooled"][score] for s in (46, 47)] == pytest.approx(each)
            assert corpus["pooled"][score] == pytest.approx(np.mean(each))
            assert corpus["seed_sd"][score] == pytest.approx(np.std(each, ddof=1))


def test_mean_and_sd_go_over_the_finished_folds_of_all_seeds(made):
    corpus = made[1]["corpora"]["EMODB"]
    for score in ("war", "uar"):
        each = [fold[score] for fold in corpus["folds"] if fold["state"] == "completed"]
        assert len(each) == 5
        assert corpus["fold_mean"][score] == pytest.approx(np.mean(each))
        assert corpus["fold_sd"][score] == pytest.approx(np.std(each, ddof=1))


def test_what_needs_no_model_is_of_the_recordings_that_are_scored(tmp_path):
    store = Store(str(tmp_path))
    write_run(store, (Made("A", failed=frozenset({(46, 1), (47, 3)})),), protocol="published")
    baselines = report.build(store, RUN)["corpora"]["A"]["baselines"]
    truth = {seed: predictions(store, "A", seed)[0] for seed in (46, 47)}
    most, _ = Counter(truth[46] + truth[47]).most_common(1)[0]
    assert baselines["majority_label"] == most
    expected = np.mean([of.count(most) / len(of) for of in truth.values()])
    assert baselines["majority_war"] == pytest.approx(expected)
    assert baselines["majority_war"] > baselines["chance_uar"] + 0.01  # what it is of the whole corpus


def test_interval_holds_the_score_and_goes_over_speakers(made):
    interval = made[1]["corpora"]["EMODB"]["interval"]
    low, high = interval["uar"]
    assert low < made[1]["corpora"]["EMODB"]["pooled"]["uar"] < high
    assert (interval["over"], interval["n_clusters"]) == ("speakers", 6)


def test_failed_fold_is_named_with_its_error(made):
    summary = made[1]
    assert (summary["folds_completed"], summary["folds_total"]) == (11, 12)
    failed = summary["corpora"]["EMODB"]["folds"][4]
    assert failed["state"] == "failed"
    assert failed["error"] == EMODB.error
    assert failed["war"] is None
    assert failed["n"] == 20  # of its test part, which the split knows
    assert summary["corpora"]["EMODB"]["warnings"][0] == (
        "Only 5 of 6 folds finished; missing: seed 47 fold 2. The scores are of the others alone."
    )


def test_shape_for_strangers(made):
    store, summary = made
    read = json.loads(store.read_bytes(f"runs/{RUN}/report/summary.json"))
    assert read == summary
    assert read["unit"] == "fraction"
    corpus = read["corpora"]["DEMO"]
    for kind in ("pooled", "fold_mean", "fold_sd"):
        assert {"war", "uar"} <= corpus[kind].keys()
    assert {"seed", "fold", "war", "uar", "n", "state", "chosen_epoch"} <= corpus["folds"][0].keys()
    assert 0 <= corpus["pooled"]["war"] <= 1


def test_metrics_table(made):
    store, summary = made
    rows = store.read_table(f"runs/{RUN}/report/metrics.parquet", tables.METRICS).to_pylist()
    found = {(r["corpus"], r["seed"], r["fold"], r["metric"], r["emotion"]): r for r in rows}
    assert len(found) == len(rows)
    assert found["EMODB", None, None, "uar", None]["value"] == summary["corpora"]["EMODB"]["pooled"]["uar"]
    assert found["EMODB", 46, None, "war", None]["n_utterances"] == 60
    truth, predicted = predictions(store, "EMODB", 46, 3)
    recall = sklearn_metrics.recall_score(truth, predicted, labels=["fear"], average=None)[0]
    row = found["EMODB", 46, 3, "recall", "fear"]
    assert (row["value"], row["n_utterances"]) == (pytest.approx(recall), truth.count("fear"))
    assert ("EMODB", 47, 2, "war", None) not in found  # it failed


def test_predictions_are_those_of_the_folds(made):
    store, _ = made
    table = store.read_table(f"runs/{RUN}/report/predictions.parquet", tables.PREDICTIONS)
    assert table.num_rows == 60 + 40 + 48 + 48
    assert len(table["embedding"][0]) == 39


def test_made_again_it_is_the_same_to_the_byte(made):
    store, _ = made
    names = ("index.html", "summary.json", "metrics.parquet", "predictions.parquet", "results.xlsx")
    assert store.children(f"runs/{RUN}/report") == sorted(names)

    def digests():
        return {name: hashlib.sha256(store.read_bytes(f"runs/{RUN}/report/{name}")).hexdigest() for name in names}

    before = digests()
    report.build(store, RUN)
    assert digests() == before


def test_evaluation_without_training(tmp_path):
    store = Store(str(tmp_path))
    write_run(store, (EMODB,), protocol="published", trained=False)
    summary = report.build(store, RUN)
    assert summary["kind"] == "evaluate"
    assert summary["corpora"]["EMODB"]["folds"][0]["chosen_epoch"] is None
    page = store.read_bytes(f"runs/{RUN}/report/index.html").decode()
    assert "evaluation of stored weights" in page
    assert "the run did not train, so there are no curves" in page


def test_corpus_without_speakers_counts_utterances(tmp_path):
    store = Store(str(tmp_path))
    write_run(store, (Made("OWN", speakers=(None,), sentences=tuple("abcdefghij")),), protocol="stratified")
    interval = report.build(store, RUN)["corpora"]["OWN"]["interval"]
    assert (interval["over"], interval["n_clusters"]) == ("utterances", 40)


def test_perfect_score_has_no_interval(tmp_path):
    """Resampling speakers that are all at 100 % has no width, which is not certainty."""
    store = Store(str(tmp_path))
    write_run(store, (Made("EASY", skill=1.0),))
    corpus = report.build(store, RUN)["corpora"]["EASY"]
    assert corpus["pooled"]["war"] == 1
    assert (corpus["interval"]["war"], corpus["interval"]["uar"]) == (None, None)
    assert corpus["warnings"] == []
    assert "95 % interval</dt>" not in store.read_bytes(f"runs/{RUN}/report/index.html").decode().split("Terms")[0]


def test_single_fold_has_no_sd(tmp_path):
    store = Store(str(tmp_path))
    write_run(store, (Made("ONE", failed=frozenset({(46, 1), (46, 2)})),), seeds=(46,))
    corpus = report.build(store, RUN)["corpora"]["ONE"]
    assert corpus["fold_sd"] == {"war": None, "uar": None, "f1_macro": None}
    assert corpus["fold_mean"]["war"] == corpus["pooled"]["war"]


def test_nothing_finished_still_reports(tmp_path):
    store = Store(str(tmp_path))
    write_run(store, (Made("GONE", failed=frozenset((s, f) for s in (46, 47) for f in (1, 2, 3))),))
    summary = report.build(store, RUN)
    corpus = summary["corpora"]["GONE"]
    assert corpus["pooled"] == {"war": None, "uar": None, "f1_macro": None}
    assert corpus["warnings"] == ["None of 6 folds finished: there is nothing to score."]
    assert "GONE  WAR –  UAR –" in report.terminal(summary)
    page = store.read_bytes(f"runs/{RUN}/report/index.html").decode()
    assert "seed 47 fold 3 failed: WorkerCrashedError" in page.replace("Seed", "seed")


def test_fold_that_vanished_from_the_store_is_failed(tmp_path):
    store = Store(str(tmp_path))
    write_run(store, (EMODB,))
    store.delete("trained/EMODB/46-3")
    fold = report.build(store, RUN)["corpora"]["EMODB"]["folds"][2]
    assert fold["state"] == "failed"
    assert fold["error"] == f"{store.at('trained/EMODB/46-3')} is no longer in the store: run the same command again"


def test_unknown_run_names_the_others(tmp_path):
    store = Store(str(tmp_path))
    write_run(store, (DEMO,))
    with pytest.raises(StoreError) as raised:
        report.build(store, "cv-nix")
    assert str(raised.value) == f"There is no run 'cv-nix' in {store.uri}; there are: {RUN}."


def test_prediction_of_an_unknown_emotion_is_refused(tmp_path):
    store = Store(str(tmp_path))
    write_run(store, (EMODB,))
    facts = store.read_json(f"runs/{RUN}/run.json")
    facts["corpora"]["EMODB"]["labels"][2] = "joy"
    store.write_json(f"runs/{RUN}/run.json", facts)
    with pytest.raises(StoreError) as raised:
        report.build(store, RUN)
    assert str(raised.value) == (
        f"{store.at('trained/EMODB/46-1')}/predictions.parquet names the emotion 'fear' in its column emotion; the "
        "labels of the corpus are angry, boredom, joy, happy, sad. Delete the folder and run again."
    )


def test_model_without_epochs(tmp_path):
    store = Store(str(tmp_path))
    write_run(store, (EMODB,), trained=False)
    facts = store.read_json(f"runs/{RUN}/run.json")
    store.write_json(f"runs/{RUN}/run.json", {**facts, "kind": "cv", "model": {**facts["model"], "name": "svm"}})
    for seed in facts["corpora"]["EMODB"]["seeds"].values():
        for fold in seed["folds"]:
            if fold["state"] == "completed":
                store.write_json(f"{fold['path']}/metrics.json", {"chosen_epoch": 0, "n_parameters": 833})
                store.mark_done(fold["path"], {})
    summary = report.build(store, RUN)
    assert {fold["chosen_epoch"] for fold in summary["corpora"]["EMODB"]["folds"]} == {None}
    page = store.read_bytes(f"runs/{RUN}/report/index.html").decode()
    assert "The model is fitted at once, without epochs, so there are no curves." in page
    assert "chose the strength of the regularisation" in page
    assert "chose the epoch." not in page
