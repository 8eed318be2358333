"""TIM-Net (Ye et al., ICASSP 2023, "Temporal Modeling Matters"): two directions of dilated causal convolutions, fused.

Each direction is a 1x1 convolution and then temporal-aware blocks (TAB) with dilations 1, 2, 4 …: two causal
convolutions with batch normalisation, ReLU and spatial dropout, whose sigmoid gates the block's input. After every
block the two directions are added (the backward one stays reversed) and averaged over time; the vectors so made are
summed with one learned weight each and classified. 106 992 parameters with 8 blocks and 7 classes.
"""

from functools import partial
from typing import TYPE_CHECKING

from timnet.models import lockstep
from timnet.models.base import BATCH_NORM_EPSILON, BATCH_NORM_MOMENTUM, Model, check
from timnet.models.compiled import Program, learned_sum
from timnet.recipes import ModelSettings

if TYPE_CHECKING:
    import keras

FUSION_LIMIT = 0.05  # the weights of the sum start uniform in ±0.05


def inputs(settings: ModelSettings) -> "keras.KerasTensor":
    """Where a network begins: (batch, n_frames, n_coefficients) float32. Raises ConfigError for impossible settings."""
    import keras

    check(settings)
    return keras.Input((settings.n_frames, settings.n_coefficients), name="frames")


def convolutions(x: "keras.KerasTensor", dilation: int, settings: ModelSettings, name: str) -> "keras.KerasTensor":
    """What a block does before it gates: two causal convolutions, each normalised, rectified and thinned out.

    (batch, n_frames, n) to (batch, n_frames, filters); frame t sees no frame after t.
    """
    from keras import layers

    for i in (1, 2):
        x = layers.Conv1D(
            settings.filters, settings.kernel_size, padding="causal", dilation_rate=dilation, name=f"{name}_conv{i}"
        )(x)
        x = layers.BatchNormalization(epsilon=BATCH_NORM_EPSILON, momentum=BATCH_NORM_MOMENTUM, name=f"{name}_norm{i}")(
            x
        )
        x = layers.ReLU(name=f"{name}_relu{i}")(x)
        x = layers.SpatialDropout1D(settings.dropout, name=f"{name}_dropout{i}")(x)
    return x


def block(x: "keras.KerasTensor", dilation: int, settings: ModelSettings, name: str) -> "keras.KerasTensor":
    """A temporal-aware block: (batch, n_frames, filters) to the same shape; frame t sees no frame after t."""
    from keras import layers

    gate = layers.Activation("sigmoid", name=f"{name}_gate")(convolutions(x, dilation, settings, name))
    return layers.Multiply(name=f"{name}_product")([x, gate])


def direction(x: "keras.KerasTensor", settings: ModelSettings, name: str) -> list["keras.KerasTensor"]:
    """The outputs of the blocks of one direction, in order, each (batch, n_frames, filters)."""
    from keras import layers

    x = layers.Conv1D(settings.filters, 1, name=f"{name}_stem")(x)
    outputs = []
    for i in range(settings.n_tabs):
        x = block(x, 2**i, settings, f"{name}_tab{i + 1}")
        outputs.append(x)
    return outputs


def scales(frames: "keras.KerasTensor", settings: ModelSettings) -> list["keras.KerasTensor"]:
    """The vectors g_j of the paper, one a block: both directions added and averaged over time, (batch, filters)."""
    from keras import ops

    forward = direction(frames, settings, "forward")
    backward = direction(ops.flip(frames, axis=1), settings, "backward")
    return [ops.mean(ops.add(f, b), axis=1) for f, b in zip(forward, backward, strict=True)]


def fused(vectors: list["keras.KerasTensor"]) -> "keras.KerasTensor":
    """The dynamic fusion: vectors (batch, filters) summed with one learned weight each."""
    import keras
    from keras import layers, ops

    limits = keras.initializers.RandomUniform(-FUSION_LIMIT, FUSION_LIMIT)
    total = layers.Dense(1, use_bias=False, kernel_initializer=limits, name="fusion")(ops.stack(vectors, axis=-1))
    return ops.squeeze(total, axis=-1)


def classified(
    frames: "keras.KerasTensor", embedding: "keras.KerasTensor", settings: ModelSettings, name: str
) -> "keras.Model":
    """The whole network: from what `inputs` gave to the logits, with the embedding they are made of beside them."""
    import keras
    from keras import layers

    logits = layers.Dense(settings.n_classes, name="classifier")(embedding)
    return keras.Model(frames, [logits, embedding], name=name)


def build(settings: ModelSettings) -> "keras.Model":
    frames = inputs(settings)
    return classified(frames, fused(scales(frames, settings)), settings, "timnet")


MODEL = Model(
    name="timnet",
    title="TIM-Net",
    description="bidirectional dilated causal convolutions with learned multi-scale fusion (Ye et al., ICASSP 2023)",
    build=build,
    compiled=partial(Program, fusion=learned_sum, directions=("forward", "backward")),
    lockstep=partial(lockstep.Program, fusion=lockstep.learned_sum),
)
