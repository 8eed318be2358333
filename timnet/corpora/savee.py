"""SAVEE, Surrey Audio-Visual Expressed Emotion: four British men, TIMIT sentences, seven emotions (Haq & Jackson).

File names: `AudioData/DC/sa01.wav`, as distributed, or flat, `DC_sa01.wav`, as in copies that go round: speaker DC (DC
JE JK KL), emotion sa (a anger, d disgust, f fear, h happiness, n neutral, sa sadness, su surprise), number 01 (01 to
15, neutral to 30).

    AudioData/DC/sa01.wav -> AudioData/DC/sa01, speaker DC, sentence unknown, sad

480 recordings, 44.1 kHz. Registration. Source: http://kahlan.eps.surrey.ac.uk/savee/

Sentence: unknown. Every emotion has 3 sentences that all emotions have, 2 of its own that neutral has too, and 10
others, but no file name says which numbers these are. An id made of emotion and number would call equal texts
different, and protocols that keep sentences apart would promise what they do not keep; so there is none, and they
refuse SAVEE.

The published order inside an emotion is taken to be the natural sort of the flat names, speaker first, in both layouts.
"""

import re
from collections.abc import Hashable

from timnet.corpora.base import Corpus, Found, Problem, Source, Utterance
from timnet.corpora.naming import by_name, stem, unknown_label, unrecognised

EMOTIONS = {
    "a": "angry",
    "d": "disgust",
    "f": "fear",
    "h": "happy",
    "n": "neutral",
    "sa": "sad",
    "su": "surprise",
}
LABELS = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
SPEAKERS = ("DC", "JE", "JK", "KL")
N_SENTENCES = 15  # of each emotion but neutral, which has twice as many
RULE = (
    "SAVEE names its files <speaker>/<emotion><number> or <speaker>_<emotion><number>, such as DC/sa01.wav or "
    f"DC_sa01.wav; speakers are {', '.join(SPEAKERS)}, numbers 01 to {N_SENTENCES}, for neutral to {2 * N_SENTENCES}."
)

_NAME = re.compile(r"(?:([a-z]{2})_)?([a-z]{1,2})(\d\d)")


def parse(path: str) -> Utterance | Problem:
    match = _NAME.fullmatch(stem(path))
    if match is None:
        return unrecognised(path, "its name does not follow the rule", RULE)
    prefix, code, number = match.groups()
    folder = path.upper().split("/")[-2] if "/" in path else ""
    speaker = prefix.upper() if prefix else folder
    if speaker not in SPEAKERS:
        return unrecognised(path, f"neither its name nor its folder says a speaker, {speaker!r} is none", RULE)
    if folder in SPEAKERS and folder != speaker:
        return unrecognised(path, f"its folder says speaker {folder} and its name {speaker}", RULE)
    if code not in EMOTIONS:
        return unknown_label(path, code, EMOTIONS)
    if not 1 <= int(number) <= N_SENTENCES * (2 if code == "n" else 1):
        return unrecognised(path, f"there is no number {number} of {EMOTIONS[code]}", RULE)
    return Utterance(path, EMOTIONS[code], speaker=speaker)


def published_order(utterance: Utterance) -> tuple[str, int]:
    """That of the flat names: inside an emotion by speaker, then by number."""
    return utterance.speaker or "", int(stem(utterance.path)[-2:])


def _identity(utterance: Utterance) -> Hashable:
    """One in both layouts, should both be there."""
    return utterance.emotion, *published_order(utterance)


def find(source: Source) -> Found:
    return by_name(source, parse, identity=_identity)


CORPUS = Corpus(
    name="SAVEE",
    title="Surrey Audio-Visual Expressed Emotion: 4 men, TIMIT sentences, acted (Haq & Jackson)",
    language="English (British)",
    labels=LABELS,
    find=find,
    mean_signal_length=130_000,
    licence="registration with the University of Surrey",
    source="http://kahlan.eps.surrey.ac.uk/savee/",
    how_to_get=(
        "Open http://kahlan.eps.surrey.ac.uk/savee/Download.html and register.",
        "Log in with what the University of Surrey sends you, and download the audio (AudioData).",
    ),
    example="AudioData/DC/sa01.wav -> AudioData/DC/sa01, speaker DC, sentence unknown, sad",
    counts={**dict.fromkeys(LABELS, 60), "neutral": 120},
    n_speakers=len(SPEAKERS),
    published_seed=44,
    order_key=published_order,
    quirks=("File names do not say which sentence is spoken: protocols that keep sentences apart refuse it.",),
)
