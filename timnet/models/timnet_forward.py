"""TIM-Net without its backward direction, as in the paper's ablation: what hearing the speech in reverse adds.

The blocks of the forward direction alone are averaged over time and fused as in TIM-Net. Half the parameters go with the
other direction: 53 640 with 8 blocks and 7 classes.
"""

from functools import partial
from typing import TYPE_CHECKING

from timnet.models import lockstep
from timnet.models.base import Model
from timnet.models.compiled import Program, learned_sum
from timnet.models.timnet import classified, direction, fused, inputs
from timnet.recipes import ModelSettings

if TYPE_CHECKING:
    import keras


def build(settings: ModelSettings) -> "keras.Model":
    from keras import ops

    frames = inputs(settings)
    pooled = [ops.mean(output, axis=1) for output in direction(frames, settings, "forward")]
    return classified(frames, fused(pooled), settings, "timnet_forward")


MODEL = Model(
    name="timnet-forward",
    title="TIM-Net, forward only",
    description="TIM-Net without the backward direction (ablation)",
    build=build,
    compiled=partial(Program, fusion=learned_sum, directions=("forward",)),
    lockstep=partial(lockstep.Program, fusion=lockstep.learned_sum, directions=("forward/",)),
)
