"""What is known about an exported model, for programs: it travels in the file where the format can hold it."""

from dataclasses import asdict
from typing import Any

from timnet import __version__
from timnet.config import SAMPLE_RATE_HZ
from timnet.export.network import INPUT, OUTPUT
from timnet.trained import Trained, notes


def about(trained: Trained) -> dict[str, Any]:
    """Everything as JSON has it: strings, numbers, lists and objects."""
    shape = [trained.model.n_frames, trained.model.n_coefficients]
    return {
        "timnet_version": __version__,
        "name": trained.name,
        "run_id": trained.run_id,
        "labels": list(trained.labels),
        "input": {"name": INPUT, "shape": ["batch", *shape], "dtype": "float32"},
        "output": {"name": OUTPUT, "shape": ["batch", trained.model.n_classes], "dtype": "float32"},
        "features": {
            **asdict(trained.profile),
            "signal_length": trained.signal_length,
            "signal_length_rate_hz": SAMPLE_RATE_HZ,
        },
        "model": asdict(trained.model),
        "folds": [{"seed": one.seed, "fold": one.fold, "trained_on": one.trained_on} for one in trained.folds],
        "missing_folds": list(trained.missing),
        "corpus": {
            "name": trained.corpus,
            "title": trained.title,
            "licences": dict(trained.licences),
            "synthetic": trained.synthetic,
            **trained.recorded,
        },
        "protocol": dict(trained.protocol),
        "scores": dict(trained.scores),
        "notes": notes(trained),
        "trained_with": dict(trained.versions),
    }
