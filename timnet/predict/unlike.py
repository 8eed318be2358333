"""What makes a recording unlike those that a model was trained with: each a sentence, none of them a refusal.

A model answers whatever it is given. What it was not trained for, it answers no worse for its own feeling.
"""

from collections.abc import Sequence

import numpy as np

from timnet.audio import MIN_DURATION_S, MIN_PEAK_DBFS, AudioFacts
from timnet.trained.base import Heard, Quantiles

LEVEL_ROOM_DB = 6.0  # twice or half the amplitude of the quietest and loudest hundredth
DURATION_ROOM = 1.25  # likewise for the shortest and the longest
FAINT_DBFS = -50.0  # a peak below is nearly silence, whatever was heard in training
LOST_IN_MIXING = 0.1  # of the power: one channel 6 dB quieter than the other, or a correlation of 0.8
BROADBAND_HZ = 16_000  # with less, mel bands above the half of it are empty
TIMBRE_ROOM = 1.25  # of 100 recordings of a speaker who was not in the training, fewer than one: see docs/predict.md
DISAGREEMENT = 1 / 3  # of the folds

# Kinds of problems with which there are samples to predict, in words that do not send a recording away.
_PROBLEMS = {
    "too-short": f"It is too short: an utterance has {MIN_DURATION_S} s or more.",
    "silent": f"It is silent: speech peaks above {MIN_PEAK_DBFS:.0f} dBFS.",
    "truncated": "It is cut off: its header promises more sound than there is.",
}


def of_recording(facts: AudioFacts, heard: Heard) -> list[str]:
    """What is unusual with a recording that was decoded."""
    kind = facts.problem[0] if facts.problem else ""
    found = [_PROBLEMS[kind]] if kind else []
    if kind not in ("too-short", "silent"):
        found += _duration(facts.duration_s, heard.duration_s)
    if kind != "silent":
        found += _level(facts, heard.rms_dbfs)
    if facts.lost_in_mixing >= LOST_IN_MIXING:
        left = f"{100 - 100 * facts.lost_in_mixing:.0f} %"
        found.append(
            f"{facts.n_channels} channels that differ were mixed into one, which has {left} of their power. "
            "Where they are different speakers, give each channel as a file of its own."
        )
    if facts.n_clipped:
        found.append(
            f"It is clipped: {facts.n_clipped} samples are cut off at full scale, which sounds harsher than it was spoken."
        )
    lowest = BROADBAND_HZ if heard.sample_rate_hz is None else min(BROADBAND_HZ, heard.sample_rate_hz[0])
    if facts.sample_rate_hz < lowest:
        found.append(
            f"Its sample rate is {facts.sample_rate_hz} Hz: there is nothing above {facts.sample_rate_hz // 2} Hz, where "
            "the model heard something in training."
        )
    return found


def of_training(n_knowing: int, n_folds: int) -> list[str]:
    """Whether folds of an ensemble were trained with this very recording; `n_knowing` of them were."""
    if not n_knowing:
        return []
    return [f"It was in the training of {n_knowing} of {n_folds} folds: how well they know it says nothing of others."]


def of_sound(distances: Sequence[float]) -> list[str]:
    """Whether a recording sounds like nothing in training; `distances` (timbre.distance) are of its windows."""
    sounding = [one for one in distances if np.isfinite(one)]
    if not sounding or (middle := float(np.median(sounding))) <= TIMBRE_ROOM:
        return []
    return [
        f"It sounds unlike the recordings in training: its MFCCs lie {middle:.1f} times as far from their middle as those of "
        "99 of 100 of them."
    ]


def of_folds(disagreement: float, n_folds: int) -> list[str]:
    """Whether the folds of an ensemble contradict each other; `disagreement` is the share that does."""
    if disagreement <= DISAGREEMENT:
        return []
    return [f"The folds disagree: {round(disagreement * n_folds)} of {n_folds} give another answer than all together."]


def _duration(duration_s: float, heard: Quantiles | None) -> list[str]:
    if heard is None or heard[0] / DURATION_ROOM <= duration_s <= heard[2] * DURATION_ROOM:
        return []
    return [
        f"It is {duration_s:.1f} s long, and 98 of 100 recordings in training had {heard[0]:.1f} to {heard[2]:.1f} s."
    ]


def _level(facts: AudioFacts, heard: Quantiles | None) -> list[str]:
    found = []
    if facts.peak_dbfs < FAINT_DBFS:
        found.append(f"It is nearly silent: its peak is {facts.peak_dbfs:.0f} dBFS.")
    if heard is not None and not heard[0] - LEVEL_ROOM_DB <= facts.rms_dbfs <= heard[2] + LEVEL_ROOM_DB:
        found.append(
            f"Its level is {facts.rms_dbfs:.0f} dBFS (RMS), and 98 of 100 recordings in training had {heard[0]:.0f} to "
            f"{heard[2]:.0f}."
        )
    return found
