"""EMODB, the Berlin Database of Emotional Speech: ten actors, ten German sentences (Burkhardt et al., 2005).

File names: `wav/03a01Fa.wav` is speaker 03, sentence a01, emotion F (German initials: W Wut/anger, L Langeweile/
boredom, E Ekel/disgust, A Angst/fear, F Freude/happiness, N neutral, T Trauer/sadness), take a. With or without the
folder `wav`.

    wav/03a01Fa.wav -> wav/03a01Fa, speaker 03, sentence a01, happy

535 recordings, 16 kHz, mono, 1.23 to 8.98 s. Licence: CC0. Source: http://emodb.bilderbar.info/download/download.zip
Its publisher states neither size nor checksum of that archive; what can be verified is what is in it.
EmoDB 2.0, with 816 recordings, is another corpus.
"""

import re

from timnet.corpora.base import Corpus, Download, Found, Problem, Source, Utterance
from timnet.corpora.naming import by_name, stem, unknown_label, unrecognised

ARCHIVE = "http://emodb.bilderbar.info/download/download.zip"
EMOTIONS = {
    "W": "angry",
    "L": "boredom",
    "E": "disgust",
    "A": "fear",
    "F": "happy",
    "N": "neutral",
    "T": "sad",
}
SPEAKERS = ("03", "08", "09", "10", "11", "12", "13", "14", "15", "16")
RULE = (
    "EMODB names its files <speaker: 2 digits><sentence: a or b and 2 digits><emotion: a letter><take: a letter>, "
    "such as 03a01Fa.wav."
)

_NAME = re.compile(r"(\d\d)([ab]\d\d)([a-z])([a-z])")


def parse(path: str) -> Utterance | Problem:
    match = _NAME.fullmatch(stem(path))
    if match is None:
        return unrecognised(path, "its name does not follow the rule", RULE)
    speaker, sentence, code, _take = match.groups()
    if speaker not in SPEAKERS:
        return unrecognised(path, f"there is no speaker {speaker}, only {', '.join(SPEAKERS)}", RULE)
    if code.upper() not in EMOTIONS:
        return unknown_label(path, code.upper(), EMOTIONS)
    return Utterance(path, EMOTIONS[code.upper()], speaker=speaker, sentence=sentence)


def find(source: Source) -> Found:
    return by_name(source, parse)


CORPUS = Corpus(
    name="EMODB",
    title="Berlin Database of Emotional Speech: 10 actors, 10 German sentences, acted (Burkhardt et al., 2005)",
    language="German",
    labels=("angry", "boredom", "disgust", "fear", "happy", "neutral", "sad"),
    find=find,
    mean_signal_length=96_000,
    licence="CC0",
    source=ARCHIVE,
    how_to_get=(f"Download {ARCHIVE}; nobody has to register.",),
    download=Download(ARCHIVE),
    example="wav/03a01Fa.wav -> wav/03a01Fa, speaker 03, sentence a01, happy",
    counts={"angry": 127, "boredom": 81, "disgust": 46, "fear": 69, "happy": 71, "neutral": 79, "sad": 62},
    n_speakers=10,
    published_seed=46,
    quirks=("EmoDB 2.0, with 816 recordings, is another corpus.",),
)
