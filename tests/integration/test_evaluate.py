"""Given weights through the real flow: our own in the published layout, and the authors' on the real EMODB."""

import json

import numpy as np
import pytest
from tiny import predictions

pytestmark = [pytest.mark.ray, pytest.mark.prefect]


def arguments(recordings, store, weights):
    return (
        "--corpora", "TINY", "--data-root", str(recordings), "--store", str(store), "--weights", str(weights),
        "--seeds", "7", "--folds", "3", "--protocol", "speaker-independent", "--features", "soxr_hq", "--run-id", "again",
    )  # fmt: skip


def test_stored_weights_predict_what_their_training_predicted(finished, weights, command, recordings, tmp_path):
    done = command.run(*arguments(recordings, tmp_path, weights), module="flows.evaluate")
    trained, evaluated = predictions(finished[0]), predictions(tmp_path, "again")
    for column in ("fold", "utterance_id", "emotion", "predicted"):
        assert evaluated[column].to_pylist() == trained[column].to_pylist()
    np.testing.assert_allclose(
        np.array(evaluated["probabilities"].to_pylist()), np.array(trained["probabilities"].to_pylist()), atol=1e-4
    )
    assert "The weights were given" in done.stderr
    summary = json.loads((tmp_path / "runs/again/report/summary.json").read_text())
    assert summary["kind"] == "evaluate"
    assert summary["protocol"]["description"].startswith(
        "k folds of whole speakers; how the weights' epoch was chosen is not"
    )
    first = json.loads((finished[0] / "runs/first/report/summary.json").read_text())
    assert summary["corpora"]["TINY"]["pooled"] == first["corpora"]["TINY"]["pooled"]
    # Other weights in the same folder are another evaluation: its name is not theirs.
    for a, b in ((1, 2), (2, 3)):
        one, other = (weights / f"3-fold_weights_best_{i}.hdf5" for i in (a, b))
        one_bytes, other_bytes = one.read_bytes(), other.read_bytes()
        one.write_bytes(other_bytes)
        other.write_bytes(one_bytes)
    again = command.run(*arguments(recordings, tmp_path, weights), module="flows.evaluate", status=2)
    assert "--run-id again is taken by a run with other settings (weights: " in again.stderr


def test_weights_that_do_not_fit_end_before_any_work_or_name_the_fold(weights, command, recordings, tmp_path):
    given = arguments(recordings, tmp_path / "store", weights)
    done = command.run(*given, "--folds", "4", module="flows.evaluate", status=2)
    assert "has no weights of 4 folds, but those of 3 folds" in done.stderr
    done = command.run(*given, "--weights", str(tmp_path), module="flows.evaluate", status=2)
    assert "3-fold_weights_best_1.hdf5" in done.stderr
    assert not (tmp_path / "store").exists()
    (weights / "3-fold_weights_best_2.hdf5").write_bytes(b"not HDF5")
    done = command.run(*given, module="flows.evaluate", status=1)
    assert "TINY seed 7 fold 2 FAILED: WeightsError" in done.stderr
    assert "1 of 3 folds failed: TINY seed 7 fold 2." in done.stderr


def test_the_authors_weights_give_the_published_figures(shared, command, tmp_path):
    done = command.run(
        "--corpora", "EMODB", "--data-root", str(shared / "corpora"), "--seeds", "46", "--run-id", "authors",
        "--weights", str(shared / "timnet_weights/EMODB_46"), "--store", str(tmp_path), module="flows.evaluate",
    )  # fmt: skip
    corpus = json.loads((tmp_path / "runs/authors/report/summary.json").read_text())["corpora"]["EMODB"]
    assert f"{100 * corpus['pooled']['war']:.2f}" == "95.70"
    assert f"{100 * corpus['pooled']['uar']:.2f}" == "95.17"
    assert "last epoch" not in done.stderr
    page = (tmp_path / "runs/authors/report/index.html").read_text()
    assert "last epoch" not in page
    assert "TIM-Net&#39;s authors chose theirs ON THE TEST FOLD" in page
