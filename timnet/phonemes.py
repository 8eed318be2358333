"""The phonemes of the synthetic voices: how long each lasts, where its formants are, and what sounds in it.

Formants of the vowels are those of the men of Peterson & Barney (1952, "Control methods used in a study of the vowels",
JASA 24). The other numbers are rounded from the tables of Klatt (1980, "Software for a cascade/parallel formant
synthesizer", JASA 67) and made to sound distinct, not to imitate anybody.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Segment:
    """A stretch of speech with one target of the vocal tract; a phoneme is one or two of them."""

    duration_s: float
    formants_hz: tuple[float, float, float]
    voiced: float = 0.0  # amplitudes from 0 to 1
    aspirated: float = 0.0
    hiss: float = 0.0
    hiss_hz: float = 0.0  # centre of the band of the hiss
    nasal: float = 0.0  # 1: the nose is open
    is_vowel: bool = False


def _vowel(f1_hz: float, f2_hz: float, f3_hz: float) -> tuple[Segment, ...]:
    return (Segment(0.085, (f1_hz, f2_hz, f3_hz), voiced=1.0, is_vowel=True),)


def _nasal(f1_hz: float, f2_hz: float, f3_hz: float) -> tuple[Segment, ...]:
    return (Segment(0.065, (f1_hz, f2_hz, f3_hz), voiced=0.5, nasal=1.0),)


def _glide(f1_hz: float, f2_hz: float, f3_hz: float) -> tuple[Segment, ...]:
    return (Segment(0.06, (f1_hz, f2_hz, f3_hz), voiced=0.65),)


def _fricative(hiss_hz: float, hiss: float, voiced: float = 0.0) -> tuple[Segment, ...]:
    return (Segment(0.095, (320, 1400, 2530), voiced=voiced, hiss=hiss, hiss_hz=hiss_hz),)


def _stop(formants_hz: tuple[float, float, float], burst_hz: float, voiced: bool) -> tuple[Segment, ...]:
    closed = Segment(0.05, formants_hz, voiced=0.12 if voiced else 0.0)
    breath = 0.1 if voiced else 0.8
    return closed, Segment(0.02 if voiced else 0.035, formants_hz, aspirated=breath, hiss=0.7, hiss_hz=burst_hz)


PHONEMES: dict[str, tuple[Segment, ...]] = {
    "i": _vowel(270, 2290, 3010),
    "e": _vowel(530, 1840, 2480),
    "a": _vowel(730, 1090, 2440),
    "o": _vowel(570, 840, 2410),
    "u": _vowel(300, 870, 2240),
    "m": _nasal(270, 1100, 2130),
    "n": _nasal(270, 1450, 2400),
    "l": _glide(310, 1050, 2880),
    "j": _glide(260, 2070, 3020),
    "w": _glide(290, 610, 2150),
    "s": _fricative(5600, 1.0),
    "S": _fricative(3100, 1.0),
    "f": _fricative(6500, 0.25),
    "z": _fricative(5600, 0.6, voiced=0.5),
    "p": _stop((320, 900, 2150), 900, voiced=False),
    "t": _stop((320, 1600, 2600), 4200, voiced=False),
    "k": _stop((320, 1900, 2400), 2000, voiced=False),
    "b": _stop((250, 900, 2150), 800, voiced=True),
    "d": _stop((250, 1600, 2600), 3800, voiced=True),
    "g": _stop((250, 1900, 2400), 1900, voiced=True),
}
