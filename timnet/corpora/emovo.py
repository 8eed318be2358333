"""EMOVO, Italian emotional speech: six actors, fourteen sentences, seven emotions (Costantini et al., 2014).

File names: `f1/dis-f1-b1.wav` is emotion dis (dis disgusto/disgust, gio gioia/happiness, neu neutral, pau paura/fear,
rab rabbia/anger, sor sorpresa/surprise, tri tristezza/sadness), speaker f1 (f1 f2 f3 m1 m2 m3), sentence b1.

    f1/dis-f1-b1.wav -> f1/dis-f1-b1, speaker f1, sentence b1, disgust

588 recordings = 6 speakers x 7 emotions x 14 sentences, 48 kHz, stereo but for one. Source: Fondazione Ugo Bordoni,
voice.fub.it, which also states the licence.
"""

import re

from timnet.corpora.base import Corpus, Found, Problem, Source, Utterance
from timnet.corpora.naming import by_name, stem, unknown_label, unrecognised

EMOTIONS = {
    "dis": "disgust",
    "gio": "happy",
    "neu": "neutral",
    "pau": "fear",
    "rab": "angry",
    "sor": "surprise",
    "tri": "sad",
}
SPEAKERS = ("f1", "f2", "f3", "m1", "m2", "m3")
LABELS = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
RULE = (
    "EMOVO names its files <emotion: 3 letters>-<speaker>-<sentence>, in a folder a speaker, such as f1/dis-f1-b1.wav."
)

_NAME = re.compile(r"([a-z]{3})-([a-z]\d)-([a-z]\d+)")


def parse(path: str) -> Utterance | Problem:
    match = _NAME.fullmatch(stem(path))
    if match is None:
        return unrecognised(path, "its name does not follow the rule", RULE)
    code, speaker, sentence = match.groups()
    if speaker not in SPEAKERS:
        return unrecognised(path, f"there is no speaker {speaker}, only {', '.join(SPEAKERS)}", RULE)
    folder = path.lower().split("/")[-2:-1]
    if folder and folder[0] in SPEAKERS and folder[0] != speaker:
        return unrecognised(path, f"its folder says speaker {folder[0]} and its name {speaker}", RULE)
    if code not in EMOTIONS:
        return unknown_label(path, code, EMOTIONS)
    return Utterance(path, EMOTIONS[code], speaker=speaker, sentence=sentence)


def find(source: Source) -> Found:
    return by_name(source, parse)


CORPUS = Corpus(
    name="EMOVO",
    title="EMOVO: 6 actors, 14 Italian sentences, acted (Costantini et al., 2014)",
    language="Italian",
    labels=LABELS,
    find=find,
    mean_signal_length=96_000,
    licence="terms of the Fondazione Ugo Bordoni",
    source="voice.fub.it",
    how_to_get=(
        "Open http://voice.fub.it/activities/corpora/emovo/index.html, read the terms of the Fondazione Ugo Bordoni, and "
        "download the corpus from there.",
    ),
    example="f1/dis-f1-b1.wav -> f1/dis-f1-b1, speaker f1, sentence b1, disgust",
    counts=dict.fromkeys(LABELS, 84),
    n_speakers=6,
    published_seed=1,
    quirks=("Recorded in stereo, but one recording is mono.",),
)
