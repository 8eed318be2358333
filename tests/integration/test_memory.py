"""Features of the largest corpus are there once, however many trainers read them."""

import pytest

from tests.bench import memory

MB = 10**6


@pytest.mark.ray
@pytest.mark.slow
def test_trainers_share_one_copy_of_iemocaps_features():
    n = memory.N_UTTERANCES
    found = memory.in_a_process(n=n, model=memory.SMALL, n_train=n - 64, epochs=1, trainers=2)
    assert found.features > 520 * MB
    assert found.object_store < found.features + 20 * MB
    assert len(found.peak) == 2
    for before, peak, mapped, share in zip(found.before, found.peak, found.mapped, found.share, strict=True):
        assert peak - before < 130 * MB  # of its own, beside what TensorFlow and the network have already
        assert mapped > 0.95 * found.features  # it has read all of them
        assert share < 0.6 * found.features  # and so has the other
    assert found.driver < 260 * MB
    assert found.loader < found.features + 260 * MB  # one copy, which it puts together, and its libraries
    assert found.loader_after == 0


@pytest.mark.ray
@pytest.mark.slow
def test_what_loads_features_is_gone_afterwards():
    """Ray itself ends idle processes only where trainers hold every CPU."""
    found = memory.in_a_process(n=256, model=memory.SMALL, n_train=64, epochs=1, trainers=1)
    assert found.loader > found.features
    assert found.loader_after == 0
