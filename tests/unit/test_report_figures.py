"""The drawing itself: axes, lines, escaping; and what the figures do with odd results."""

import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from stored_run import RUN, Made, write_run

from timnet import tables
from timnet.report import curves, embedding, figures, svg
from timnet.report.gather import gather
from timnet.store import Store


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    store = Store(str(tmp_path_factory.mktemp("store")))
    write_run(store, (Made("A", twins=1),), seeds=(46,))
    return gather(store, RUN).corpora[0]


def with_folds(corpus, change):
    return replace(corpus, folds=tuple(change(fold) for fold in corpus.folds))


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0.8, 1, [0.8, 0.85, 0.9, 0.95, 1]),
        (1, 500, [100, 200, 300, 400, 500]),
        (1, 12, [2.5, 5, 7.5, 10]),
        (-0.001, 0.001, [-0.001, -0.0005, 0, 0.0005, 0.001]),
        (0, 37, [0, 10, 20, 30]),
    ],
)
def test_ticks(low, high, expected):
    assert svg.ticks(low, high) == pytest.approx(expected)
    assert not any(str(tick).startswith("-0.0") and tick == 0 for tick in svg.ticks(low, high))


def test_points_are_where_they_belong():
    panel = svg.Panel((0, 10), (0, 2), width=120, height=60, margins=(0, 10, 10, 10))
    assert (panel.x(0), panel.x(10), panel.x(5)) == (10, 110, 60)
    assert (panel.y(0), panel.y(2), panel.y(1)) == (50, 0, 25)


def test_line_breaks_where_a_value_is_missing():
    panel = svg.Panel((0, 4), (0, 1))
    panel.line([0, 1, 2, 3, 4], [0, 1, float("nan"), 1, 0], "thin train")
    lines = ElementTree.fromstring(panel.svg("a line with a gap")).findall("polyline")
    assert [len(line.get("points").split()) for line in lines] == [2, 2]


def test_words_are_escaped():
    panel = svg.Panel((0, 1), (0, 1))
    panel.text(0, 0, "<b>&")
    panel.mark(0.5, 0.5, "point", tip='"<i>')
    root = ElementTree.fromstring(panel.svg('<"&'))
    assert root.get("aria-label") == '<"&'
    assert root.find("text").text == "<b>&"
    assert root.find("circle/title").text == '"<i>'


def test_tsne_keeps_groups_together():
    random = np.random.default_rng(1)
    group = np.repeat([0, 1, 2], 15)
    values = random.normal(size=(3, 39))[group] * 3 + random.normal(size=(45, 39)) * 0.3
    placed = embedding.tsne(values)
    assert placed.shape == (45, 2)
    assert (placed.min(), placed.max()) == (0, 1)
    distance = np.linalg.norm(placed[:, None] - placed[None], axis=-1)
    np.fill_diagonal(distance, np.inf)
    assert (group[distance.argmin(axis=1)] == group).all()
    assert np.array_equal(placed, embedding.tsne(values))


def test_tsne_is_of_one_network_at_a_time(corpus):
    drawing = embedding.draw(corpus)
    n_points = [len(ElementTree.fromstring(panel).findall(".//*[title]")) for panel in drawing.panels]
    assert n_points == [len(corpus.folds[0].truth)]
    assert len(drawing.more) == 2
    assert drawing.caption.startswith("One model, that of fold 1 under seed 46, and its 16 test recordings;")


@pytest.mark.parametrize("values", [np.ones((1, 39)), np.full((1, 39), np.nan), np.ones((1, 0)), np.arange(3.0)[None]])
def test_embedding_that_tells_nothing_apart(corpus, values):
    def flat(fold):
        rows = np.repeat(values, fold.predictions.num_rows, axis=0).astype(np.float32)
        column = pa.array(rows.tolist(), pa.list_(pa.float32()))
        index = tables.PREDICTIONS.get_field_index("embedding")
        field = tables.PREDICTIONS.field(index)
        return replace(fold, predictions=fold.predictions.set_column(index, field, column))

    assert embedding.draw(with_folds(corpus, flat)) == (
        "No fold has 8 test recordings that the model tells apart, so there is nothing to draw."
    )


def test_curves_of_a_training_that_diverged(corpus):
    def diverged(fold):
        losses = np.where(np.arange(fold.history.num_rows) > 5, np.nan, 1.0)
        index = tables.HISTORY.get_field_index("train_loss")
        return replace(fold, history=fold.history.set_column(index, tables.HISTORY.field(index), pa.array(losses)))

    for panel in curves.draw(with_folds(corpus, diverged)).panels:
        assert "nan" not in "".join(line.get("points") for line in ElementTree.fromstring(panel).findall("polyline"))


def test_mean_curve_ends_where_the_first_fold_stopped(corpus):
    stopped = replace(corpus.folds[0], history=corpus.folds[0].history.slice(0, 4), chosen_epoch=2)
    drawing = curves.draw(replace(corpus, folds=(stopped, *corpus.folds[1:])))
    lines = ElementTree.fromstring(drawing.panels[0]).findall("polyline")
    lengths = {
        style: {len(line.get("points").split()) for line in lines if line.get("class") == style}
        for style in ("thin train", "mean train")
    }
    assert lengths == {"thin train": {4, 12}, "mean train": {4}}


def test_numbers_behind_the_curves_are_those_of_the_chosen_epoch(corpus):
    fold = corpus.folds[0]
    row = curves.draw(corpus).numbers.rows[0]
    losses, accuracies = (fold.history[f"validation_{name}"].to_pylist() for name in ("loss", "accuracy"))
    assert row[:4] == ["46", "1", "12", str(fold.chosen_epoch)]
    assert row[6] == f"{losses[fold.chosen_epoch - 1]:.3f}"
    assert row[7] == f"{100 * accuracies[fold.chosen_epoch - 1]:.2f} %"


def test_durations_say_what_is_cut(corpus):
    longer = sum(duration > 5 for duration in corpus.manifest["duration_s"].to_pylist())
    assert longer > 0
    assert f"longer ones ({longer} of 48) lose their ends." in figures.durations(corpus).caption
    assert figures.durations(replace(corpus, signal_s=None)).caption == "How long the recordings are."
