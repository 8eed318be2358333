"""Utterances changed a little when trained on, with a recipe's chance: their speed, place in time and vocal tract's length.

What is drawn for an utterance is a row of numbers, made by `drawn`; `changed` does it, with keras.ops, so that training
alone and in lockstep do the same. Features are MFCC, and both changes are linear in them: in time an interpolation
between frames, and in a frame a product, for an MFCC is a cosine transform of a spectrum whose mel axis can be stretched
(vocal tract length perturbation, Jaitly and Hinton 2013; there by up to 10 %).
"""

from typing import Any

import numpy as np

from timnet import mel
from timnet.recipes import Recipe

N_WARPS = 21  # how many vocal tracts there are between the shortest and the longest; the middle one changes nothing
SPEED, SHIFT, WARP = range(3)  # the columns of what is drawn


def drawn(recipe: Recipe, random: np.random.Generator, n: int) -> np.ndarray:
    """For n utterances: factor of speed, frames to shift by and number of the vocal tract, float32 (n, 3)."""
    draws = np.stack(
        [
            random.uniform(1 - recipe.speed, 1 + recipe.speed, n),
            random.uniform(-recipe.shift_frames, recipe.shift_frames, n),
            random.integers(0, N_WARPS, n),
        ],
        axis=-1,
    ).astype(np.float32)
    return np.where(random.random((n, 1)) < recipe.change_chance, draws, nothing(n))


def nothing(n: int) -> np.ndarray:
    """As `drawn`, for utterances that stay as they are."""
    return np.tile(np.array([1, 0, N_WARPS // 2], np.float32), (n, 1))


def warps(warp: float, n_coefficients: int) -> np.ndarray:
    """By what to multiply a frame's MFCC for each vocal tract, float32 (N_WARPS, n_coefficients, n_coefficients).

    The mel axis is stretched by 1 - warp to 1 + warp. Where it would end inside, the highest band is repeated.
    """
    band, cosines = np.arange(mel.N_MELS), mel.cosines(mel.N_MELS, n_coefficients)
    found = []
    for factor in np.linspace(1 - warp, 1 + warp, N_WARPS):
        at = np.minimum(band * factor, mel.N_MELS - 1)
        stretched = np.maximum(0, 1 - np.abs(at[:, None] - band))  # each band between its two neighbours
        found.append(cosines.T @ stretched.T @ cosines)
    return np.stack(found).astype(np.float32)


def changed(frames: Any, draws: Any, tracts: Any) -> Any:
    """Frames (…, n_frames, n_coefficients) as `draws` (…, 3) says, with what `warps` made; the same shape.

    Time is stretched around the middle. Where it would begin or end inside, the first or last frame is repeated.
    """
    from keras import ops

    n = frames.shape[-2]
    middle = (n - 1) / 2
    speed, shift = draws[..., SPEED, None], draws[..., SHIFT, None]
    at = ops.clip((ops.arange(n, dtype="float32") - middle - shift) * speed + middle, 0, n - 1)
    before = ops.floor(at)
    earlier, later = ops.cast(before, "int32"), ops.minimum(ops.cast(before, "int32") + 1, n - 1)
    first, second = (ops.take_along_axis(frames, rows[..., None], axis=-2) for rows in (earlier, later))
    frames = first + (second - first) * (at - before)[..., None]
    return ops.matmul(frames, ops.take(tracts, ops.cast(draws[..., WARP], "int32"), axis=0))
