"""DEMO, the built-in corpus: SYNTHETIC emotional speech, made by this program so that everything can be tried at once.

Fifteen voices say four nonsense sentences in four emotions: 240 utterances of 0.9 to 1.9 s. Nobody was recorded:
results on it show that the pipeline works and say nothing about emotion in people. Emotions overlap, and every voice
has habits of its own, so nothing tells them apart without error; nor should it, for a task without errors shows none.

File names: `s01/s01_t3_angry.wav` is speaker s01, sentence (text) t3, angry.

    s01/s01_t3_angry.wav -> s01/s01_t3_angry, speaker s01, sentence t3, angry

16 kHz, mono, 16 bit. `timnet.voices` says how the voices and the emotions differ, `timnet.synthesis` makes them sound.
"""

import io
import re
import wave
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from timnet.config import identity
from timnet.corpora.base import Corpus, Found, Problem, Source, Utterance
from timnet.corpora.naming import by_name, stem, unknown_label, unrecognised
from timnet.phonemes import PHONEMES
from timnet.synthesis import RATE_HZ, speak
from timnet.voices import EMOTIONS, HABIT, SPEAKERS, SPREAD, STRENGTH_SD, delivery, expressed

if TYPE_CHECKING:
    from timnet.store import Store

# Raise when the code here, in voices.py or in synthesis.py makes other samples; the tables count by themselves.
DEMO_VERSION = 1

NOTE = "DEMO is synthetic speech made by timnet: its results show that the pipeline works and say nothing about people."
RULE = "DEMO names its files <speaker>/<speaker>_<sentence>_<emotion>.wav, such as s01/s01_t3_angry.wav."

GAIN = 0.05  # neutral speech comes to about 30 dB below full scale, loud vowels near to it
ROOM_LEVEL = 0.0005  # noise of the room, -66 dB

_NAME = re.compile(r"(s\d\d)_(t\d)_([a-z]+)")

SENTENCES = {
    "t1": "nek'alib'amus'und",
    "t2": "wol'ubat'enisk'o",
    "t3": "fim'odagul'epS'a",
    "t4": "jas'unilot'akem",
}


def generate() -> Iterator[tuple[str, bytes]]:
    """Every file of the corpus, as (path relative to its root, bytes of a WAV), the same in every run and process."""
    for speaker in SPEAKERS:
        for sentence in SENTENCES:
            for emotion in EMOTIONS:
                samples = utterance(speaker, sentence, emotion)
                yield f"{speaker}/{speaker}_{sentence}_{emotion}.wav", _wav(samples)


def utterance(speaker: str, sentence: str, emotion: str) -> np.ndarray:
    """One utterance: (n_samples,) int16 at 16 kHz. It follows from the three names and DEMO_VERSION alone."""
    rng = _rng(speaker, sentence, emotion)
    change = expressed(SPEAKERS[speaker], emotion, _rng(speaker, emotion), rng)
    speech = speak(SENTENCES[sentence], delivery(SPEAKERS[speaker], change), rng)
    pauses = rng.uniform(0.03, 0.12, 2) * RATE_HZ
    speech = np.pad(speech, pauses.astype(int))
    room = ROOM_LEVEL * rng.standard_normal(len(speech))
    gain = GAIN * 10 ** (SPEAKERS[speaker].microphone_db / 20)
    return np.rint(32_767 * np.tanh(gain * speech + room)).astype(np.int16)  # tanh: shouting overloads, but softly


def _rng(*names: str) -> np.random.Generator:
    """Random numbers that belong to names, in whatever order and process they are asked for."""
    return np.random.default_rng(np.random.SeedSequence([DEMO_VERSION, *"/".join(names).encode()]))


def _wav(samples: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(samples.astype("<i2").tobytes())
    return buffer.getvalue()


def key() -> str:
    """A short name for everything the corpus is made from."""
    return identity(DEMO_VERSION, SPEAKERS, SENTENCES, EMOTIONS, SPREAD, HABIT, STRENGTH_SD, PHONEMES)


def folder() -> str:
    """Where the corpus lies in a store, relative to its root."""
    return f"corpora/DEMO-{key()}"


def write(store: "Store") -> str:
    """Make the corpus in the store unless it is there already; returns its folder, relative to the store's root."""
    target = folder()
    if not store.is_done(target):
        # writing waits for the disk or the network: eight files at a time
        with ThreadPoolExecutor(8) as pool:
            written = list(pool.map(lambda file: store.write_bytes(f"{target}/{file[0]}", file[1]), generate()))
        facts = {"corpus": "DEMO", "synthetic": True, "version": DEMO_VERSION, "n_utterances": len(written)}
        store.mark_done(target, facts)
    return target


def parse(path: str) -> Utterance | Problem:
    match = _NAME.fullmatch(stem(path))
    if match is None:
        return unrecognised(path, "its name does not follow the rule", RULE)
    speaker, sentence, emotion = match.groups()
    for kind, name, allowed in (("speaker", speaker, SPEAKERS), ("sentence", sentence, SENTENCES)):
        if name not in allowed:
            return unrecognised(path, f"there is no {kind} {name}, only {', '.join(allowed)}", RULE)
    if emotion not in EMOTIONS:
        return unknown_label(path, emotion, {label: label for label in EMOTIONS})
    return Utterance(path, emotion, speaker=speaker, sentence=sentence)


def find(source: Source) -> Found:
    found = by_name(source, parse)
    return Found(found.utterances, found.problems, (NOTE, *found.notes))


CORPUS = Corpus(
    name="DEMO",
    title=f"SYNTHETIC speech: {len(SPEAKERS)} computed voices, {len(SENTENCES)} nonsense sentences, nobody recorded",
    language="none (nonsense)",
    labels=tuple(EMOTIONS),
    find=find,
    mean_signal_length=31_744,  # 1.44 s, 63 frames: few, so that training is fast; one utterance in five is longer
    licence="CC0: made by this program",
    source="timnet itself, which makes it when a run needs it",
    example="s01/s01_t3_angry.wav -> s01/s01_t3_angry, speaker s01, sentence t3, angry",
    counts=dict.fromkeys(EMOTIONS, len(SPEAKERS) * len(SENTENCES)),
    n_speakers=len(SPEAKERS),
    n_folds=5,
    recipe="demo",
    n_tabs=5,  # kernels of 2 with dilations up to 16, twice each, see 63 frames: the whole utterance
    published=False,
    synthetic=True,
    quirks=(NOTE,),
)
