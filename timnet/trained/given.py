"""The networks that TIM-Net's authors released, as a trained model."""

import os
import re

from timnet import corpora, features, splits
from timnet.config import ModelSettings
from timnet.errors import ConfigError
from timnet.published import weights_files
from timnet.published_weights import read_weights
from timnet.trained.base import Trained, TrainedFold

SUFFIXES = (".hdf5", ".h5")
LEAKY = splits.PROTOCOLS["published-leaky"]  # how they were trained
PROFILE = features.get("published")

# What TIM-Net's authors report, pooled over the ten test folds: in the paper (Ye et al., ICASSP 2023), each fold with the
# epoch that does best on it, and corrected by them later, the same folds after the last of 500 epochs. None: not reported.
FIGURES: dict[str, dict[str, dict[str, float | None]]] = {
    name: {"test": {"war": war, "uar": uar}, "last": {"war": last_war, "uar": last_uar}}
    for name, war, uar, last_war, last_uar in (
        ("CASIA", 0.9467, 0.9467, 0.9108, 0.9108),
        ("EMODB", 0.9570, 0.9517, 0.9028, 0.8919),
        ("EMOVO", 0.9200, 0.9200, 0.8656, None),
        ("IEMOCAP", 0.7165, 0.7250, 0.6829, None),
        ("RAVDESS", 0.9208, 0.9193, 0.9007, 0.9004),
        ("SAVEE", 0.8771, 0.8631, 0.7936, 0.7726),
    )
}

_FOLD = re.compile(r"_([0-9]+)\.(?:hdf5|h5)$")


def published(path: "str | os.PathLike[str]", corpus: str | None, fold: int | None = None) -> Trained:
    """Released weights of a published corpus: one file, or the folder of all ten, or one of these.

    Nothing is known of what their recordings were like, and their scores are those that the authors report. Raises ConfigError
    where the corpus is not one of the published ones, and WeightsError where the files are not its weights.
    """
    where = os.fspath(path)
    known = {name.lower(): name for name in corpora.PUBLISHED}
    if (corpus or "").lower() not in known:
        received = "received none" if corpus is None else f"received {corpus}"
        raise ConfigError(f"--corpus says what {where} was trained on: {', '.join(corpora.PUBLISHED)}; {received}.")
    card = corpora.get(known[str(corpus).lower()])
    if (named := _named(where)) and card.name not in named:
        raise ConfigError(
            f"--corpus {corpus}: {where} is named for {' and '.join(named)}, whose network may have the same shape and other "
            f"labels. Give --corpus {named[0]}; if it is {card.name}'s, give its file or folder another name."
        )
    model = settings_of(card.name)
    if where.endswith(SUFFIXES):
        number = _FOLD.search(where)
        files = {int(number[1]) if number else 1: where}
    else:
        files = dict(enumerate(weights_files(where, card.n_folds), start=1))
    if fold is not None and fold not in files:
        raise ConfigError(f"--fold {fold}: {where} has the folds {', '.join(map(str, files))}.")
    seed = card.published_seed
    assert seed is not None, "every published corpus has one"
    assert card.mean_signal_length is not None, "likewise"
    return Trained(
        name=f"the weights that TIM-Net's authors released for {card.name}",
        corpus=card.name,
        labels=card.labels,
        model=model,
        profile=PROFILE,
        signal_length=card.mean_signal_length,
        folds=tuple(
            TrainedFold(seed, number, read_weights(file, model))
            for number, file in files.items()
            if fold in (None, number)
        ),
        title=card.title,
        licences={card.name: card.licence},
        recorded={
            "language": card.language,
            "n_recordings": sum((card.counts or {}).values()) or None,
            "n_speakers": card.n_speakers,
        },
        protocol={"name": LEAKY.name, "description": LEAKY.description, "selection": LEAKY.selection},
        scores={"published": FIGURES[card.name]},
    )


def _named(where: str) -> list[str]:
    """The published corpora that the name of a file says, else that of its folder, or of the folder that was given."""
    whole = where if "://" in where else os.path.abspath(where)
    for part in reversed(whole.rstrip("/").split("/")[-2 if where.endswith(SUFFIXES) else -1 :]):
        words = re.split("[^A-Z]+", part.upper())
        if found := [name for name in corpora.PUBLISHED if name in words]:
            return found
    return []


def settings_of(corpus: str) -> ModelSettings:
    """The shape of the network that was published for a corpus."""
    card = corpora.get(corpus)
    assert card.mean_signal_length is not None, "every published corpus has one"
    return ModelSettings(
        name="timnet",
        n_frames=features.n_frames(PROFILE, card.mean_signal_length),
        n_coefficients=PROFILE.n_coefficients,
        n_classes=len(card.labels),
        n_tabs=card.n_tabs,
    )
