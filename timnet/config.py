"""Settings: frozen, validated, each published number once with its unit and its source."""

import hashlib
import json
from dataclasses import asdict, dataclass, is_dataclass, replace
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator

SAMPLE_RATE_HZ = 22_050  # librosa's default, which the published features were made with
N_COEFFICIENTS = 39
N_FOLDS = 10
MAX_RUN_ID = 80  # letters
PUBLISHED_EPOCHS = 500  # the last epoch of the corrected results

Selection = Literal["last", "validation", "test", "given"]  # which epoch's weights predict the test part


@dataclass(frozen=True)
class Recipe:
    """How a network is trained."""

    name: str
    description: str
    epochs: int
    batch_size: int = 64
    learning_rate: float = 1e-3
    schedule: Literal["constant", "cosine"] = "constant"
    beta_1: float = 0.93
    beta_2: float = 0.98
    epsilon: float = 1e-8
    label_smoothing: float = 0.1
    dropout: float = 0.1
    standardise: bool = False  # every coefficient to mean 0 and sd 1, fitted on the training part
    patience_epochs: int | None = None  # stop early; only where validation data choose the epoch

    def having(self, epochs: int | None, patience_epochs: int | None) -> "Recipe":
        """The recipe with what was given in place of its own."""
        given: dict[str, Any] = {"epochs": epochs, "patience_epochs": patience_epochs}
        return replace(self, **{name: value for name, value in given.items() if value is not None})


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="published",
            description="as published: raw features, constant learning rate 1e-3, 500 epochs",
            epochs=PUBLISHED_EPOCHS,
        ),
        Recipe(
            name="fast",
            description="features standardised on the training part, cosine schedule from 4e-3, 80 epochs",
            epochs=80,
            learning_rate=4e-3,
            schedule="cosine",
            standardise=True,
        ),
        Recipe(
            name="demo",
            description="the recipe fast in 25 epochs and small batches, for the small synthetic corpus",
            epochs=25,
            batch_size=16,
            learning_rate=4e-3,
            schedule="cosine",
            standardise=True,
        ),
    )
}


@dataclass(frozen=True)
class ModelSettings:
    """Everything that decides a network's shape. Input is (n_frames, n_coefficients) float32."""

    name: str
    n_frames: int
    n_coefficients: int
    n_classes: int
    n_tabs: int = 8  # dilations 1, 2, 4 … 2^(n_tabs-1)
    filters: int = 39
    kernel_size: int = 2
    dropout: float = 0.1


@dataclass(frozen=True)
class FoldSettings:
    """How one fold is trained."""

    model: ModelSettings
    recipe: Recipe
    selection: Selection
    seed: int
    fold: int  # counted from 1
    checkpoint_every_epochs: int = 10
    threads: int = 1  # sums of floats come out otherwise with more
    on_gpu: bool = False  # and on a GPU

    def that_train(self) -> dict[str, Any]:
        """The part that changes a result, as JSON: what a recipe is called and how often it is saved does not."""
        settings = asdict(self)
        del settings["checkpoint_every_epochs"], settings["recipe"]["name"], settings["recipe"]["description"]
        return settings


TRAINING_VERSION = 2  # raise when the same settings would train to other numbers


def _listed(value: Any) -> Any:
    """Accept `a,b` on the command line where a list is meant."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return (value,) if isinstance(value, (int, float)) else value  # `seeds: 46` in a file


def _each_once(values: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(values)) < len(values):
        raise ValueError("each seed once")
    return values


Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]  # what numpy and scikit-learn take


Seeds = Annotated[
    Annotated[tuple[Seed, ...], Field(min_length=1), AfterValidator(_each_once)] | None, BeforeValidator(_listed)
]


class CommonSettings(BaseModel):
    """The options that every flow over recordings has: parameters of the flow, options of the command, keys of a file.

    None means: worked out when the run starts, as the description says. `timnet.plan` does so and checks the names.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    @field_validator("*", mode="before")
    @classmethod
    def _no_yes_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        """Python takes True for 1: `epochs: true` in a file would train one epoch."""
        values = value if isinstance(value, (list, tuple)) else [value]
        if (
            any(isinstance(one, bool) for one in values)
            and cls.model_fields[str(info.field_name)].annotation is not bool
        ):
            raise ValueError("true and false are no value of this option")
        return value

    corpora: Annotated[tuple[str, ...], BeforeValidator(_listed), Field(min_length=1)] = Field(
        ("DEMO",),
        description="corpora to run, separated by commas; all: the six published ones; or the name of your own folder or "
        "table of recordings in the data root; DEMO: the built-in synthetic corpus",
    )
    data_root: str | None = Field(
        None, min_length=1, description="folder or URI that holds the corpora, one folder each"
    )
    store: str = Field(
        "timnet-store", min_length=1, description="folder or URI (s3://bucket/prefix) for everything that is computed"
    )
    seeds: Seeds = Field(
        None,
        description="seeds, separated by commas, each a whole cross-validation [default: the corpus's published one]",
    )
    features: str = Field("soxr_hq", description="feature profile")
    signal_length: int | None = Field(
        None, ge=4096, description="samples at 22 050 Hz that recordings are padded or cut to [default: the corpus's]"
    )
    run_id: str | None = Field(
        None,
        pattern=rf"^[A-Za-z0-9][A-Za-z0-9._-]{{0,{MAX_RUN_ID - 1}}}$",
        description="name of the run: letters, digits, dot, dash, underscore [default: made from the settings]",
    )
    skip_bad: bool = Field(False, description="go on without recordings that cannot be used; the report lists them")
    max_parallel: int | None = Field(
        None, ge=1, description="folds at work at the same time [default: as many as the cluster has CPUs or GPUs for]"
    )
    threads_per_fold: int = Field(1, ge=1, description="CPU threads of one fold")
    gpus_per_fold: float = Field(
        0, ge=0, allow_inf_nan=False, description="GPUs of one fold, 0.25: four folds share one"
    )
    track: Annotated[tuple[str, ...] | None, BeforeValidator(_listed)] = Field(
        None,
        min_length=1,
        description="also write every finished fold and the scores for trackers, separated by commas",
    )
    ray_address: str | None = Field(
        None, description="Ray cluster: auto, host:port or ray://host:port; local: start one here [default: local]"
    )


class FoldOptions(BaseModel):
    """How each corpus is cut into folds."""

    folds: int | None = Field(None, ge=2, description="folds of the cross-validation [default: 10; DEMO: 5]")
    protocol: str = Field("speaker-independent", description="how the corpus is cut into folds")
    split_table: str | None = Field(
        None,
        description="CSV or Parquet with utterance_id, part (train, validation, test) and fold, for --protocol table",
    )


class TrainSettings(CommonSettings):
    """The options of everything that trains."""

    epochs: int | None = Field(None, ge=1, description="epochs of training [default: the recipe's]")
    recipe: str | None = Field(None, description="how the model is trained [default: fast; DEMO: demo]")
    patience: int | None = Field(
        None,
        ge=1,
        description="stop a fold when its validation data have seen nothing better for so many epochs [default: never]",
    )
    checkpoint_every_epochs: int = Field(10, ge=1, description="epochs between two checkpoints of a fold")


class RunSettings(FoldOptions, TrainSettings):
    """Every option of a cross-validation."""

    model: str = Field("timnet", description="model")

    kind: ClassVar[str] = "cv"


class AblationSettings(FoldOptions, TrainSettings):
    """Every option of an ablation: the same cross-validation with one model after the other."""

    models: Annotated[tuple[str, ...], BeforeValidator(_listed), Field(min_length=2)] = Field(
        ("timnet", "timnet-forward", "timnet-single-scale", "timnet-mean-fusion", "tcn"),
        description="models, separated by commas; the first is what the others are compared with",
    )

    def of(self, model: str, run_id: str) -> RunSettings:
        """The cross-validation of one of the models, whose run is named after both."""
        given = self.model_dump(exclude={"models"})
        return RunSettings(**given | {"model": model, "run_id": f"{run_id}-{model}"})


class EvaluateSettings(FoldOptions, CommonSettings):
    """Every option of a run that evaluates given weights of TIM-Net; protocol and features are the published ones."""

    weights: str = Field(
        description="folder of weights as published, one file a fold: 10-fold_weights_best_1.hdf5, …; for several "
        "corpora or seeds the folder that holds theirs, named as published: EMODB_46, CASIA_32, …",
    )
    protocol: str = Field("published", description="how the corpus is cut into folds")
    features: str = Field("published", description="feature profile")

    kind: ClassVar[str] = "evaluate"
    epochs: ClassVar[None] = None
    patience: ClassVar[None] = None
    model: ClassVar[str] = "timnet"
    recipe: ClassVar[str] = "published"
    checkpoint_every_epochs: ClassVar[int] = 1


class CrossCorpusSettings(TrainSettings):
    """Every option of training on one corpus and testing on the others, over the emotions that all of them have.

    The defaults are the published setting: five corpora, which share five emotions, and 100 000 samples.
    """

    corpora: Annotated[tuple[str, ...], BeforeValidator(_listed), Field(min_length=2)] = Field(
        ("CASIA", "EMODB", "EMOVO", "RAVDESS", "SAVEE"),
        description="corpora, separated by commas: each is trained on once a seed, and all the others are tested; the six "
        "published ones, or the names of your own folders or tables of recordings in the data root",
    )
    seeds: Seeds = Field(None, description="seeds, separated by commas, each a training on every corpus [default: 46]")
    signal_length: int = Field(  # one for all corpora
        100_000, ge=4096, description="samples at 22 050 Hz that recordings are padded or cut to"
    )
    model: str = Field("timnet", description="model")

    kind: ClassVar[str] = "cross-corpus"
    folds: ClassVar[None] = None
    protocol: ClassVar[str] = "cross-corpus"
    split_table: ClassVar[None] = None


Settings = RunSettings | EvaluateSettings | CrossCorpusSettings

# What does not change a result, and so is no part of a run's identity.
WITHOUT_EFFECT = frozenset(
    {
        "store",
        "data_root",
        "run_id",
        "max_parallel",
        "gpus_per_fold",
        "checkpoint_every_epochs",
        "ray_address",
        "track",
        "weights",  # where they lie; what they are is part of each fold's own key
    }
)


def identity(*parts: Any) -> str:
    """A short stable name for settings: the first 16 hex digits of the SHA-256 of their sorted JSON."""

    def plain(value: Any) -> Any:
        if is_dataclass(value) and not isinstance(value, type):
            return asdict(value)
        if isinstance(value, BaseModel):
            return value.model_dump(mode="json")
        raise TypeError(f"{value!r} has no stable identity")

    text = json.dumps(parts, sort_keys=True, default=plain, ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
