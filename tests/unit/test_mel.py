"""The mel filter bank against librosa's."""

import warnings

import librosa
import numpy as np
import pytest

from timnet import mel

SIZES = [
    (22_050, 2048, 128),
    (16_000, 1024, 80),
    (16_000, 400, 40),
    (8_000, 512, 64),
    (44_100, 4096, 128),
    (1_800, 256, 20),
]


def librosas(sample_rate_hz: int, n_fft: int, n_mels: int) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # bands between two frequencies
        return librosa.filters.mel(sr=sample_rate_hz, n_fft=n_fft, n_mels=n_mels)


@pytest.mark.parametrize("size", [*SIZES, (22_050, 256, 128)])
def test_filter_bank_is_librosas(size):
    expected = librosas(*size)
    np.testing.assert_allclose(mel.filter_bank(*size), expected, rtol=0, atol=1e-6 * expected.max())


@pytest.mark.parametrize("size", [*SIZES, (22_050, 256, 128)])
def test_pieces_are_the_whole_bank(size):
    expected = mel.filter_bank(*size)
    bank = np.zeros_like(expected)
    for bands, frequencies, weights in mel.pieces(*size):
        bank[bands, frequencies] = weights.T
    np.testing.assert_allclose(bank, expected, rtol=1e-6)
