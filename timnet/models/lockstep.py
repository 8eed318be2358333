"""Networks of one shape side by side as one program: each the mathematics of its own Keras layers, and nothing shared.

The form is that of timnet.models.compiled with an axis in front, the replica: rows are (replica x direction,
batch x frame, channel), and a convolution of all replicas is one batched matrix product. Everything goes through
keras.ops, so it runs on TensorFlow and on JAX. Replicas may have batches of different sizes: what fills them up is
left out of every statistic, and random numbers are those of a batch of the own size.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from timnet.models import philox
from timnet.models.base import BATCH_NORM_EPSILON, BATCH_NORM_MOMENTUM
from timnet.recipes import ModelSettings

WIDTH_STEP = 8  # channels, as in timnet.models.compiled, whose random numbers depend on it; a multiple of 4

Weights = Mapping[str, Any]  # by the names of timnet.models.base.variables, each with the replica in front
Fusion = Callable[[Sequence[Any], Weights], Any]


def learned_sum(vectors: Sequence[Any], weights: Weights) -> Any:
    """TIM-Net's dynamic fusion."""
    from keras import ops

    return ops.sum(ops.stack(vectors, axis=-1) * weights["fusion/kernel"][:, None, None, :, 0], axis=-1)


def plain_mean(vectors: Sequence[Any], weights: Weights) -> Any:
    return sum(vectors[1:], start=vectors[0]) / len(vectors)


def last_of(vectors: Sequence[Any], weights: Weights) -> Any:
    return vectors[-1]


def gated(x: Any, y: Any) -> Any:
    """How a temporal-aware block of TIM-Net ends."""
    from keras import ops

    return x * ops.sigmoid(y)


def residual(x: Any, y: Any) -> Any:
    """How a block of the plain TCN ends."""
    from keras import ops

    return ops.relu(x + y)


class Program:
    """The forward pass of replicas of a model, for training and for prediction.

    `compute`: the type of what lies between statistics, which stay float32, as logits and embedding do.
    """

    def __init__(
        self,
        settings: ModelSettings,
        compute: str = "float32",
        *,
        fusion: Fusion,
        directions: Sequence[str] = ("forward/", "backward/"),
        blocks: str = "tab",
        ended: Callable[[Any, Any], Any] = gated,
    ):
        self._settings, self._compute = settings, compute
        self._fusion, self._directions, self._blocks, self._ended = fusion, directions, blocks, ended
        self._width = math.ceil(settings.filters / WIDTH_STEP) * WIDTH_STEP

    def train(self, weights: Weights, frames: Any, n_rows: Any, seeds: Any) -> tuple[Any, Any, dict[str, Any]]:
        """Logits, embedding and moved statistics by name, each batch normalised by the statistics of its real rows.

        `frames`: (replica, batch, n_frames, n_coefficients) float32, finite. `n_rows`: int32 (replica,), how many rows of
        each batch, from the first on, are real. `seeds`: int32 (replica, 2), which the dropout follows from.
        """
        return self._forward(weights, frames, n_rows, self._dropout(frames.shape[1], n_rows, seeds))

    def predict(self, weights: Weights, frames: Any) -> tuple[Any, Any]:
        """Logits (replica, batch, class) and embedding (replica, batch, n), normalised by the stored statistics."""
        return self._forward(weights, frames, None, None)[:2]

    def _forward(self, weights: Weights, frames: Any, n_rows: Any, dropout: Any) -> tuple[Any, Any, dict[str, Any]]:
        from keras import ops

        n, batch, n_frames, n_coefficients = frames.shape
        each = (n, len(self._directions), batch, n_frames)
        shape = (n * len(self._directions), batch, n_frames, self._width)
        seen = [ops.flip(frames, axis=2) if name == "backward/" else frames for name in self._directions]
        # From here on rows are (replica x direction, batch x frame, channel).
        stacked = self._cast(ops.reshape(ops.stack(seen, axis=1), (shape[0], batch * n_frames, n_coefficients)))
        share = None if n_rows is None else _share(n_rows, each)
        moved: dict[str, Any] = {}
        kernel = self._stacked(weights, "stem/kernel", (-1,))[:, 0]
        x = ops.matmul(stacked, self._cast(kernel)) + self._vector(weights, "stem/bias")
        vectors = []
        for block in range(1, self._settings.n_tabs + 1):
            y = x
            for half in (1, 2):
                name = f"{self._blocks}{block}"
                y = self._convolved(weights, y, f"{name}/conv{half}", 2 ** (block - 1), shape)
                y = ops.relu(self._normalised(weights, y, f"{name}/norm{half}", share, moved))
                if dropout is not None:
                    y = ops.reshape(ops.reshape(y, shape) * self._cast(dropout[:, block - 1, half - 1]), y.shape)
            x = self._ended(x, y)
            means = ops.mean(ops.cast(ops.reshape(x, (*each, self._width)), "float32"), axis=3)
            vectors.append(ops.sum(means, axis=1)[..., : self._settings.filters])
        embedding = self._fusion(vectors, weights)
        logits = ops.matmul(embedding, weights["classifier/kernel"]) + weights["classifier/bias"][:, None]
        return logits, embedding, moved

    def _convolved(self, weights: Weights, x: Any, name: str, dilation: int, shape: tuple[int, ...]) -> Any:
        """Causal and dilated: each frame's product with the last kernel, and those before with the earlier ones."""
        from keras import ops

        kernel = self._stacked(
            weights, f"{name}/kernel", (-2, -1)
        )  # (replica x direction, kernel size, channel, filter)
        size, n_frames = self._settings.kernel_size, shape[2]
        wide = ops.reshape(ops.transpose(kernel, (0, 2, 1, 3)), (shape[0], shape[3], size * shape[3]))
        products = ops.reshape(ops.matmul(x, self._cast(wide)), (*shape[:3], size, shape[3]))
        total = products[..., size - 1, :]
        for tap in range(size - 1):
            late = (size - 1 - tap) * dilation
            if late < n_frames:
                total += ops.pad(products[:, :, : n_frames - late, tap], ((0, 0), (0, 0), (late, 0), (0, 0)))
        return ops.reshape(total, x.shape) + self._vector(weights, f"{name}/bias")

    def _normalised(self, weights: Weights, x: Any, name: str, share: Any, moved: dict[str, Any]) -> Any:
        from keras import ops

        if share is not None:
            wide = ops.cast(x, "float32")
            mean = ops.sum(wide * share, axis=1, keepdims=True)
            variance = ops.sum(ops.square(wide - ops.stop_gradient(mean)) * share, axis=1, keepdims=True)
            for moving, now in (("moving_mean", mean), ("moving_variance", variance)):
                self._move(weights, f"{name}/{moving}", now, moved)
        else:
            mean, variance = (
                self._stacked(weights, f"{name}/{moving}", (-1,))[:, None]
                for moving in ("moving_mean", "moving_variance")
            )
        scale = self._stacked(weights, f"{name}/gamma", (-1,))[:, None] * ops.rsqrt(variance + BATCH_NORM_EPSILON)
        offset = self._stacked(weights, f"{name}/beta", (-1,))[:, None] - mean * scale
        return x * self._cast(scale) + self._cast(offset)

    def _move(self, weights: Weights, name: str, now: Any, moved: dict[str, Any]) -> None:
        from keras import ops

        each = ops.reshape(now, (-1, len(self._directions), self._width))[..., : self._settings.filters]
        for number, direction in enumerate(self._directions):
            stored = weights[f"{direction}{name}"]
            moved[f"{direction}{name}"] = stored * BATCH_NORM_MOMENTUM + each[:, number] * (1 - BATCH_NORM_MOMENTUM)

    def _dropout(self, batch: int, n_rows: Any, seeds: Any) -> Any:
        """What whole channels are multiplied with: (replica x direction, block, half, batch, 1, channel).

        Those of separate training, which draws (block, half, direction, batch, 1, channel) for the rows that there are.
        """
        from keras import ops

        rate, n_directions, quads = self._settings.dropout, len(self._directions), self._width // 4
        if rate == 0:
            return None
        n_blocks = self._settings.n_tabs
        before = ops.reshape(ops.arange(n_blocks * 2 * n_directions), (n_blocks, 2, n_directions, 1, 1))
        rows = before * ops.reshape(n_rows, (-1, 1, 1, 1, 1, 1)) + ops.reshape(ops.arange(batch), (batch, 1))
        position = ops.cast(rows * quads + ops.arange(quads), "uint32")
        kept = ops.cast(philox.uniform(seeds, position) >= rate, "float32") / (1 - rate)
        kept = ops.reshape(kept, (-1, n_blocks, 2, n_directions, batch, 1, self._width))
        return ops.reshape(ops.transpose(kept, (0, 3, 1, 2, 4, 5, 6)), (-1, n_blocks, 2, batch, 1, self._width))

    def _cast(self, x: Any) -> Any:
        from keras import ops

        return ops.cast(x, self._compute)

    def _vector(self, weights: Weights, name: str) -> Any:
        return self._cast(self._stacked(weights, name, (-1,))[:, None])

    def _stacked(self, weights: Weights, name: str, padded: Sequence[int]) -> Any:
        """A variable of all replicas and directions, zeros put behind the axes that are channels."""
        from keras import ops

        each = [weights[f"{direction}{name}"] for direction in self._directions]
        pads = [[0, 0] for _ in each[0].shape]
        for axis in padded:
            pads[axis][1] = self._width - self._settings.filters
        stacked = ops.stack([ops.pad(value, pads) for value in each], axis=1)
        return ops.reshape(stacked, (-1, *stacked.shape[2:]))


def _share(n_rows: Any, each: tuple[int, int, int, int]) -> Any:
    """What a frame counts for in the mean of a batch, 0 in rows that only fill it up: (replica x direction, rows, 1)."""
    from keras import ops

    n, n_directions, batch, n_frames = each
    real = ops.cast(ops.arange(batch)[None] < n_rows[:, None], "float32")
    share = real / ops.cast(ops.maximum(n_rows, 1) * n_frames, "float32")[:, None]
    return ops.reshape(ops.broadcast_to(share[:, None, :, None], each), (n * n_directions, batch * n_frames, 1))
