"""CASIA, the Chinese emotional corpus of the Institute of Automation, Chinese Academy of Sciences.

File names: `liuchanhg/angry/201.wav` is speaker liuchanhg (liuchanhg wangzhe zhaoquanyin ZhaoZuoxiang), emotion angry,
sentence 201 (201 to 250, the same text for every speaker and emotion).

    liuchanhg/angry/201.wav -> liuchanhg/angry/201, speaker liuchanhg, sentence 201, angry

1200 recordings = 4 speakers x 6 emotions x 50 sentences, 16 kHz. Licence: by agreement. Source: chineseldc.org
The published order inside an emotion is by number first and then by speaker in lower case (measured on the published
features): 201 of liuchanhg, 201 of wangzhe, 201 of zhaoquanyin, 201 of ZhaoZuoxiang, 202 of liuchanhg …
"""

from timnet.corpora.base import Corpus, Found, Problem, Source, Utterance
from timnet.corpora.naming import by_name, stem, unknown_label, unrecognised

LABELS = ("angry", "fear", "happy", "neutral", "sad", "surprise")
SPEAKERS = {name.lower(): name for name in ("liuchanhg", "wangzhe", "zhaoquanyin", "ZhaoZuoxiang")}
SENTENCES = range(201, 251)
RULE = "CASIA names its files <speaker>/<emotion>/<sentence: 201 to 250>, such as liuchanhg/angry/201.wav."


def parse(path: str) -> Utterance | Problem:
    parts = path.lower().split("/")
    number = stem(path)
    if len(parts) < 3:
        return unrecognised(path, "it does not lie in a folder of an emotion in a folder of a speaker", RULE)
    speaker, emotion = parts[-3], parts[-2]
    if speaker not in SPEAKERS:
        return unrecognised(path, f"there is no speaker {speaker!r}, only {', '.join(SPEAKERS.values())}", RULE)
    if not (number.isascii() and number.isdigit() and int(number) in SENTENCES):
        return unrecognised(path, f"there is no sentence {number!r}", RULE)
    if emotion not in LABELS:
        return unknown_label(path, emotion, dict(zip(LABELS, LABELS, strict=True)))
    return Utterance(path, emotion, speaker=SPEAKERS[speaker], sentence=str(int(number)))


def published_order(utterance: Utterance) -> tuple[int, str]:
    """Number first, then speaker in lower case."""
    return int(utterance.sentence or 0), (utterance.speaker or "").lower()


def find(source: Source) -> Found:
    return by_name(source, parse)


CORPUS = Corpus(
    name="CASIA",
    title="CASIA Chinese emotional corpus: 4 speakers, 50 Mandarin sentences, acted (Institute of Automation, CAS)",
    language="Mandarin Chinese",
    labels=LABELS,
    find=find,
    mean_signal_length=88_000,
    licence="by agreement",
    source="chineseldc.org",
    how_to_get=(
        "Open chineseldc.org (the Chinese Linguistic Data Consortium) and look for the CASIA Chinese emotional corpus of the "
        "Institute of Automation.",
        "Get it under its agreement. Used here are 1200 recordings of it: 4 speakers, 6 emotions, the sentences 201 to 250.",
    ),
    example="liuchanhg/angry/201.wav -> liuchanhg/angry/201, speaker liuchanhg, sentence 201, angry",
    counts=dict.fromkeys(LABELS, 200),
    n_speakers=4,
    published_seed=32,
    order_key=published_order,
    quirks=("The published order inside an emotion is by sentence number, then by speaker.",),
)
