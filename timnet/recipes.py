"""How a network is shaped and trained: what a fold's numbers follow from. Needs nothing but Python, where config needs pydantic."""

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

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
    change_chance: float = 1.0  # of an utterance, every time anew, to be changed in all of these:
    speed: float = 0.0  # up to this share faster or slower,
    shift_frames: float = 0.0  # up to so many frames earlier or later,
    warp: float = 0.0  # and its mel axis up to this share longer or shorter, as another vocal tract's (timnet.augment)
    averaged: float = 0.0  # the last share of the epochs whose weights predict, as their mean
    patience_epochs: int | None = None  # stop early; only where validation data choose the epoch

    @property
    def augments(self) -> bool:
        return self.change_chance > 0 and any((self.speed, self.shift_frames, self.warp))

    @property
    def averaged_from(self) -> int | None:
        """The epoch whose weights are the first in the mean; None where none are averaged."""
        return self.epochs - round(self.averaged * self.epochs) + 1 if self.averaged else None

    def n_averaged(self, epoch: int) -> int:
        """How many epochs' weights predict after this one, itself included, as their mean."""
        return 1 if self.averaged_from is None else max(1, epoch - self.averaged_from + 1)

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
            description="utterances changed with a chance of a half, dropout 0.2, small batches, 100 epochs; the mean weights of the last 50",
            epochs=100,
            batch_size=16,
            learning_rate=4e-3,
            dropout=0.2,
            change_chance=0.5,
            speed=0.1,
            shift_frames=8,
            warp=0.1,
            averaged=0.5,
        ),
        Recipe(
            name="standardised",
            description="features standardised on the training part, cosine schedule from 4e-3, 80 epochs",
            epochs=80,
            learning_rate=4e-3,
            schedule="cosine",
            standardise=True,
        ),
        Recipe(
            name="demo",
            description="the recipe standardised in 25 epochs and small batches, for the small synthetic corpus",
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
    in_lockstep: bool = False  # and beside other folds in one program

    def that_train(self) -> dict[str, Any]:
        """The part that changes a result, as JSON: what a recipe is called and how often it is saved does not.

        Nor does it matter how many folds are in lockstep: a fold's numbers are its own, and where some have ended or a
        worker was lost, the rest goes on in a smaller group. That it was trained so at all counts as a GPU does. A way to
        train that was not used is not mentioned, so that what was trained before there was that way is still found.
        """
        settings = asdict(self)
        del settings["checkpoint_every_epochs"], settings["recipe"]["name"], settings["recipe"]["description"]
        changes = {"change_chance", "speed", "shift_frames", "warp"}
        unused = set() if self.recipe.augments else changes
        for name in ("averaged", *changes):
            if name in unused or settings["recipe"][name] == getattr(Recipe, name):
                del settings["recipe"][name]
        if not self.in_lockstep:
            del settings["in_lockstep"]
        return settings
