"""From predictions tables to arrays in one order, and runs that cannot be laid side by side."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from stored_run import RUN, Made, write_run

from timnet import report, tables
from timnet.comparison import compare
from timnet.errors import TimnetError
from timnet.recognised import check_alike, recognised
from timnet.store import Store

LABELS = ("angry", "happy", "sad")


def table(*rows, corpus="EMODB"):
    """Rows of (seed, utterance, speaker, emotion, predicted)."""
    return pa.Table.from_pylist(
        [
            {"corpus": corpus, "seed": seed, "fold": 1, "utterance_id": u, "speaker": s, "emotion": e, "predicted": p, "probabilities": [], "embedding": []}
            for seed, u, s, e, p in rows
        ],
        schema=tables.PREDICTIONS,
    )  # fmt: skip


ONE = ((46, "b", "bo", "sad", "sad"), (46, "a", None, "angry", "sad"), (46, "c", "bo", "happy", "happy"))
TWO = ((47, "c", "bo", "happy", "sad"), (47, "b", "bo", "sad", "angry"), (47, "a", None, "angry", "angry"))


def test_whatever_the_order_of_the_rows():
    found = recognised("A", table(*ONE, *TWO), "EMODB", LABELS)
    assert found.utterance_id == ("a", "b", "c")
    assert found.speaker == (None, "bo", "bo")
    assert found.truth.tolist() == [0, 2, 1]
    assert found.predicted.tolist() == [[2, 2, 1], [0, 0, 2]]


def test_one_corpus_of_several():
    both = pa.concat_tables([table(*ONE), table(*TWO, corpus="SAVEE")])
    assert recognised("A", both, "SAVEE", LABELS).predicted.tolist() == [[0, 0, 2]]
    with pytest.raises(TimnetError, match="A has no results of CASIA; it has EMODB, SAVEE"):
        recognised("A", both, "CASIA", LABELS)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ((*ONE, *TWO[:1]), r"Under seed 47, A lacks 2 utterances \(a, b\) of EMODB that it tests under another seed"),
        ((*ONE, ONE[0]), "A tests 1 utterances of EMODB in more than one fold under seed 46"),
        (
            ((46, "a", None, "angry", "bored"),),
            "A names the emotion 'bored' in EMODB; its labels are angry, happy, sad",
        ),
    ],
)
def test_results_that_are_not_whole_are_refused(rows, message):
    with pytest.raises(TimnetError, match=message):
        recognised("A", table(*rows), "EMODB", LABELS)


def test_runs_that_differ_are_refused():
    a = recognised("A", table(*ONE), "EMODB", LABELS)
    check_alike(a, replace(a, run="B"))
    many = replace(a, utterance_id=tuple("abcdefghi"))
    for other, message in (
        (replace(a, corpus="SAVEE"), "the corpus of A is 'EMODB', that of B 'SAVEE'"),
        (replace(a, labels=("angry", "sad")), r"the labels of A is \('angry', 'happy', 'sad'\)"),
        (replace(a, utterance_id=("a", "b", "x")), r"of EMODB: B lacks 1 utterance \(c\); A lacks 1 utterance \(x\)"),
        (many, r"of EMODB: A lacks 6 utterances \(d, e, f and 3 more\)\. Finish the run"),
        (replace(a, truth=np.array([0, 1, 1])), r"A and B give 1 utterance \(b\) of EMODB different true emotions"),
        (replace(a, speaker=(None, "bo", "cem")), r"A and B give 1 utterance \(c\) of EMODB different speakers"),
    ):
        with pytest.raises(TimnetError, match=message):
            compare(a, replace(other, run="B"))


def test_a_stored_run_is_read_and_scored_as_in_its_report(tmp_path):
    store, made = Store(str(tmp_path)), Made("EMODB", labels=LABELS)
    write_run(store, (made,))
    summary = report.build(store, RUN)["corpora"]["EMODB"]
    predictions = store.read_table(f"runs/{RUN}/report/predictions.parquet", tables.PREDICTIONS)
    found = recognised("A", predictions, "EMODB", LABELS)
    assert found.predicted.shape == (2, 36)
    perfect = replace(found, run="B", predicted=found.truth[None])
    scores = compare(found, perfect).scores
    for name in ("war", "uar"):
        assert scores[name].a == pytest.approx(summary["pooled"][name])
        assert scores[name].b == 1
