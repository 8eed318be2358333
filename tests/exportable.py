"""Trained models to export, of weights drawn at random."""

from dataclasses import replace

import numpy as np

from timnet import features, models
from timnet.classical import BIAS, KERNEL, MEAN, OF_A_COEFFICIENT, SD
from timnet.config import ModelSettings
from timnet.trained import Trained, TrainedFold
from timnet.training import INPUT_MEAN, INPUT_SD

PROFILE = features.get("soxr_hq")
SIGNAL_LENGTH = 8192
LABELS = ("angry", "happy", "sad")

SVM = Trained(
    name="svm of the run made-up, trained on SPOKEN",
    corpus="SPOKEN",
    labels=LABELS,
    model=ModelSettings("svm", features.n_frames(PROFILE, SIGNAL_LENGTH), 39, 3, n_tabs=2, filters=3),
    profile=PROFILE,
    signal_length=SIGNAL_LENGTH,
    folds=(),
    run_id="made-up",
    title="Four people who play emotions (Somebody, 2020)",
    licences={"SPOKEN": "CC BY-NC-SA 4.0"},
    recorded={"language": "Klingon", "n_recordings": 480, "n_speakers": 4},
    protocol={"name": "speaker-independent", "description": "Other speakers are tested", "selection": "validation"},
    scores={
        "pooled": {"war": 0.6087, "uar": 0.5924, "f1_macro": 0.58},
        "interval": {"war": [0.5786, 0.638], "uar": [0.5455, 0.6369], "over": "speakers", "n_clusters": 4},
        "fold_mean": {"war": 0.6, "uar": 0.58},
        "fold_sd": {"war": 0.07, "uar": 0.08},
        "baselines": {"majority_label": "sad", "majority_war": 0.35, "chance_uar": 1 / 3},
        "folds_completed": 2,
        "folds_total": 2,
        "warnings": ["The intervals stand on 4 speakers: they are rough, and rather too narrow."],
    },
    versions={"timnet": "0.1.0", "keras": "3.15.0"},
)


def svm() -> Trained:
    n_statistics = 1 + OF_A_COEFFICIENT * 39
    folds = []
    for fold in (1, 2):
        random = np.random.default_rng(fold)
        shapes = {MEAN: n_statistics, KERNEL: (n_statistics, 3), BIAS: 3}
        weights = {name: random.normal(size=shape) for name, shape in shapes.items()}
        folds.append(TrainedFold(7, fold, weights | {SD: random.uniform(50, 100, n_statistics)}))
    return replace(SVM, folds=tuple(folds))


def network(name: str = "timnet", seed: int = 0) -> Trained:
    """Two folds, the first without a standardisation of its input."""
    settings = replace(SVM.model, name=name)
    initial = models.base.get_weights(models.get(name).build(settings))
    folds = []
    for fold in (1, 2):
        random = np.random.default_rng([seed, fold])
        weights = {key: random.normal(scale=0.4, size=array.shape) for key, array in initial.items()}
        weights |= {key: 0.3 + np.abs(array) for key, array in weights.items() if key.endswith("variance")}
        weights["classifier/kernel"] *= 10  # so that recordings are told apart
        if fold == 1:
            weights |= {key: array / 50 for key, array in weights.items() if key.endswith("stem/kernel")}
        else:
            weights |= {INPUT_MEAN: random.normal(scale=20, size=39), INPUT_SD: random.uniform(20, 60, 39)}
        folds.append(TrainedFold(7, fold, {key: array.astype(np.float32) for key, array in weights.items()}))
    return replace(SVM, name=f"{name} of the run made-up, trained on SPOKEN", model=settings, folds=tuple(folds))
