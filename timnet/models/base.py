"""What a model is, and its weights as named arrays."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from timnet.errors import ConfigError, WeightsError
from timnet.recipes import ModelSettings

if TYPE_CHECKING:
    import keras

    from timnet.models import lockstep
    from timnet.models.compiled import Program

EPOCH = "epoch"

BATCH_NORM_EPSILON = 1e-3
BATCH_NORM_MOMENTUM = 0.99


def _no_network(settings: ModelSettings) -> "keras.Model":
    raise ConfigError(
        f"The model {settings.name} is no network: there is nothing to build. timnet.classical.ClassicalTrainer fits it."
    )


@dataclass(frozen=True)
class Model:
    """A model and how to make it: a network has `build`, a classical model has `fit`.

    `build` returns a Keras model from (batch, n_frames, n_coefficients) float32 to two outputs: the logits
    (batch, n_classes) and the embedding before the classifier (batch, n_embedding).

    `compiled` gives the network that was built as a faster program, where there is one; TensorFlow only.

    `lockstep` gives the program of several such networks side by side, where there is one, and the type that it computes in.

    `fit` takes standardised statistics of utterances, float64 (n_utterances, n_statistics), their classes, int32
    (n_utterances,) with every class present, and C, the inverse strength of the regularisation. It returns the kernel
    (n_statistics, n_classes) and the bias (n_classes,) of the linear decision values, whose largest is recognised.
    """

    name: str
    title: str
    description: str
    build: Callable[[ModelSettings], "keras.Model"] = _no_network
    fit: Callable[[np.ndarray, np.ndarray, float], tuple[np.ndarray, np.ndarray]] | None = None
    compiled: Callable[["keras.Model", ModelSettings], "Program"] | None = None
    lockstep: Callable[[ModelSettings, str], "lockstep.Program"] | None = None
    chosen: str = EPOCH  # what the part of the data that may choose chooses; reports say it

    @property
    def is_network(self) -> bool:
        """Whether it is trained in epochs by timnet.training; otherwise timnet.classical fits it at once."""
        return self.fit is None


def check(settings: ModelSettings) -> None:
    """Raises ConfigError where no network can have this shape."""
    for name, least in (
        ("n_frames", 1), ("n_coefficients", 1), ("n_classes", 2), ("n_tabs", 1), ("filters", 1), ("kernel_size", 1)
    ):  # fmt: skip
        if getattr(settings, name) < least:
            raise ConfigError(f"{name} of a model is at least {least}, received {getattr(settings, name)}.")
    if not 0 <= settings.dropout < 1:
        raise ConfigError(f"dropout of a model is at least 0 and below 1, received {settings.dropout}.")


def get_weights(model: "keras.Model") -> dict[str, np.ndarray]:
    """The weights by name, such as `forward/tab1/conv1/kernel`: the layer's name at its underscores, then its own."""
    return {name: variable.numpy() for name, variable in variables(model).items()}


def set_weights(model: "keras.Model", weights: Mapping[str, np.ndarray]) -> None:
    """Raises WeightsError where a name is missing or unknown, or a shape is another."""
    own = variables(model)
    missing, unknown = sorted(own.keys() - weights.keys()), sorted(weights.keys() - own.keys())
    if missing or unknown:
        raise WeightsError(
            f"These weights are not of this model: missing {some(missing)}, unknown {some(unknown)}. "
            "Are the model, the number of blocks (n_tabs) and the number of classes the same?"
        )
    for name, variable in own.items():
        if tuple(variable.shape) != tuple(weights[name].shape):
            raise WeightsError(
                f"The weight {name} has the shape {tuple(weights[name].shape)}, and the model needs {tuple(variable.shape)}. "
                "Are the number of coefficients and of classes the same?"
            )
    for name, variable in own.items():
        variable.assign(weights[name])


def variables(model: "keras.Model") -> dict[str, "keras.Variable"]:
    """The variables by the names that `get_weights` gives them."""
    return {
        f"{layer.name.replace('_', '/')}/{variable.name}": variable
        for layer in model.layers
        for variable in layer.weights
    }


def some(names: Sequence[str]) -> str:
    """The first names of a list, for a message."""
    return "none" if not names else ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
