"""How wrong the models were: the order of a run's utterances, and the choices of some of them."""

from collections import defaultdict

import pytest
from stored_run import RUN, Made, write_run

from timnet import report, tables
from timnet.errors import ConfigError, StoreError
from timnet.report.ranking import Choice, rankings
from timnet.report.shown import Shown
from timnet.store import Store

A = Made("A", skill=0.5, failed=frozenset({(46, 2), (47, 2)}))  # some recordings are tested once, and some never


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = Store(str(tmp_path_factory.mktemp("store")))
    write_run(store, (A, Made("B", speakers=("p", "q", "r", "s"), sentences=("x",))))
    report.build(store, RUN)
    return store


@pytest.fixture(scope="module")
def ranking(store):
    return rankings(store, RUN, store.read_json(f"runs/{RUN}/run.json"))[0]


def test_the_lowest_mean_probability_of_the_true_emotion_comes_first(store, ranking):
    given = defaultdict(list)
    for row in store.read_table(f"runs/{RUN}/report/predictions.parquet", tables.PREDICTIONS).to_pylist():
        if row["corpus"] == "A":
            given[row["utterance_id"]].append(row["probabilities"][A.labels.index(row["emotion"])])
    expected = {name: sum(shares) / len(shares) for name, shares in given.items()}
    tested = [one for one in ranking.utterances if one.tests]
    assert 0 < len(tested) < len(ranking.utterances) == 48
    assert {one.name: pytest.approx(one.probability) for one in tested} == expected
    assert [one.probability for one in tested] == sorted(one.probability for one in tested)
    assert len({one.probability for one in tested}) > 2
    assert list(ranking.utterances[: len(tested)]) == tested  # whatever no fold tested comes last, and is there
    assert ranking.tested == len(tested)
    assert all(one.probability is None and one.said == [] for one in ranking.utterances[len(tested) :])


def test_every_test_of_an_utterance_is_there_in_order(store, ranking):
    rows = store.read_table(f"runs/{RUN}/report/predictions.parquet", tables.PREDICTIONS).to_pylist()
    for one in ranking.utterances:
        own = [
            (r["seed"], r["fold"], r["predicted"]) for r in rows if (r["corpus"], r["utterance_id"]) == ("A", one.name)
        ]
        assert [(test.seed, test.fold, test.predicted) for test in one.tests] == sorted(own)
        assert one.wrong == sum(predicted != one.facts["emotion"] for _, _, predicted in own)
        assert sum(n for _, n in one.said) == len(own)


@pytest.mark.parametrize(
    ("given", "fits"),
    [
        ({"emotion": "sad"}, lambda one: one.facts["emotion"] == "sad"),
        ({"speaker": "jörg"}, lambda one: one.facts["speaker"] == "jörg"),
        ({"predicted": "happy"}, lambda one: "happy" in [test.predicted for test in one.tests]),
        ({"wrong": "1"}, lambda one: any(test.predicted != one.facts["emotion"] for test in one.tests)),
        (
            {"emotion": "angry", "predicted": "sad", "wrong": "1", "speaker": ""},
            lambda one: one.facts["emotion"] == "angry" and "sad" in [test.predicted for test in one.tests],
        ),
        ({"emotion": "", "page": "3", "corpus": "A"}, lambda one: True),
    ],
)
def test_choices(ranking, given, fits):
    choice = Choice.of(given)
    chosen = ranking.chosen(choice)
    assert chosen == [one for one in ranking.utterances if fits(one)]
    assert chosen
    assert Choice.of(choice.query) == choice  # a link brings it back


def test_what_the_corpus_does_not_have_is_said(store, ranking):
    with pytest.raises(ConfigError, match="A has no emotion 'bored'; there are: angry, happy, neutral, sad"):
        ranking.chosen(Choice(emotion="bored"))
    other = Shown.of(store, RUN).ranking("B")
    with pytest.raises(ConfigError, match="B has no speaker 'anna'; there are: p, q, r, s"):
        other.chosen(Choice(speaker="anna"))


def test_a_run_without_a_report_is_refused(store):
    store.write_json("runs/begun/settings.json", {})
    with pytest.raises(StoreError, match=r"begun in .* is unfinished: it has no report yet"):
        Shown.of(store, "begun")
    with pytest.raises(StoreError, match="There is no run 'nobody' in"):
        Shown.of(store, "nobody")


def test_a_prediction_of_an_unknown_recording_is_not_passed_over(store):
    facts = store.read_json(f"runs/{RUN}/run.json")
    facts["corpora"]["A"]["manifest"] = facts["corpora"]["B"]["manifest"]
    with pytest.raises(StoreError, match="manifests/B/k lacks anna/a01-"):
        rankings(store, RUN, facts)
