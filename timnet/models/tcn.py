"""A plain temporal convolutional network, the ablation that the TIM-Net paper calls TCN.

The paper names it and gives no more detail, so this is the usual residual TCN (Bai et al., 2018) in TIM-Net's measures:
a 1x1 convolution to `filters`; blocks with dilations 1, 2, 4 …, forward only, each the two causal convolutions of a
temporal-aware block (with batch normalisation, ReLU and spatial dropout), to which the block's input is added, where
TIM-Net multiplies it by their sigmoid, and a ReLU; then the last block's output, averaged over time, is classified.
The authors' own TCN may differ, so its published accuracy is no target. 53 632 parameters with 8 blocks and 7 classes.
"""

from functools import partial
from typing import TYPE_CHECKING

from timnet.models import lockstep
from timnet.models.base import Model
from timnet.models.timnet import classified, convolutions, inputs
from timnet.recipes import ModelSettings

if TYPE_CHECKING:
    import keras


def block(x: "keras.KerasTensor", dilation: int, settings: ModelSettings, name: str) -> "keras.KerasTensor":
    """A residual block: (batch, n_frames, filters) to the same shape; frame t sees no frame after t."""
    from keras import layers

    total = layers.Add(name=f"{name}_sum")([x, convolutions(x, dilation, settings, name)])
    return layers.ReLU(name=f"{name}_relu")(total)


def build(settings: ModelSettings) -> "keras.Model":
    from keras import layers, ops

    frames = inputs(settings)
    x = layers.Conv1D(settings.filters, 1, name="stem")(frames)
    for i in range(settings.n_tabs):
        x = block(x, 2**i, settings, f"block{i + 1}")
    return classified(frames, ops.mean(x, axis=1), settings, "tcn")


MODEL = Model(
    name="tcn",
    title="TCN",
    description="a plain residual temporal convolutional network of TIM-Net's depth, forward only (ablation)",
    build=build,
    lockstep=partial(
        lockstep.Program, fusion=lockstep.last_of, directions=("",), blocks="block", ended=lockstep.residual
    ),
)
