"""TIM-Net without dynamic fusion, as in the paper's ablation: what learned weights of the time spans add.

The vectors of the blocks are averaged, each counting alike, instead of summed with learned weights. 106 984 parameters
with 8 blocks and 7 classes, 8 fewer than TIM-Net: those of the fusion.
"""

from functools import partial
from typing import TYPE_CHECKING

from timnet.models import lockstep
from timnet.models.base import Model
from timnet.models.compiled import Program, plain_mean
from timnet.models.timnet import classified, inputs, scales
from timnet.recipes import ModelSettings

if TYPE_CHECKING:
    import keras


def build(settings: ModelSettings) -> "keras.Model":
    from keras import ops

    frames = inputs(settings)
    mean = ops.mean(ops.stack(scales(frames, settings), axis=-1), axis=-1)
    return classified(frames, mean, settings, "timnet_mean_fusion")


MODEL = Model(
    name="timnet-mean-fusion",
    title="TIM-Net, plain mean",
    description="TIM-Net without dynamic fusion: the plain mean of the blocks' vectors (ablation)",
    build=build,
    compiled=partial(Program, fusion=plain_mean, directions=("forward", "backward")),
    lockstep=partial(lockstep.Program, fusion=lockstep.plain_mean),
)
