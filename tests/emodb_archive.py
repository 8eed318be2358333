"""An archive as EMODB's publisher has it, but with noise of a tenth of a second for every recording."""

import io
import zipfile

import numpy as np
import soundfile

from timnet.corpora import get
from timnet.corpora.emodb import EMOTIONS, SPEAKERS

SENTENCES = ("a01", "a02", "a04", "a05", "a07", "b01", "b02", "b03", "b09", "b10")
RATE_HZ = 4000


def recording(seed: int) -> bytes:
    file = io.BytesIO()
    noise = 0.1 * np.random.default_rng(seed).normal(size=RATE_HZ // 8)
    soundfile.write(file, noise, RATE_HZ, format="WAV", subtype="PCM_16")
    return file.getvalue()


def recordings() -> dict[str, bytes]:
    """Path in the archive -> bytes, as many of each emotion as EMODB has."""
    counts = get("EMODB").counts
    made = {}
    for code, emotion in EMOTIONS.items():
        for n in range(counts[emotion]):
            take, rest = divmod(n, len(SPEAKERS) * len(SENTENCES))
            sentence, speaker = divmod(rest, len(SPEAKERS))
            made[f"wav/{SPEAKERS[speaker]}{SENTENCES[sentence]}{code}{'ab'[take]}.wav"] = recording(len(made))
    return made


def archive(files: dict[str, bytes]) -> bytes:
    """A ZIP archive with the label files and lists that lie beside the recordings."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, data in {**files, "lablaut/03a01Fa.lablaut": b"x", "erkennung.txt": b"Satz erkannt\n"}.items():
            opened.writestr(name, data)
    return file.getvalue()
