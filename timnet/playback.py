"""The recordings of a stored run, found again and made fit for a browser to play."""

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from timnet import audio
from timnet.corpora.base import Source
from timnet.errors import AudioError, ConfigError, CorpusError
from timnet.plan import locate
from timnet.store import Store

# (format, subtype) as libsndfile calls them -> content type. Browsers play these; None stands for every subtype.
_PLAYED: dict[tuple[str, str | None], str] = {
    **{
        (container, subtype): "audio/wav"
        for container in ("WAV", "WAVEX")
        for subtype in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT")
    },
    ("FLAC", None): "audio/flac",
    ("MP3", None): "audio/mpeg",
    ("OGG", "VORBIS"): "audio/ogg",
    ("OGG", "OPUS"): "audio/ogg",
}


@dataclass(frozen=True)
class Sound:
    """A recording as it lies there now."""

    data: bytes  # as a browser plays it
    content_type: str
    samples: np.ndarray  # mono, float32 (n_samples,)
    sample_rate_hz: int
    converted_from: str | None  # the format of the file, where browsers do not play that
    changed: bool  # another recording than the one that was scanned

    @property
    def duration_s(self) -> float:
        return len(self.samples) / self.sample_rate_hz


class Recordings:
    """Reads the recordings of a run from where it found them, or from another data root."""

    def __init__(self, store: Store, run: Mapping[str, Any], data_root: str | None = None):
        self._store = store
        self._of_run = data_root is None
        self._data_root = data_root or run["settings"].get("data_root")
        self._sources: dict[str, Source] = {}

    def sound(self, corpus: str, joint: bool, facts: Mapping[str, Any]) -> Sound:
        """The recording of a row of the corpus's manifest; in a joint corpus the row's path begins with its own corpus.

        Raises CorpusError or ConfigError where it is not there, AudioError where it cannot be decoded, and StoreError
        where S3 does not answer.
        """
        source, path = self._of(corpus, joint, facts)
        try:
            data = source.read_bytes(path)
        except OSError as error:  # such as a folder of that name, or a file that may not be read
            raise CorpusError(f"{path} cannot be read: {error.strerror or error}.") from error
        samples, sample_rate_hz = audio.read(data, path)
        played, content_type, converted_from = playable(data, path)
        changed = audio.sha256(samples, sample_rate_hz) != facts["audio_sha256"]
        return Sound(played, content_type, samples, sample_rate_hz, converted_from, changed)

    def is_there(self, corpus: str, joint: bool, facts: Mapping[str, Any]) -> bool:
        """Whether there is a file for `sound` to read; raises like it, but for what is in the file."""
        source, path = self._of(corpus, joint, facts)
        return source.is_file(path)

    def _of(self, corpus: str, joint: bool, facts: Mapping[str, Any]) -> tuple[Source, str]:
        name, _, path = facts["path"].partition("/") if joint else (corpus, "", facts["path"])
        return self._source(name), path

    def locate(self, corpora: Iterable[str]) -> None:
        """Raises CorpusError or ConfigError where a corpus of that name cannot be found, and StoreError like `sound`."""
        for name in corpora:
            self._source(name)

    def _source(self, name: str) -> Source:
        if name not in self._sources:  # what is not there may come, so only what was found is kept
            if self._data_root is None and name != "DEMO":
                raise ConfigError(f"The run does not say where the recordings of {name} lie. Give --data-root DIR.")
            try:
                _, self._sources[name] = locate(name, self._data_root, self._store)
            except (ConfigError, CorpusError) as error:
                if self._of_run and name != "DEMO":
                    raise CorpusError(
                        f"{error} That is what the run noted; say where they are now with --data-root DIR."
                    ) from error
                raise
        return self._sources[name]


def playable(data: bytes, name: str) -> tuple[bytes, str, str | None]:
    """A recording as browsers play it: its bytes, their content type, and the format that it was converted from.

    What they do not play comes as a WAV of 16 bit with the same channels. Raises AudioError where it cannot be decoded.
    """
    import soundfile

    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            for subtype in (file.subtype, None):
                if content_type := _PLAYED.get((file.format, subtype)):
                    return data, content_type, None
            samples, rate_hz, kind = file.read(dtype="float32"), file.samplerate, f"{file.format} {file.subtype}"
    except (RuntimeError, ValueError, TypeError) as error:
        raise AudioError(f"{name} cannot be converted for a browser ({error}).") from error
    wav = io.BytesIO()
    soundfile.write(wav, np.clip(samples, -1, 1), rate_hz, format="WAV", subtype="PCM_16")
    return wav.getvalue(), "audio/wav", kind
