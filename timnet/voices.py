"""The synthetic voices of DEMO: who speaks, and what an emotion does to a voice.

The directions follow the reviews of Murray & Arnott (1993, "Toward the simulation of emotion in synthetic speech",
JASA 93) and Juslin & Laukka (2003, "Communication of emotions in vocal expression and music performance",
Psychological Bulletin 129). The sizes are ours, chosen so that a recogniser can learn the task but not without error.
"""

import math
from dataclasses import dataclass

import numpy as np

from timnet.synthesis import Delivery


@dataclass(frozen=True)
class Speaker:
    """A voice; what the numbers are, `Delivery` says."""

    f0_hz: float
    tract_scale: float
    rate: float
    breath: float
    tilt_hz: float
    microphone_db: float  # how loud the recordings are
    expression: float  # 1: as the table of emotions says; less: reserved


SPEAKERS = {
    "s01": Speaker(108, 1.00, 1.00, 0.05, 1500, 0.0, 1.00),
    "s02": Speaker(205, 1.16, 1.05, 0.09, 1400, -1.5, 1.10),
    "s03": Speaker(124, 1.03, 0.94, 0.04, 1800, 2.0, 0.90),
    "s04": Speaker(188, 1.13, 0.97, 0.10, 1300, 1.0, 0.95),
    "s05": Speaker(96, 0.97, 0.93, 0.08, 1350, -2.0, 1.15),
    "s06": Speaker(222, 1.18, 1.06, 0.05, 1700, 2.0, 1.00),
    "s07": Speaker(138, 1.05, 1.05, 0.09, 1400, -1.0, 1.10),
    "s08": Speaker(236, 1.15, 0.96, 0.07, 1600, 0.5, 0.90),
    "s09": Speaker(116, 0.98, 1.03, 0.06, 1700, 1.5, 1.15),
    "s10": Speaker(260, 1.22, 1.07, 0.08, 1500, -1.0, 1.05),  # a child
    "s11": Speaker(103, 1.02, 0.98, 0.10, 1400, 1.5, 1.00),
    "s12": Speaker(196, 1.16, 1.02, 0.06, 1750, -2.0, 1.00),
    "s13": Speaker(129, 0.98, 1.04, 0.07, 1450, -0.5, 1.05),
    "s14": Speaker(214, 1.12, 0.95, 0.09, 1450, 1.0, 1.10),
    "s15": Speaker(248, 1.20, 1.03, 0.06, 1600, 0.0, 0.95),  # a child
}


@dataclass(frozen=True)
class Change:
    """What an emotion changes, in units in which changes add up: 0 is as in neutral speech.

    Where nothing else is said, the natural logarithm of a ratio: 0.10 is about 10 % more.
    """

    f0_st: float = 0.0  # semitones
    f0_range: float = 0.0
    f0_final_st: float = 0.0  # semitones
    formants: float = 0.0  # smiling lips shorten the vocal tract
    articulation: float = 0.0
    rate: float = 0.0
    level_db: float = 0.0  # decibels
    emphasis_db: float = 0.0  # decibels
    brightness: float = 0.0
    breath: float = 0.0
    openness: float = 0.0  # of the glottis: less in a pressed voice
    roughness: float = 0.0  # jitter and shimmer


EMOTIONS = {
    "angry": Change(
        f0_st=3.5,
        f0_range=0.25,
        f0_final_st=-1.5,
        formants=-0.03,
        articulation=0.12,
        rate=0.15,
        level_db=3.0,
        emphasis_db=2.0,
        brightness=0.65,
        breath=-0.3,
        openness=-0.3,
        roughness=0.5,
    ),
    "happy": Change(
        f0_st=6.0,
        f0_range=0.5,
        f0_final_st=2.5,
        formants=0.09,
        articulation=0.10,
        rate=0.10,
        level_db=1.5,
        emphasis_db=1.0,
        brightness=0.35,
        breath=0.8,
        openness=0.1,
    ),
    "neutral": Change(),
    "sad": Change(
        f0_st=-1.0,
        f0_range=-0.5,
        f0_final_st=-2.0,
        formants=-0.02,
        articulation=-0.25,
        rate=-0.18,
        level_db=-2.0,
        emphasis_db=-1.0,
        brightness=-0.4,
        breath=0.5,
        openness=0.1,
        roughness=0.2,
    ),
}
SPREAD = Change(  # how far utterances of one emotion lie apart (sd)
    f0_st=0.9,
    f0_range=0.13,
    f0_final_st=0.9,
    formants=0.009,
    articulation=0.045,
    rate=0.045,
    level_db=1.2,
    emphasis_db=0.5,
    brightness=0.14,
    breath=0.18,
    openness=0.05,
    roughness=0.2,
)
HABIT = 0.25  # part of that variance by which a speaker's way to show an emotion differs from other speakers'
STRENGTH_SD = 0.2  # how much more or less than usual a speaker shows of the emotion


def expressed(speaker: Speaker, emotion: str, habits: np.random.Generator, rng: np.random.Generator) -> Change:
    """The emotion as a speaker shows it this time: `habits` are the same in all of the speaker's utterances of it."""
    usual, spread = (np.array(list(vars(row).values())) for row in (EMOTIONS[emotion], SPREAD))
    habit, chance = habits.standard_normal(len(spread)), rng.standard_normal(len(spread))
    deviation = spread * (math.sqrt(HABIT) * habit + math.sqrt(1 - HABIT) * chance)
    strength = speaker.expression * rng.normal(1, STRENGTH_SD)
    return Change(*(strength * usual + deviation).tolist())


def delivery(speaker: Speaker, change: Change) -> Delivery:
    """How the speaker sounds with the change."""
    return Delivery(
        f0_hz=speaker.f0_hz * 2 ** (change.f0_st / 12),
        f0_range=math.exp(change.f0_range),
        f0_final_st=change.f0_final_st,
        tract_scale=speaker.tract_scale * math.exp(change.formants),
        articulation=math.exp(change.articulation),
        rate=speaker.rate * math.exp(change.rate),
        level_db=change.level_db,
        emphasis_db=max(2.0 + change.emphasis_db, 0.0),
        tilt_hz=speaker.tilt_hz * math.exp(change.brightness),
        breath=speaker.breath * math.exp(change.breath),
        open_quotient=min(0.6 * math.exp(change.openness), 0.9),
        jitter=0.008 * math.exp(change.roughness),
        shimmer=0.04 * math.exp(change.roughness),
    )
