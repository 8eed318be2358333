"""Train on one corpus, test on another, for real: the command, its numbers, its page."""

import json

import pytest
from tiny import predictions, write_tone

pytestmark = [pytest.mark.ray, pytest.mark.prefect]

OTHER = {"angry": 266.0, "calm": 100.0, "happy": 252.0}  # Hz; shares two emotions with TINY, and is hard for its models
SETTINGS = ("--corpora", "TINY,OTHER", "--seeds", "1,2", "--signal-length", "8192", "--run-id", "crossed")


@pytest.fixture(scope="module")
def both(recordings, tmp_path_factory):
    """A data root with TINY and with a second corpus, whose recordings lie in folders of emotions alone."""
    root = tmp_path_factory.mktemp("both")
    (root / "TINY").symlink_to(recordings / "TINY")
    for e, (emotion, hz) in enumerate(OTHER.items()):
        for take in range(6):
            write_tone(root / "OTHER" / emotion / f"{take}.wav", hz, seed=900 + 10 * e + take)
    return root


@pytest.fixture(scope="module")
def crossed(command, both, tmp_path_factory):
    store = tmp_path_factory.mktemp("crossed")
    arguments = ("--data-root", str(both), "--store", str(store), *SETTINGS, "--model", "svm")
    return store, arguments, command.run(*arguments, module="flows.cross_corpus")


def test_every_ordered_pair_has_its_scores(crossed):
    from sklearn.metrics import accuracy_score, recall_score

    store, _, done = crossed
    corpus = json.loads((store / "runs/crossed/report/summary.json").read_text())["corpora"]["CROSS"]
    assert corpus["labels"] == ["angry", "happy"]
    table = predictions(store, "crossed").to_pylist()
    rows = corpus["pairs"]["rows"]
    assert [(row["source"], row["target"], row["n"]) for row in rows] == [("TINY", "OTHER", 12), ("OTHER", "TINY", 32)]
    for fold, row in enumerate(rows, start=1):
        of_pair = [one for one in table if one["fold"] == fold]
        assert {one["utterance_id"].partition("/")[0] for one in of_pair} == {row["target"]}
        seeds = [[(one["emotion"], one["predicted"]) for one in of_pair if one["seed"] == seed] for seed in (1, 2)]
        war = [accuracy_score(*zip(*one, strict=True)) for one in seeds]
        uar = [recall_score(*zip(*one, strict=True), average="macro") for one in seeds]
        assert row["war"] == pytest.approx(sum(war) / 2)
        assert row["uar"] == pytest.approx(sum(uar) / 2)
        assert f"{row['source']} -> {row['target']}: WAR {100 * row['war']:.2f} %" in done.stderr
    assert corpus["pairs"]["mean"]["uar"] == pytest.approx((rows[0]["uar"] + rows[1]["uar"]) / 2)


def test_training_saw_one_corpus_and_its_validation_data_are_other_speakers(crossed):
    store, _, _ = crossed
    run = json.loads((store / "runs/crossed/run.json").read_text())
    assert run["kind"] == "cross-corpus"
    assert run["corpora"]["CROSS"]["sources"] == ["TINY", "OTHER"]
    audit = json.loads((store / run["corpora"]["CROSS"]["seeds"]["1"]["split"] / "audit.json").read_text())
    tiny, other = audit["folds"]
    assert {speaker.partition("/")[0] for speaker in tiny["speakers"]["train"]} == {"TINY"}
    assert tiny["shared"]["speaker"]["train-validation"] == 0
    assert tiny["n"]["train"] + tiny["n"]["validation"] == 32
    assert other["n"]["train"] + other["n"]["validation"] == 12
    assert min(other["class_counts"]["validation"].values()) > 0  # no speakers are known: stratified


def test_the_page_shows_the_pairs(crossed):
    page = (crossed[0] / "runs/crossed/report/index.html").read_text()
    assert "From one corpus to another" in page
    assert "TINY: 32 of 48 recordings, those of the shared emotions." in page


def test_again_computes_nothing(crossed, command):
    store, arguments, _ = crossed
    before = {path: path.stat().st_mtime_ns for path in store.rglob("*") if path.is_file()}
    done = command.run(*arguments, module="flows.cross_corpus")
    assert "4 of 4 folds are finished already" in done.stderr
    assert {path: path.stat().st_mtime_ns for path in store.rglob("*") if path.is_file()} == before


@pytest.mark.slow
def test_a_corpus_without_a_shared_emotion_is_not_passed_over(command, both, tmp_path):
    (tmp_path / "TINY").symlink_to(both / "TINY")
    for emotion in ("angry", "happy"):
        (tmp_path / "EMPTY" / emotion).mkdir(parents=True)
        (tmp_path / "EMPTY" / emotion / "1.wav").write_bytes(b"")
    write_tone(tmp_path / "EMPTY/happy/2.wav", 200, 1)
    arguments = ("--data-root", str(tmp_path), "--store", str(tmp_path / "store"), "--skip-bad", "--model", "svm")
    done = command.run(*arguments, "--corpora", "TINY,EMPTY", module="flows.cross_corpus", status=1)
    assert (
        "EMPTY has no recording of angry that can be used, and every corpus needs all of angry, happy." in done.stderr
    )


@pytest.mark.slow
def test_with_the_network(command, both, tmp_path):
    command.run(
        "--data-root", str(both), "--store", str(tmp_path), *SETTINGS, "--epochs", "3", module="flows.cross_corpus"
    )
    summary = json.loads((tmp_path / "runs/crossed/report/summary.json").read_text())
    assert [fold["state"] for fold in summary["corpora"]["CROSS"]["folds"]] == ["completed"] * 4


def test_what_cannot_be_crossed_is_one_line(command, both, tmp_path):
    (tmp_path / "THIRD/bored").mkdir(parents=True)
    (tmp_path / "THIRD/calm").mkdir()
    write_tone(tmp_path / "THIRD/bored/1.wav", 200, 1)
    write_tone(tmp_path / "THIRD/calm/1.wav", 200, 2)
    (tmp_path / "TINY").symlink_to(both / "TINY")
    where = ("--data-root", str(tmp_path), "--store", str(tmp_path / "store"))
    done = command.run(*where, "--corpora", "TINY,THIRD", module="flows.cross_corpus", status=2)
    assert done.stderr == (
        "timnet: The corpora share no emotion (TINY: angry, happy, sad; THIRD: bored, calm). "
        "Two emotions that all have are the least.\n"
    )
    done = command.run(*where, "--corpora", "TINY", module="flows.cross_corpus", status=2)
    assert "--corpora TINY: value should have at least 2 items" in done.stderr
    done = command.run("--store", str(tmp_path / "store"), module="flows.cross_corpus", status=2)
    assert "--corpora CASIA needs --data-root DIR" in done.stderr
    assert not (tmp_path / "store").exists()
