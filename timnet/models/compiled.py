"""TIM-Net and its variants as a program that a compiler makes fast on a CPU: the same mathematics, another form.

Most of the time of a step goes into moving numbers, not into multiplying them. So both directions run as one tensor;
a dilated convolution is one matrix product whose halves are added with a shift; channels are padded with zeros to a
multiple of 8, so that they fill the registers; and XLA fuses what lies between two products. The layers' own variables
stay what is trained: padding and stacking are part of the program, and gradients go back through them. Unit tests hold
outputs and gradients against the Keras layers.
"""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from timnet.models.base import BATCH_NORM_EPSILON, BATCH_NORM_MOMENTUM, variables
from timnet.recipes import ModelSettings

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

WIDTH_STEP = 8  # channels; 16 would fill a register of 512 bits, and moves more zeros than that saves

Fusion = Callable[[Sequence["tf.Tensor"], Callable[[str], "tf.Tensor"]], "tf.Tensor"]


def learned_sum(vectors: Sequence["tf.Tensor"], variable: Callable[[str], "tf.Tensor"]) -> "tf.Tensor":
    """TIM-Net's dynamic fusion."""
    import tensorflow as tf

    return tf.squeeze(tf.matmul(tf.stack(vectors, axis=-1), variable("fusion/kernel")), -1)


def plain_mean(vectors: Sequence["tf.Tensor"], variable: Callable[[str], "tf.Tensor"]) -> "tf.Tensor":
    import tensorflow as tf

    return tf.add_n(list(vectors)) / len(vectors)


def last_of(vectors: Sequence["tf.Tensor"], variable: Callable[[str], "tf.Tensor"]) -> "tf.Tensor":
    return vectors[-1]


class Program:
    """The forward pass of a model that was built from the same settings, for training and for prediction."""

    def __init__(self, model: "keras.Model", settings: ModelSettings, fusion: Fusion, directions: Sequence[str]):
        self._variables = variables(model)
        self._settings, self._fusion, self._directions = settings, fusion, directions
        self._width = math.ceil(settings.filters / WIDTH_STEP) * WIDTH_STEP

    def train(self, frames: "tf.Tensor", seed: "tf.Tensor") -> tuple["tf.Tensor", "tf.Tensor"]:
        """Logits and embedding of a batch, normalised by its own statistics, which move the stored ones.

        `frames`: (batch, n_frames, n_coefficients) float32. `seed`: int32 (2,), which the dropout follows from.
        """
        return self._forward(frames, self._dropout(frames, seed), training=True)

    def predict(self, frames: "tf.Tensor") -> tuple["tf.Tensor", "tf.Tensor"]:
        """Logits and embedding of a batch, normalised by the stored statistics."""
        return self._forward(frames, None, training=False)

    def _forward(
        self, frames: "tf.Tensor", dropout: "tf.Tensor | None", training: bool
    ) -> tuple["tf.Tensor", "tf.Tensor"]:
        import tensorflow as tf

        shape = (len(self._directions), -1, self._settings.n_frames, self._width)
        seen = {"forward": frames, "backward": tf.reverse(frames, [1])}
        stacked = tf.reshape(
            tf.stack([seen[name] for name in self._directions]),
            (len(self._directions), -1, self._settings.n_coefficients),
        )
        # From here on rows are (direction, batch x frame, channel).
        x = tf.matmul(stacked, self._stacked("stem/kernel", (-1,))[:, 0]) + self._vector("stem/bias")
        vectors = []
        for block in range(1, self._settings.n_tabs + 1):
            y = x
            for half in (1, 2):
                y = self._convolved(y, f"tab{block}/conv{half}", 2 ** (block - 1), shape)
                y = tf.nn.relu(self._normalised(y, f"tab{block}/norm{half}", training))
                if dropout is not None:
                    y = tf.reshape(tf.reshape(y, shape) * dropout[block - 1, half - 1], tf.shape(y))
            x = x * tf.sigmoid(y)
            means = tf.reduce_mean(tf.reshape(x, shape), axis=2)
            vectors.append(tf.reduce_sum(means, axis=0)[:, : self._settings.filters])
        embedding = self._fusion(vectors, self._variable)
        logits = tf.matmul(embedding, self._variable("classifier/kernel")) + self._variable("classifier/bias")
        return logits, embedding

    def _convolved(self, x: "tf.Tensor", name: str, dilation: int, shape: tuple[int, ...]) -> "tf.Tensor":
        """Causal and dilated: each frame's product with the last kernel, and those before with the earlier ones."""
        import tensorflow as tf

        kernel = self._stacked(f"{name}/kernel", (-2, -1))  # (direction, kernel size, channel, filter)
        size, n_frames = self._settings.kernel_size, shape[2]
        wide = tf.reshape(tf.transpose(kernel, (0, 2, 1, 3)), (shape[0], shape[3], size * shape[3]))
        products = tf.reshape(tf.matmul(x, wide), (*shape[:3], size, shape[3]))
        total = products[..., size - 1, :]
        for tap in range(size - 1):
            late = (size - 1 - tap) * dilation
            if late < n_frames:
                total += tf.pad(products[:, :, : n_frames - late, tap], ((0, 0), (0, 0), (late, 0), (0, 0)))
        return tf.reshape(total, tf.shape(x)) + self._vector(f"{name}/bias")

    def _normalised(self, x: "tf.Tensor", name: str, training: bool) -> "tf.Tensor":
        import tensorflow as tf

        if training:
            mean = tf.reduce_mean(x, axis=1, keepdims=True)
            variance = tf.reduce_mean(tf.square(x - tf.stop_gradient(mean)), axis=1, keepdims=True)
            for moving, now in (("moving_mean", mean), ("moving_variance", variance)):
                self._move(f"{name}/{moving}", now)
        else:
            mean, variance = (self._vector(f"{name}/{moving}") for moving in ("moving_mean", "moving_variance"))
        scale = self._vector(f"{name}/gamma") * tf.math.rsqrt(variance + BATCH_NORM_EPSILON)
        return x * scale + (self._vector(f"{name}/beta") - mean * scale)

    def _move(self, name: str, now: "tf.Tensor") -> None:
        for number, direction in enumerate(self._directions):
            stored = self._variables[f"{direction}/{name}"]
            value = now[number, 0, : self._settings.filters]
            stored.assign(stored * BATCH_NORM_MOMENTUM + value * (1 - BATCH_NORM_MOMENTUM))

    def _dropout(self, frames: "tf.Tensor", seed: "tf.Tensor") -> "tf.Tensor | None":
        """What whole channels are multiplied with: (block, half, direction, batch, 1, channel)."""
        import tensorflow as tf

        rate = self._settings.dropout
        if rate == 0:
            return None
        shape = (self._settings.n_tabs, 2, len(self._directions), tf.shape(frames)[0], 1, self._width)
        drawn = tf.random.stateless_uniform(shape, seed, alg="philox")
        return tf.cast(drawn >= rate, tf.float32) / (1 - rate)

    def _variable(self, name: str) -> "tf.Tensor":
        import tensorflow as tf

        return tf.convert_to_tensor(self._variables[name].value)

    def _vector(self, name: str) -> "tf.Tensor":
        return self._stacked(name, (-1,))[:, None]

    def _stacked(self, name: str, padded: Sequence[int]) -> "tf.Tensor":
        """A variable of all directions, zeros put behind the axes that are channels."""
        import tensorflow as tf

        each = [self._variable(f"{direction}/{name}") for direction in self._directions]
        pads = [[0, 0] for _ in each[0].shape]
        for axis in padded:
            pads[axis][1] = self._width - self._settings.filters
        return tf.stack([tf.pad(value, pads) for value in each])
