"""The order in which folds begin."""

from dataclasses import replace

import numpy as np

from tasks.jobs import FoldJob, Losses, longest_first
from timnet.config import RECIPES, FoldSettings, ModelSettings


def job(corpus, fold, n_train, n_frames, recipe="fast", model="timnet"):
    settings = FoldSettings(ModelSettings(model, n_frames, 39, 7), RECIPES[recipe], "last", 46, fold)
    rows = (np.arange(n_train), np.arange(0), np.arange(0))
    return FoldJob(corpus, 46, fold, None, rows, settings, f"trained/{corpus}/{fold}")


def test_the_corpus_with_the_longest_fold_begins_and_folds_keep_their_order():
    short = [job("EMODB", 1, 481, 188), job("EMODB", 2, 482, 188)]
    long = [job("IEMOCAP", 1, 4977, 606), job("IEMOCAP", 2, 4978, 606)]
    assert longest_first(short + long) == long + short


def test_epochs_and_blocks_count():
    fast, published = job("EMODB", 1, 481, 188), job("EMOVO", 1, 481, 188, recipe="published")
    assert longest_first([fast, published]) == [published, fast]
    deeper = replace(fast, corpus="OWN", settings=replace(fast.settings, model=replace(fast.settings.model, n_tabs=10)))
    assert longest_first([fast, deeper]) == [deeper, fast]


def test_what_is_not_trained_in_epochs_keeps_its_order():
    jobs = [job("EMODB", 1, 10, 188, model="svm"), job("IEMOCAP", 1, 4000, 606, model="svm")]
    assert longest_first(jobs) == jobs
    evaluated = [replace(one, weights="weights.hdf5") for one in (job("A", 1, 10, 188), job("B", 1, 99, 188))]
    assert longest_first(evaluated) == evaluated


def test_losses_count_from_the_last_time_that_a_fold_got_further():
    losses = Losses()
    assert losses.count() == 1
    losses.reached(12)
    assert [losses.count(), losses.count()] == [1, 2]
    losses.reached(10)  # from a checkpoint, over the same epochs again
    losses.reached(12)
    assert losses.count() == 3
    losses.reached(13)
    assert (losses.count(), losses.epoch) == (1, 13)
