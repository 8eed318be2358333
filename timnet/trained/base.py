"""What a trained model is, apart from where it comes from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from timnet.config import ModelSettings
from timnet.features import FeatureProfile
from timnet.timbre import Timbre

WEIGHTS_FILE = "weights.npz"  # in the folder of a fold
QUANTILES = (0.01, 0.5, 0.99)

Quantiles = tuple[float, float, float]  # one for each of QUANTILES


@dataclass(frozen=True)
class Heard:
    """What the recordings that a model was trained with are like: quantiles over recordings, and their timbre.

    None where not known. They are of all recordings of the corpus, those that a fold only tests included.
    """

    duration_s: Quantiles | None = None
    sample_rate_hz: Quantiles | None = None
    peak_dbfs: Quantiles | None = None
    rms_dbfs: Quantiles | None = None  # of the whole recording, its pauses included
    timbre: Timbre | None = None  # of about a thousand of them at most


@dataclass(frozen=True)
class TrainedFold:
    """One network, or one model of another kind."""

    seed: int
    fold: int  # counted from 1
    weights: Mapping[str, np.ndarray]  # as training.FoldResult has them; a standardisation of the input is among them
    trained_on: str | None = None  # the corpus, where the folds of a run differ in that
    learnt_from: frozenset[str] = frozenset()  # audio_sha256 of its recordings; empty: not known, as of a file .npz

    @property
    def name(self) -> str:
        return f"seed {self.seed} fold {self.fold}" + (f" ({self.trained_on})" if self.trained_on else "")


@dataclass(frozen=True)
class Trained:
    """The folds of one corpus, how their features are made, and what is known about them."""

    name: str  # for people
    corpus: str
    labels: tuple[str, ...]  # in the order of the classes
    model: ModelSettings
    profile: FeatureProfile
    signal_length: int  # samples at 22 050 Hz
    folds: tuple[TrainedFold, ...]  # at least one
    missing: tuple[str, ...] = ()  # folds that the run has and that did not finish, each with its error
    run_id: str | None = None  # None: not from a run
    title: str = ""  # of the corpus
    licences: Mapping[str, str] = field(default_factory=dict)  # of each corpus that it was trained on, by its name
    recorded: Mapping[str, Any] = field(default_factory=dict)  # language, n_recordings, n_speakers; None: not known
    synthetic: bool = False
    protocol: Mapping[str, Any] = field(default_factory=dict)  # name, description, selection
    scores: Mapping[str, Any] = field(default_factory=dict)  # of these folds, see scores.py; empty: not known
    versions: Mapping[str, str] = field(default_factory=dict)  # of what it was trained with
    heard: Heard = Heard()
