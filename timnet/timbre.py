"""What recordings sound like, whatever their level and length: a summary of their MFCCs, and how far one lies from many."""

import numpy as np

N_COEFFICIENTS = 13  # what formants and pitch do not need is left out: fewer numbers, fewer recordings to know them by
FLAT = 0.01  # a frame whose MFCCs but the first are all below is silence that padding added, or digital silence
LEAST = 20  # recordings to know others by
PARTS = 10  # held out in turn
USUAL = 0.99  # of the recordings, each measured by the others, are no farther away than 1

# The mean of the summaries; below it, what turns a difference from it into distances.
Timbre = tuple[tuple[float, ...], ...]


def summary(matrix: np.ndarray) -> np.ndarray | None:
    """Of MFCCs (n_frames, n_coefficients): means over time of all but the first, standard deviations of all, float64.

    The first one's mean is the level, which has a warning of its own. None where nothing sounds.
    """
    sounding = matrix[np.abs(matrix[:, 1:]).max(axis=1) > FLAT, :N_COEFFICIENTS].astype(np.float64)
    if not len(sounding):
        return None
    return np.concatenate([sounding[:, 1:].mean(axis=0), sounding.std(axis=0)])


def of_recordings(summaries: np.ndarray) -> Timbre | None:
    """What summaries (n_recordings, n) have in common; None where there are too few or they do not differ."""
    if len(summaries) < LEAST:
        return None
    part = np.arange(len(summaries)) % PARTS
    away = [_away(summaries[part == one], *_fitted(summaries[part != one])) for one in range(PARTS)]
    # Measured by themselves, few recordings would seem nearer than any other can be.
    usual = float(np.quantile(np.concatenate(away), USUAL))
    if not 0 < usual < np.inf:
        return None
    mean, whitening = _fitted(summaries)
    return tuple(tuple(row) for row in (mean.tolist(), *(whitening / usual).tolist()))


def distance(matrix: np.ndarray, timbre: Timbre) -> float:
    """How far MFCCs lie from the middle of the recordings; 99 in 100 of these are no farther than 1. NaN of silence."""
    found = summary(matrix)
    return np.nan if found is None else float(_away(found[None], np.array(timbre[0]), np.array(timbre[1:]))[0])


def _fitted(summaries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Their mean (n,) and the whitening (n, n) of their covariance, which is drawn to the diagonal where they are few."""
    n_recordings, n = summaries.shape
    mean, sd = summaries.mean(axis=0), summaries.std(axis=0)
    sd[sd == 0] = 1
    drawn = n / (n + n_recordings)
    covariance = (1 - drawn) * np.cov(((summaries - mean) / sd).T) + drawn * np.eye(n)
    return mean, np.linalg.cholesky(np.linalg.inv(covariance)).T / sd


def _away(summaries: np.ndarray, mean: np.ndarray, whitening: np.ndarray) -> np.ndarray:
    return np.linalg.norm((summaries - mean) @ whitening.T, axis=1)
