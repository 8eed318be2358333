"""TIM-Net without multi-scale fusion, as in the paper's ablation: what looking at several time spans at once adds.

Only the last block's vector, the one with the longest span, is classified; the blocks before it work for it alone. Both
directions are there. 106 984 parameters with 8 blocks and 7 classes, 8 fewer than TIM-Net: those of the fusion.
"""

from functools import partial
from typing import TYPE_CHECKING

from timnet.models import lockstep
from timnet.models.base import Model
from timnet.models.compiled import Program, last_of
from timnet.models.timnet import classified, inputs, scales
from timnet.recipes import ModelSettings

if TYPE_CHECKING:
    import keras


def build(settings: ModelSettings) -> "keras.Model":
    frames = inputs(settings)
    return classified(frames, scales(frames, settings)[-1], settings, "timnet_single_scale")


MODEL = Model(
    name="timnet-single-scale",
    title="TIM-Net, last scale only",
    description="TIM-Net without multi-scale fusion: the last block's vector alone (ablation)",
    build=build,
    compiled=partial(Program, fusion=last_of, directions=("forward", "backward")),
    lockstep=partial(lockstep.Program, fusion=lockstep.last_of),
)
