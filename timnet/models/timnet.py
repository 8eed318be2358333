"""TIM-Net (Ye et al., ICASSP 2023, "Temporal Modeling Matters"): two directions of dilated causal convolutions, fused.

Each direction is a 1x1 convolution and then temporal-aware blocks (TAB) with dilations 1, 2, 4 …: two causal
convolutions with batch normalisation, ReLU and spatial dropout, whose sigmoid gates the block's input. After every
block the two directions are added (the backward one stays reversed) and averaged over time; the vectors so made are
summed with one learned weight each and classified. 106 992 parameters with 8 blocks and 7 classes.
"""

from typing import TYPE_CHECKING

from timnet.config import ModelSettings
from timnet.models.base import Model, check

if TYPE_CHECKING:
    import keras

BATCH_NORM_EPSILON = 1e-3
BATCH_NORM_MOMENTUM = 0.99
FUSION_LIMIT = 0.05  # the weights of the sum start uniform in ±0.05


def block(x: "keras.KerasTensor", dilation: int, settings: ModelSettings, name: str) -> "keras.KerasTensor":
    """A temporal-aware block: (batch, n_frames, filters) to the same shape; frame t sees no frame after t."""
    from keras import layers

    y = x
    for i in (1, 2):
        y = layers.Conv1D(
            settings.filters, settings.kernel_size, padding="causal", dilation_rate=dilation, name=f"{name}_conv{i}"
        )(y)
        y = layers.BatchNormalization(epsilon=BATCH_NORM_EPSILON, momentum=BATCH_NORM_MOMENTUM, name=f"{name}_norm{i}")(
            y
        )
        y = layers.ReLU(name=f"{name}_relu{i}")(y)
        y = layers.SpatialDropout1D(settings.dropout, name=f"{name}_dropout{i}")(y)
    gate = layers.Activation("sigmoid", name=f"{name}_gate")(y)
    return layers.Multiply(name=f"{name}_product")([x, gate])


def direction(x: "keras.KerasTensor", settings: ModelSettings, name: str) -> list["keras.KerasTensor"]:
    """The outputs of the blocks of one direction, in order."""
    from keras import layers

    x = layers.Conv1D(settings.filters, 1, name=f"{name}_stem")(x)
    outputs = []
    for i in range(settings.n_tabs):
        x = block(x, 2**i, settings, f"{name}_tab{i + 1}")
        outputs.append(x)
    return outputs


def build(settings: ModelSettings) -> "keras.Model":
    import keras
    from keras import layers, ops

    check(settings)
    frames = keras.Input((settings.n_frames, settings.n_coefficients), name="frames")
    forward = direction(frames, settings, "forward")
    backward = direction(ops.flip(frames, axis=1), settings, "backward")
    pooled = [ops.mean(ops.add(f, b), axis=1) for f, b in zip(forward, backward, strict=True)]
    limits = keras.initializers.RandomUniform(-FUSION_LIMIT, FUSION_LIMIT)
    fused = layers.Dense(1, use_bias=False, kernel_initializer=limits, name="fusion")(ops.stack(pooled, axis=-1))
    embedding = ops.squeeze(fused, axis=-1)
    logits = layers.Dense(settings.n_classes, name="classifier")(embedding)
    return keras.Model(frames, [logits, embedding], name="timnet")


MODEL = Model(
    name="timnet",
    title="TIM-Net",
    description="bidirectional dilated causal convolutions with learned multi-scale fusion (Ye et al., ICASSP 2023)",
    build=build,
)
