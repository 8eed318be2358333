"""The layers of a published weight file: which, in which order, and what they are called here.

Such a file lists its layers in the order of the network's depth and, in every layer, its weights. The layers with
weights are, for n blocks:

    conv1d conv1d                                          the 1x1 convolutions, forward and backward
    n times, for block 1 to n, twice:
        conv1d conv1d batch_normalization batch_normalization      each forward, then backward
    weight_layer dense                                     the fusion and the classifier

Keras numbers layers as they are made, the forward half of a block before its backward half, and goes on counting from
model to model, so that each fold's file begins at other numbers (conv1d_34, conv1d_68 …). Layers are therefore told
by their place; their numbers only have to rise in the order in which the network is made. Forward and backward
weights have the same shapes, so nothing else would tell a file of another order.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from timnet.config import ModelSettings
from timnet.errors import WeightsError
from timnet.models.base import check, some

CONV, NORM, FUSION, CLASSIFIER = "conv1d", "batch_normalization", "weight_layer", "dense"  # Keras' names, not numbered

_LAYER = re.compile(rf"({CONV}|{NORM}|{FUSION}|{CLASSIFIER})(?:_([0-9]{{1,9}}))?")


class Layer(NamedTuple):
    """A layer with weights of the published network."""

    kind: str
    made: int  # its number among those of its kind, counted from 0 in the order in which Keras makes them
    ours: str  # its name in timnet.models, such as forward/tab1/conv1
    shapes: dict[str, tuple[int, ...]]  # of its weights, in the order of the file

    @property
    def keras_name(self) -> str:
        return f"{self.kind}_{self.made}" if self.made else self.kind


def layers(settings: ModelSettings) -> list[Layer]:
    """The layers of the published network in the order of its files; raises WeightsError for another network."""
    if settings.name != "timnet":
        raise WeightsError(
            f"Published weights are of the model timnet, received the model {settings.name}. Use --model timnet."
        )
    check(settings)
    filters = settings.filters
    norm: dict[str, tuple[int, ...]] = dict.fromkeys(("gamma", "beta", "moving_mean", "moving_variance"), (filters,))
    stem = {"kernel": (1, settings.n_coefficients, filters), "bias": (filters,)}
    conv = {"kernel": (settings.kernel_size, filters, filters), "bias": (filters,)}
    directions = ("forward", "backward")
    result = [Layer(CONV, side, f"{directions[side]}/stem", stem) for side in (0, 1)]
    for block in range(settings.n_tabs):
        for half in (0, 1):
            for kind, first, ours, shapes in ((CONV, 2, "conv", conv), (NORM, 0, "norm", norm)):
                for side in (0, 1):
                    name = f"{directions[side]}/tab{block + 1}/{ours}{half + 1}"
                    result.append(Layer(kind, first + 4 * block + 2 * side + half, name, shapes))
    result.append(Layer(FUSION, 0, "fusion", {"kernel": (settings.n_tabs, 1)}))
    result.append(
        Layer(CLASSIFIER, 0, "classifier", {"kernel": (filters, settings.n_classes), "bias": (settings.n_classes,)})
    )
    return result


def check_layers(found: Sequence[str], wanted: list[Layer], settings: ModelSettings, name: str) -> None:
    """Kinds in their places, and numbers that rise in the order in which the network is made."""
    matches = [_LAYER.fullmatch(layer_name) for layer_name in found]
    foreign = [layer_name for layer_name, match in zip(found, matches, strict=True) if match is None]
    if foreign:
        raise WeightsError(
            f"{name} has weights of layers that the published network does not have: {some(foreign)}. It has {CONV}, "
            f"{NORM}, {FUSION} and {CLASSIFIER}. Give a file of published weights."
        )
    parsed = [(match[1], int(match[2] or 0)) for match in matches if match]
    kinds, needed = [kind for kind, _ in parsed], [layer.kind for layer in wanted]
    if kinds != needed:
        raise WeightsError(f"{name} {_difference(kinds, needed, settings)} Give a whole file of this corpus.")
    for kind in (CONV, NORM):
        numbers = [number for other, number in parsed if other == kind]
        made = [layer.made for layer in wanted if layer.kind == kind]
        if [sorted(numbers).index(number) for number in numbers] != made:
            raise WeightsError(
                f"{name} has its {kind} layers in another order than the published network, such as {some(found)}: "
                "forward and backward weights could not be told apart. Give a file as the published system saved it."
            )


def _difference(kinds: list[str], needed: list[str], settings: ModelSettings) -> str:
    n_tabs = (kinds.count(CONV) - 2) // 4
    if n_tabs > 0 and kinds == [layer.kind for layer in layers(replace(settings, n_tabs=n_tabs))]:
        return (
            f"is of a network with {n_tabs} blocks, and the model has {settings.n_tabs} (n_tabs; published with 10 for "
            "IEMOCAP and 8 for the others)."
        )
    wrong = [
        f"{kinds.count(kind)} {kind} layers instead of {needed.count(kind)}"
        for kind in (CONV, NORM, FUSION, CLASSIFIER)
        if kinds.count(kind) != needed.count(kind)
    ]
    if wrong:
        return f"has {', '.join(wrong)}, for {settings.n_tabs} blocks (n_tabs)."
    place = next(place for place, pair in enumerate(zip(kinds, needed, strict=True)) if pair[0] != pair[1])
    return f"has its layers in another order: {kinds[place]} at place {place + 1} instead of {needed[place]}."
