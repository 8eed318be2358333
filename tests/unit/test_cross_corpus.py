"""Several corpora as one: names, labels, and folds that train on a single one."""

from dataclasses import replace

import numpy as np
import pytest
from stored_run import Made, manifest_of

from timnet import cross_corpus, splits
from timnet.corpora import get
from timnet.errors import ConfigError, CorpusError, SplitError
from timnet.splits import Columns

A = Made("A", labels=("angry", "happy", "sad"))
B = Made("B", labels=("calm", "happy", "sad"), speakers=(None,), sentences=("a", "b", "c"))
C = Made("C", labels=("happy", "sad"), speakers=("anna", "bo", "cem"), sentences=("a",))
LABELS = ("sad", "happy")


def joint(*corpora, labels=LABELS):
    return cross_corpus.joint([(made.name, manifest_of(made)) for made in corpora], labels)


def columns(*corpora):
    return Columns.of("CROSS", LABELS, joint(*corpora))


def test_utterances_of_the_shared_emotions_are_named_with_their_corpus():
    table = joint(A, B, C)
    assert set(table["emotion"].to_pylist()) == {"happy", "sad"}
    assert [LABELS[i] for i in table["class_index"].to_pylist()] == table["emotion"].to_pylist()
    ids = table["utterance_id"].to_pylist()
    assert len(set(ids)) == len(ids) == 2 * (12 + 3 + 3)
    assert [cross_corpus.corpus_of(one) for one in ids] == ["A"] * 24 + ["B"] * 6 + ["C"] * 6
    assert ids[0] == "A/anna/a01-happy"
    assert {"A/anna", "C/anna", None} < set(table["speaker"].to_pylist())  # two people


def test_a_fold_trains_on_one_corpus_and_tests_all_the_others():
    found = columns(A, B, C)
    assert cross_corpus.sources(found) == ["A", "B", "C"]
    corpus = np.array([cross_corpus.corpus_of(one) for one in found.utterance_id])
    for name, (train, validation, test) in zip(
        "ABC", splits.split(cross_corpus.PROTOCOL, found, 3, seed=1), strict=True
    ):
        assert set(corpus[train]) == set(corpus[validation]) == {name}
        assert sorted([*train, *validation]) == sorted(np.flatnonzero(corpus == name))
        assert sorted(test) == sorted(np.flatnonzero(corpus != name))
        speakers = [{found.speaker[row] for row in part} for part in (train, validation)]
        assert (name == "B") == bool(speakers[0] & speakers[1])  # B names none
        assert set(found.classes[validation]) == {0, 1}


def test_seeds_hold_out_others():
    folds = [splits.split(cross_corpus.PROTOCOL, columns(A, C), 2, seed) for seed in range(5)]
    assert len({tuple(fold[0][1]) for fold in folds}) > 1


def test_the_published_corpora_share_the_published_five_emotions():
    corpora = [get(name) for name in ("CASIA", "EMODB", "EMOVO", "RAVDESS", "SAVEE")]
    card = cross_corpus.card(corpora)
    assert sorted(card.labels) == ["angry", "fear", "happy", "neutral", "sad"]
    assert (card.n_folds, card.n_tabs, card.synthetic) == (5, 8, False)


def test_what_cannot_be_crossed_says_why():
    only_angry = replace(get("IEMOCAP"), labels=("angry",))
    with pytest.raises(ConfigError, match=r"The corpora share angry \(EMODB: angry, boredom, .*; IEMOCAP: angry\)"):
        cross_corpus.shared_labels([get("EMODB"), only_angry])
    with pytest.raises(CorpusError, match="B has no recording of angry that can be used, and every corpus needs all"):
        joint(A, B, labels=("angry", "sad"))
    lonely = Made("D", labels=("happy", "sad"), speakers=(None,), sentences=("a",))
    with pytest.raises(SplitError, match="takes validation data out of the training side"):
        splits.split(cross_corpus.PROTOCOL, columns(A, lonely), 2, seed=0)
