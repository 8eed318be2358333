"""Settings: frozen, validated, each published number once with its unit and its source."""

import hashlib
import json
import re
from dataclasses import asdict, is_dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator

from timnet.recipes import RECIPES, FoldSettings, ModelSettings, Recipe, Selection  # noqa: F401 # settings, too

SAMPLE_RATE_HZ = 22_050  # librosa's default, which the published features were made with
N_COEFFICIENTS = 39
N_FOLDS = 10
MAX_RUN_ID = 80  # letters
RUN_ID = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{MAX_RUN_ID - 1}}}")

AUTO = "auto"
MAX_FOLDS_PER_ACTOR = 60
# Folds that share a GPU unless more are asked for. One of EMO-DB's size needs about 0.4 GB while a step is worked out, one
# of IEMOCAP's 1.5 GB; ten are a cross-validation.
AUTO_FOLDS_PER_ACTOR = 10

TRAINING_VERSION = 2  # raise when the same settings would train to other numbers


def _listed(value: Any) -> Any:
    """Accept `a,b` on the command line where a list is meant."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return (value,) if isinstance(value, (int, float)) else value  # `seeds: 46` in a file


def _number_or_auto(value: Any) -> Any:
    """One complaint that names all that is allowed, where pydantic has one for each kind of value."""
    number = int(value) if isinstance(value, str) and value.isdecimal() else value
    if number != AUTO and not (isinstance(number, int) and 1 <= number <= MAX_FOLDS_PER_ACTOR):
        raise ValueError(f"a whole number from 1 to {MAX_FOLDS_PER_ACTOR}, or {AUTO}")
    return number


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
        pattern=f"^{RUN_ID.pattern}$",
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
    folds_per_actor: Annotated[int | Literal["auto"], BeforeValidator(_number_or_auto)] = Field(
        1,
        description="folds and seeds of a corpus that are trained in lockstep, as one program with the threads and the GPU "
        f"share of one fold; auto: 1 without a GPU, else all that come to one share, at most {AUTO_FOLDS_PER_ACTOR}",
    )

    @property
    def in_lockstep(self) -> bool:
        return self.folds_per_actor != 1 and (self.folds_per_actor != AUTO or self.gpus_per_fold > 0)


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
    folds_per_actor: ClassVar[int] = 1
    in_lockstep: ClassVar[bool] = False
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
        "folds_per_actor",  # whether it is 1 counts, see FoldSettings.that_train
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
