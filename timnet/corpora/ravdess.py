"""RAVDESS, the speech of the Ryerson Audio-Visual Database of Emotional Speech and Song (Livingstone & Russo, 2018).

File names: `Actor_01/03-01-05-02-01-01-01.wav`, two digits each: modality (03 audio only), vocal channel (01 speech),
emotion (01 neutral 02 calm 03 happy 04 sad 05 angry 06 fear 07 disgust 08 surprise), intensity (01 normal 02 strong),
sentence (01 02), repetition (01 02), actor (01 to 24, odd numbers are men). The folders may lie in another one, such as
`Audio_Speech_Actors_01-24`.

    Actor_01/03-01-05-02-01-01-01.wav -> Actor_01/03-01-05-02-01-01-01, speaker 01, sentence 01, angry

1440 recordings, 48 kHz, mono but for five in stereo. Two files of Actor_07 are identical, byte for byte:
03-01-03-01-02-01-07 and 03-01-03-01-02-02-07. Song and the sound of the videos are not part of it and are left out.
Licence: CC BY-NC-SA 4.0. Source: Zenodo record 1188976, Audio_Speech_Actors_01-24.zip, 208 468 073 bytes, md5
bc696df654c87fed845eb13823edef8a
"""

import re

from timnet.corpora.base import Corpus, Download, Found, Problem, Source, Utterance
from timnet.corpora.naming import by_name, stem, unknown_label, unrecognised

ARCHIVE = Download(
    "https://zenodo.org/records/1188976/files/Audio_Speech_Actors_01-24.zip",
    n_bytes=208_468_073,
    md5="bc696df654c87fed845eb13823edef8a",
    terms="no commercial use; name the authors; what you make of it is under the same licence",
)
EMOTIONS = {
    "01": "neutral",
    "02": "calm",
    "03": "happy",
    "04": "sad",
    "05": "angry",
    "06": "fear",
    "07": "disgust",
    "08": "surprise",
}
LABELS = ("angry", "calm", "disgust", "fear", "happy", "neutral", "sad", "surprise")
N_ACTORS = 24
RULE = (
    "RAVDESS names its files <modality>-<channel>-<emotion>-<intensity>-<sentence>-<repetition>-<actor>, two digits "
    "each, in a folder an actor, such as Actor_01/03-01-05-02-01-01-01.wav."
)

_NAME = re.compile(r"(0[123])-(0[12])-(\d\d)-(0[12])-(0[12])-(0[12])-(\d\d)")
_FOLDER = re.compile(r"actor_(\d\d)")


def parse(path: str) -> Utterance | Problem | None:
    match = _NAME.fullmatch(stem(path))
    if match is None:
        return unrecognised(path, "its name does not follow the rule", RULE)
    modality, channel, code, _intensity, sentence, _repetition, actor = match.groups()
    if (modality, channel) != ("03", "01"):
        return None
    if not 1 <= int(actor) <= N_ACTORS:
        return unrecognised(path, f"there is no actor {actor}, only 01 to {N_ACTORS}", RULE)
    folder = _FOLDER.fullmatch(path.lower().split("/")[-2]) if "/" in path else None
    if folder and folder[1] != actor:
        return unrecognised(path, f"its folder says actor {folder[1]} and its name {actor}", RULE)
    if code not in EMOTIONS:
        return unknown_label(path, code, EMOTIONS)
    return Utterance(path, EMOTIONS[code], speaker=actor, sentence=sentence)


def find(source: Source) -> Found:
    return by_name(source, parse, left_out="recordings of song or out of the videos")


CORPUS = Corpus(
    name="RAVDESS",
    title="RAVDESS, the speech: 24 actors, 2 English sentences, acted (Livingstone & Russo, 2018)",
    language="English (North American)",
    labels=LABELS,
    find=find,
    mean_signal_length=110_000,
    licence="CC BY-NC-SA 4.0",
    source="Zenodo record 1188976, https://zenodo.org/records/1188976, Audio_Speech_Actors_01-24.zip "
    "(208 468 073 bytes, md5 bc696df654c87fed845eb13823edef8a)",
    how_to_get=(
        "Open https://zenodo.org/records/1188976 and download Audio_Speech_Actors_01-24.zip; nobody has to register.",
    ),
    download=ARCHIVE,
    example="Actor_01/03-01-05-02-01-01-01.wav -> Actor_01/03-01-05-02-01-01-01, speaker 01, sentence 01, angry",
    counts={**dict.fromkeys(LABELS, 192), "neutral": 96},
    n_speakers=N_ACTORS,
    published_seed=46,
    quirks=(
        "Two files are identical, byte for byte: 03-01-03-01-02-01-07 and 03-01-03-01-02-02-07 of Actor_07.",
        "Five files are stereo.",
    ),
)
