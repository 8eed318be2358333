"""Folds: complete, disjoint, apart where promised, and clear about what cannot be cut."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from timnet import audit, fold_tables, splits, tables
from timnet.errors import SplitError
from timnet.splits import Columns

LABELS = ("angry", "happy", "sad")


def corpus(n_speakers=6, n_sentences=5, takes=2, *, speaker=True, sessions=False):
    rows = [
        (s, t, c, k)
        for c in range(len(LABELS))
        for s in range(n_speakers)
        for t in range(n_sentences)
        for k in range(takes)
    ]
    return Columns(
        corpus="TINY",
        utterance_id=tuple(f"s{s}t{t}c{c}k{k}" for s, t, c, k in rows),
        classes=np.array([c for _, _, c, _ in rows], np.int32),
        labels=LABELS,
        speaker=tuple(f"s{s}" if speaker else None for s, *_ in rows),
        sentence=tuple(f"t{t}" for _, t, *_ in rows),
        session=tuple(f"session{s // 2}" if sessions else None for s, *_ in rows),
    )


def manifest(columns, same_audio=()):
    n = len(columns)
    audio = [f"hash{i}" for i in range(n)]
    for left, right in same_audio:
        audio[right] = audio[left]
    return pa.table(
        {
            "utterance_id": columns.utterance_id,
            "path": [f"{u}.wav" for u in columns.utterance_id],
            "audio_sha256": audio,
            "speaker": pa.array(columns.speaker, pa.string()),
            "sentence": pa.array(columns.sentence, pa.string()),
            "session": pa.array(columns.session, pa.string()),
            "emotion": [columns.labels[c] for c in columns.classes],
            "class_index": columns.classes,
            "duration_s": [1.0] * n,
            "sample_rate_hz": pa.array([16000] * n, pa.int32()),
            "n_channels": pa.array([1] * n, pa.int32()),
        },
        schema=tables.MANIFEST,
    )


EVERYTHING = corpus(sessions=True)
CUT = [name for name in splits.PROTOCOLS if name != "table"]


@pytest.mark.parametrize("name", CUT)
def test_every_utterance_is_tested_exactly_once_and_no_part_overlaps(name):
    folds = splits.split(name, EVERYTHING, 4, seed=3)
    tested = np.concatenate([test for *_, test in folds])
    assert sorted(tested) == list(range(len(EVERYTHING)))
    for fold in folds:
        together = np.concatenate(fold)
        assert len(np.unique(together)) == len(together)


@pytest.mark.parametrize("name", CUT)
def test_the_seed_decides_the_folds_and_nothing_else_does(name):
    again = [splits.split(name, EVERYTHING, 4, seed=5) for _ in range(2)]
    for left, right in zip(*again, strict=True):
        for a, b in zip(left, right, strict=True):
            np.testing.assert_array_equal(a, b)
    if splits.PROTOCOLS[name].uses_folds:
        other = splits.split(name, EVERYTHING, 4, seed=6)
        assert any(not np.array_equal(a[2], b[2]) for a, b in zip(again[0], other, strict=True))


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("speaker-independent", "speaker"),
        ("leave-one-speaker-out", "speaker"),
        ("leave-session-out", "session"),
        ("leave-sentence-out", "sentence"),
        ("speaker-and-sentence", "speaker"),
        ("speaker-and-sentence", "sentence"),
    ],
)
def test_what_is_promised_to_be_apart_is_apart(name, column):
    values = np.array(getattr(EVERYTHING, column))
    for train, validation, test in splits.split(name, EVERYTHING, 4, seed=0):
        seen = set(values[train]) | set(values[validation])
        assert not seen & set(values[test])
        assert len(validation)


@pytest.mark.parametrize("name", ["speaker-independent", "leave-one-speaker-out", "speaker-and-sentence"])
def test_validation_is_by_speakers_who_do_not_train(name):
    speaker = np.array(EVERYTHING.speaker)
    for train, validation, _ in splits.split(name, EVERYTHING, 4, seed=0):
        assert not set(speaker[train]) & set(speaker[validation])


def test_published_folds_are_scikit_learns_over_the_published_order():
    from sklearn.model_selection import KFold

    ours = splits.split("published", EVERYTHING, 10, seed=46)
    theirs = KFold(10, shuffle=True, random_state=46).split(np.zeros(len(EVERYTHING)))
    for (train, validation, test), (their_train, their_test) in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(train, their_train)
        np.testing.assert_array_equal(test, their_test)
        assert len(validation) == 0


def test_stratified_folds_keep_the_classes_in_proportion():
    for train, validation, test in splits.split("stratified", EVERYTHING, 5, seed=1):
        for rows in (train, validation, test):
            counts = np.bincount(EVERYTHING.classes[rows], minlength=3)
            assert counts.max() - counts.min() <= 1


def test_fewer_speakers_than_folds_make_fewer_folds():
    assert len(splits.split("speaker-independent", corpus(n_speakers=4), 10, seed=0)) == 4


@pytest.mark.parametrize(
    ("name", "columns", "n_folds", "text"),
    [
        (
            "speaker-independent",
            corpus(speaker=False),
            5,
            "needs the speaker of every utterance, and TINY does not give it",
        ),
        ("leave-session-out", corpus(), 5, "needs the session of every utterance"),
        ("speaker-independent", corpus(n_speakers=2), 2, "needs at least 3 different values of speaker"),
        (
            "speaker-and-sentence",
            corpus(n_speakers=3),
            10,
            "needs at least 4 speakers, 2 sentences and --folds 4; received 3",
        ),
        (
            "published",
            corpus(2, 1, 1),
            10,
            "10 folds need at least 10 utterances, and TINY has 6. Use --folds 6 or fewer.",
        ),
        ("stratified", corpus(2, 1, 1), 3, "3 folds need at least 3 utterances of angry, and TINY has 2"),
        ("table", corpus(), 3, "give it with --split-table FILE"),
    ],
)
def test_what_cannot_be_cut_says_why(name, columns, n_folds, text):
    with pytest.raises(SplitError) as caught:
        splits.split(name, columns, n_folds, seed=0)
    assert text in str(caught.value)


def test_a_class_missing_from_training_is_refused():
    columns = corpus(3, 1, 1)
    lonely = Columns(**{**columns.__dict__, "classes": np.array([0] * 8 + [1], np.int32), "labels": ("angry", "happy")})
    with pytest.raises(SplitError, match="leaves no utterance of happy in the train part of fold"):
        splits.split("leave-one-speaker-out", lonely, 3, seed=0)


def test_folds_go_into_a_table_and_back():
    folds = splits.split("speaker-and-sentence", EVERYTHING, 4, seed=0)
    back = fold_tables.from_table(EVERYTHING, fold_tables.to_table(EVERYTHING, folds))
    for left, right in zip(folds, back, strict=True):
        for a, b in zip(left, right, strict=True):
            np.testing.assert_array_equal(np.sort(a), b)


def test_a_users_table_is_read_and_its_faults_are_named(tmp_path):
    file = tmp_path / "split.csv"
    file.write_text("utterance_id,part\na,train\nb,validation\nc,test\n")
    assert fold_tables.read_user_table(str(file)).to_pylist()[2] == {"fold": 1, "utterance_id": "c", "part": "test"}
    for text, message in [
        ("utterance_id\na\n", "has no column part; received utterance_id"),
        ("utterance_id,part\na,dev\n", "row 2: part is 'dev'; allowed are train, validation, test"),
        ("utterance_id,part\na,train\na,test\n", "utterance 'a' is in fold 1 more than once"),
        (
            "utterance_id,part,fold\na,test,1\nb,train,1\na,test,2\nb,train,2\n",
            "utterance 'a' is tested in fold 1 and in fold 2, and pooled scores would count it twice",
        ),
        ("utterance_id,part,fold\na,train,x\n", "row 2: fold is a whole number, 1 for the first, received 'x'"),
        ("utterance_id,part,fold\na,train,3000000000\n", "1 for the first, received '3000000000'"),
        ("part,utterance_id\ntrain,a\ntest\n", "row 3: has no utterance_id"),
        (
            "utterance_id,part,fold\na,train,0\na,test,1\n",
            "row 2: fold is a whole number, 1 for the first, received '0'",
        ),
        (
            "utterance_id,part,fold\na,train,1\na,test,3\nb,test,3\n",
            "folds are numbered from 1 without gaps, received 1, 3",
        ),
        ("utterance_id,part\n", "has no rows"),
        ("", "is empty"),
    ]:
        file.write_text(text)
        with pytest.raises(SplitError) as caught:
            fold_tables.read_user_table(str(file))
        assert message in str(caught.value)
    with pytest.raises(SplitError, match="cannot be read"):
        fold_tables.read_user_table(str(tmp_path / "absent.csv"))


def test_names_in_a_users_table_stay_as_they_are_written(tmp_path):
    """A reader that guesses types would make 1 of 001, and a spreadsheet in Europe separates by semicolons."""
    file = tmp_path / "split.csv"
    file.write_bytes("\ufeffUtterance_ID; Part ;fold\n001;train;1\n1e3;validation;1\nNaN;test;1\n".encode())
    assert fold_tables.read_user_table(str(file))["utterance_id"].to_pylist() == ["001", "1e3", "NaN"]
    file = tmp_path / "split.parquet"
    pq.write_table(pa.table({"utterance_id": ["001", "01"], "part": ["train", "test"], "fold": [1, 1]}), file)
    assert fold_tables.read_user_table(str(file))["utterance_id"].to_pylist() == ["001", "01"]


def test_a_table_with_strange_utterances_is_refused():
    table = pa.table(
        {"fold": pa.array([1], pa.int32()), "utterance_id": ["nobody"], "part": ["test"]}, schema=tables.FOLDS
    )
    with pytest.raises(SplitError, match="names 1 utterances that TINY does not have, such as 'nobody'"):
        fold_tables.from_table(EVERYTHING, table)


def audited(name, columns=EVERYTHING, **more):
    folds = splits.split(name, columns, 4, seed=0)
    return audit.audit(splits.get(name), columns, manifest(columns, **more), folds)


def test_the_audit_counts_what_random_folds_share():
    first = audited("published")["folds"][0]
    assert first["shared"]["speaker"]["train-test"] == 6
    assert first["shared"]["sentence"]["train-test"] == 5
    assert first["shared"]["recording"]["train-test"] == 0
    assert first["n"] == {"train": 135, "validation": 0, "test": 45}
    assert sum(first["class_counts"]["test"].values()) == 45


def test_the_audit_finds_identical_recordings_on_both_sides():
    found = audited("speaker-independent", same_audio=[(0, len(EVERYTHING) - 1)])
    assert found["identical_recordings"] == [sorted([EVERYTHING.utterance_id[0], EVERYTHING.utterance_id[-1]])]
    assert sum(fold["shared"]["recording"]["train-test"] for fold in found["folds"]) > 0


def test_baselines_are_chance_and_the_largest_class():
    baselines = audited("stratified")["baselines"]
    assert baselines["chance_uar"] == pytest.approx(1 / 3)
    assert baselines["majority_war"] == pytest.approx(1 / 3)


def test_a_broken_promise_stops_the_run():
    random = splits.split("published", EVERYTHING, 4, seed=0)
    with pytest.raises(
        SplitError, match="promises that no speaker is shared with the test part, but fold 1 of TINY shares 6"
    ):
        audit.audit(splits.get("speaker-independent"), EVERYTHING, manifest(EVERYTHING), random)


def test_validation_data_of_speakers_who_train_stop_the_run():
    folds = []
    for train, validation, test in splits.split("speaker-independent", EVERYTHING, 4, seed=0):
        moved = train[::2]
        folds.append((np.setdiff1d(train, moved), np.concatenate([validation, moved]), test))
    with pytest.raises(
        SplitError, match=r"promises that no speaker is shared with the validation part, but fold 1 of TINY"
    ):
        audit.audit(splits.get("speaker-independent"), EVERYTHING, manifest(EVERYTHING), folds)


def test_an_utterance_in_two_parts_stops_the_run():
    train, _, test = splits.split("stratified", EVERYTHING, 4, seed=0)[0]
    with pytest.raises(SplitError, match="has utterances in more than one part"):
        audit.audit(splits.get("stratified"), EVERYTHING, manifest(EVERYTHING), [(train, test, test)])
