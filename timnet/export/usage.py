"""The part of the model card that is for programmers: how features are made, with every number, and how a file is asked."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from timnet.config import SAMPLE_RATE_HZ
from timnet.export.network import INPUT, OUTPUT
from timnet.report.text import plain
from timnet.trained import Trained

PREDICT = {
    "keras": """\
import keras

model = keras.saving.load_model({file!r})
probabilities = model(frames[None], training=False)""",
    "onnx": """\
import onnxruntime

session = onnxruntime.InferenceSession({file!r}, providers=["CPUExecutionProvider"])
probabilities = session.run(["{output}"], {{"{input}": frames[None]}})[0]""",
    "tflite": """\
import tensorflow as tf

predict = tf.lite.Interpreter({file!r}).get_signature_runner()
probabilities = predict({input}=frames[None])["{output}"]""",
    "npz": """\
from timnet.predict import Recogniser
from timnet.trained import of_file

probabilities = Recogniser(of_file({file!r})).probabilities(frames[None]).mean(axis=0)""",
}
FEATURES = """\
from pathlib import Path

from timnet import audio, features

profile = features.FeatureProfile({settings})
samples, sample_rate_hz = audio.read(Path("a.wav").read_bytes(), "a.wav")
frames = features.extract(samples, sample_rate_hz, profile, signal_length={signal_length})"""
LIBROSA = """\
import librosa
import numpy as np

samples, _ = librosa.load("a.wav", sr={rate}, res_type="{resampler}")
missing = {n_samples} - len(samples)
if missing > 0:
    samples = np.pad(samples, (missing // 2, missing - missing // 2))
else:
    samples = samples[-missing // 2 :][:{n_samples}]
mel = librosa.feature.melspectrogram(
    y=samples, sr={rate}, n_fft={n_fft}, win_length={window}, hop_length={hop}, window="{shape}", n_mels={n_mels}
)
decibels = librosa.power_to_db(mel, top_db={top_db})
frames = librosa.feature.mfcc(S=decibels, n_mfcc={n_coefficients}).T.astype(np.float32)"""


def lines(trained: Trained, file: Mapping[str, Any]) -> list[str]:
    """Markdown: the numbers of the features, code that makes them, code that asks the file."""
    profile, model = trained.profile, trained.model
    seconds = trained.signal_length / SAMPLE_RATE_HZ
    rows = {
        f"`{INPUT}`, the input": f"float32 (batch, {model.n_frames}, {model.n_coefficients}): as they come, not "
        "standardised",
        f"`{OUTPUT}`, the output": f"float32 (batch, {model.n_classes}), in the order {plain(', '.join(trained.labels))}",
        "feature profile": f"`{profile.name}`: {plain(profile.description)}",
        "channels": "their mean; full scale is 1",
        "sample rate": f"{profile.sample_rate_hz} Hz",
        "resampler": f"`{profile.resampler}`",
        "length": f"{trained.signal_length} samples at {SAMPLE_RATE_HZ} Hz ({seconds:.2f} s), padded with zeros on both sides "
        "or cut around the middle",
        "window": f"{profile.window}, {profile.window_samples} samples, the first one centred on the start",
        "hop": f"{profile.hop_samples} samples",
        "FFT": f"{profile.n_fft} samples, power",
        "mel bands": f"{profile.n_mels}, 0 to {profile.sample_rate_hz / 2:g} Hz, Slaney's scale, of equal area",
        "decibels": f"10 log10 of the power, which is at least 1e-10; what is more than {profile.top_db:g} below the loudest band "
        "of the recording is raised to that",
        "coefficients": f"{profile.n_coefficients}, the first of an orthonormal DCT-II",
    }
    parts = ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items()), ""]
    parts += ["Other features give other answers: a resampler of another kind alone costs points.", ""]
    parts += _code("With timnet:", FEATURES.format(settings=_settings(trained), signal_length=trained.signal_length))
    if profile.resampler == "soxr_hq" and profile.sample_rate_hz == SAMPLE_RATE_HZ:
        parts += _code("With librosa, to about 1e-4 the same:", _with_librosa(trained))
    asked = PREDICT[file["format"]].format(file=file["name"], input=INPUT, output=OUTPUT)
    return [*parts, *_code("Then:", asked)]


def _settings(trained: Trained) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in asdict(trained.profile).items())


def _with_librosa(trained: Trained) -> str:
    profile = trained.profile
    return LIBROSA.format(
        rate=profile.sample_rate_hz,
        resampler=profile.resampler,
        n_samples=trained.signal_length,
        n_fft=profile.n_fft,
        window=profile.window_samples,
        hop=profile.hop_samples,
        shape=profile.window,
        n_mels=profile.n_mels,
        top_db=profile.top_db,
        n_coefficients=profile.n_coefficients,
    )


def _code(before: str, text: str) -> list[str]:
    return [before, "", "```python", text, "```", ""]
