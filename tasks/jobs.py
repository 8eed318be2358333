"""The folds that a run consists of: what each is made of, and the key that its results lie under."""

import hashlib
import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import ray

from tasks.features import Scanned, features_folder
from timnet import models
from timnet.config import TRAINING_VERSION, FoldSettings, ModelSettings, identity
from timnet.errors import SplitError
from timnet.features import n_frames
from timnet.plan import CorpusPlan, Plan
from timnet.published_weights import weights_sha256
from timnet.splits import PARTS, Columns, Fold

if TYPE_CHECKING:
    from tasks.groups import Group

# Another version of these may train to other numbers.
NETWORK_LIBRARIES = ("tensorflow", "keras")
CLASSICAL_LIBRARIES = ("scikit-learn", "scipy", "numpy")


@dataclass(frozen=True)
class FoldJob:
    """One fold of one corpus and seed: what to train it with and where its results lie."""

    corpus: str
    seed: int
    fold: int  # counted from 1
    columns: Columns
    rows: Fold
    settings: FoldSettings
    folder: str
    weights: str | None = None  # a published weight file: evaluate it instead of training

    @property
    def name(self) -> str:
        return f"{self.corpus} seed {self.seed} fold {self.fold}"

    @property
    def epochs(self) -> int:
        """Epochs that it takes; 0 where nothing is trained in epochs."""
        trained = self.weights is None and models.get(self.settings.model.name).is_network
        return self.settings.recipe.epochs if trained else 0

    @property
    def work(self) -> int:
        """How much it computes, to compare it with others: frames through all blocks of all epochs."""
        model = self.settings.model
        return self.epochs * len(self.rows[0]) * model.n_frames * model.n_tabs


def longest_first(jobs: Sequence[FoldJob]) -> list[FoldJob]:
    """Corpus after corpus, the one with the longest fold first, so that no machine waits in the end for one that began late."""
    longest: dict[str, int] = {}
    for job in jobs:
        longest[job.corpus] = max(job.work, longest.get(job.corpus, 0))
    return sorted(jobs, key=lambda job: -longest[job.corpus])


@dataclass
class Losses:
    """How often a fold has lost its worker since it last got further than ever before."""

    epoch: int = 0
    times: int = 0

    def reached(self, epoch: int) -> None:
        if epoch > self.epoch:
            self.epoch, self.times = epoch, 0

    def count(self) -> int:
        self.times += 1
        return self.times


class Jobs:
    """The folds of a run by name, and the features of each corpus in Ray's object store.

    A task is given the name of its fold and this object, into which Prefect does not look.
    """

    def __init__(
        self, jobs: list[FoldJob], features: dict[str, ray.ObjectRef], groups: "Mapping[str, Group] | None" = None
    ):
        self.by_name = {job.name: job for job in jobs}
        self.losses = {job.name: Losses() for job in jobs}
        self.features = features
        self.groups = groups or {}  # of the folds that are trained in lockstep


def fold_jobs(corpus: CorpusPlan, scanned: Scanned, planned: Plan, seed: int, folds: list[Fold]) -> list[FoldJob]:
    """The jobs of one corpus and seed; raises SplitError where there are not as many given weights as folds."""
    name = corpus.corpus.name
    given = None if corpus.weights is None else corpus.weights[seed]
    if given is not None and len(given) != len(folds):
        raise SplitError(
            f"{planned.protocol.name} makes {len(folds)} folds of {name}, and there are {len(given)} files of weights. "
            "Use the --folds and --protocol that the weights were trained with."
        )
    jobs = []
    for number, rows in enumerate(folds, start=1):
        settings = _settings(corpus, scanned, planned, seed, number)
        weights = None if given is None else given[number - 1]
        data = (features_folder(scanned, planned.profile), _utterances(scanned.columns, rows))
        key = identity(TRAINING_VERSION, *data, *_made_by(settings, weights))
        folder = f"{'trained' if weights is None else 'evaluated'}/{name}/{key}"
        jobs.append(FoldJob(name, seed, number, scanned.columns, rows, settings, folder, weights))
    return jobs


def _made_by(settings: FoldSettings, weights: str | None) -> tuple[dict[str, Any], dict[str, str]]:
    """What a fold's results follow from besides the data: settings, and versions of the libraries that compute."""
    is_network = models.get(settings.model.name).is_network
    libraries = NETWORK_LIBRARIES if is_network else CLASSICAL_LIBRARIES
    versions = {package: importlib.metadata.version(package) for package in libraries}
    if weights is not None:
        by = {"threads": settings.threads, "on_gpu": settings.on_gpu}
        return {"model": asdict(settings.model), "weights": weights_sha256(weights), **by}, versions
    trained_by = settings.that_train()
    if not is_network:
        del trained_by["recipe"], trained_by["threads"], trained_by["on_gpu"]
    return trained_by, versions


def _utterances(columns: Columns, rows: Fold) -> str:
    """A digest of which utterances are in which part, in order."""
    lines = [
        f"{columns.utterance_id[row]} {part}" for part, some in zip(PARTS, rows, strict=True) for row in some.tolist()
    ]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _settings(corpus: CorpusPlan, scanned: Scanned, planned: Plan, seed: int, fold: int) -> FoldSettings:
    return FoldSettings(
        model=ModelSettings(
            name=planned.settings.model,
            n_frames=n_frames(planned.profile, scanned.signal_length),
            n_coefficients=planned.profile.n_coefficients,
            n_classes=len(corpus.corpus.labels),
            n_tabs=corpus.corpus.n_tabs,
            dropout=corpus.recipe.dropout,
        ),
        recipe=corpus.recipe,
        selection=planned.protocol.selection,
        seed=seed,
        fold=fold,
        checkpoint_every_epochs=planned.settings.checkpoint_every_epochs,
        threads=planned.settings.threads_per_fold,
        on_gpu=planned.settings.gpus_per_fold > 0,
        in_lockstep=planned.settings.in_lockstep,
    )
