"""Several networks of one shape in one program: their weights and momenta stacked, a training step of all at once.

The step is what timnet.training does for each alone: its own batch, statistics, dropout, gradients and Adam. It is one
compiled program on Keras' TensorFlow or JAX backend. Between steps each replica can be read and written in the form that
a network which is trained alone has.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from timnet import augment, models
from timnet.errors import ConfigError, TimnetError
from timnet.models.base import set_weights, variables
from timnet.recipes import ModelSettings, Recipe
from timnet.training import INPUT_MEAN, INPUT_SD, PREDICT_BATCH, Batch, initial_network, softmax

# The stacked arrays, (replica, n): a row has all parameters of a replica, one after the other, and so on.
TRAINED, MOMENTUM, VELOCITY, STATISTICS, STEPS = "trained", "momentum", "velocity", "statistics", "steps"
AVERAGED = {TRAINED: "averaged_trained", STATISTICS: "averaged_statistics"}  # what predicts, if the recipe averages
BACKENDS = ("tensorflow", "jax")


class _Place(NamedTuple):
    """Where a variable lies in the rows of a stacked array."""

    kind: str
    part: slice
    shape: tuple[int, ...]

    def of(self, row: Any) -> Any:
        return row[self.kind][..., self.part].reshape((*row[self.kind].shape[:-1], *self.shape))


class Replicas:
    """`n` networks, their optimizers and the standardisation in front of each."""

    def __init__(self, model: ModelSettings, recipe: Recipe, n: int, compute: str = "float32"):
        import keras

        program = models.get(model.name).lockstep
        if program is None:
            raise ConfigError(f"The model {model.name} cannot be trained in lockstep. Train its folds one by one.")
        self.n, self.smoothing = n, recipe.label_smoothing
        self._settings, self._recipe = model, recipe
        self._program = program(model, compute)
        # This network and its optimizer are not trained: they say what there is and in which order a checkpoint has it.
        template = models.get(model.name).build(model)
        optimizer = keras.optimizers.Adam(1.0, recipe.beta_1, recipe.beta_2, recipe.epsilon)
        optimizer.build(template.trainable_variables)
        self._template = template
        self.n_parameters = sum(math.prod(v.shape) for v in template.weights)
        names = {id(variable): name for name, variable in variables(template).items()}
        statistics = [v for v in template.non_trainable_variables if id(v) in names]
        lists = {
            TRAINED: template.trainable_variables,
            STATISTICS: statistics,
            MOMENTUM: optimizer._momentums,
            VELOCITY: optimizer._velocities,
            STEPS: [optimizer.iterations],
        }
        places = {
            id(v): place for kind, some in lists.items() for v, place in zip(some, _places(kind, some), strict=True)
        }
        self._weights = {name: places[id(variable)] for name, variable in variables(template).items()}
        self._predicting = self._weights
        if recipe.averaged:
            self._predicting = {
                name: place._replace(kind=AVERAGED[place.kind]) for name, place in self._weights.items()
            }
        kept = {f"model/{i}": v for i, v in enumerate(template.variables)}
        kept |= {f"optimizer/{i}": v for i, v in enumerate(optimizer.variables)}
        self._kept = {key: (places[id(v)], v.numpy().dtype) for key, v in kept.items() if id(v) in places}
        if recipe.averaged:
            self._kept |= {f"averaged/{i}": (place, np.float32) for i, place in enumerate(self._predicting.values())}
        # Nothing here uses the rest, such as the state of the layers' own random numbers: it goes through unchanged.
        self._unused = [{key: v.numpy() for key, v in kept.items() if id(v) not in places}] * n
        self._unused_at_first = self._unused[0]
        widths = {kind: sum(math.prod(v.shape) for v in some) for kind, some in lists.items()}
        self._host: dict[str, np.ndarray] | None = {
            kind: np.zeros((n, width), np.int32 if kind == STEPS else np.float32) for kind, width in widths.items()
        }
        if recipe.averaged:
            self._host |= {mean: np.zeros((n, widths[kind]), np.float32) for kind, mean in AVERAGED.items()}
        self._host |= {INPUT_MEAN: np.zeros((n, model.n_coefficients), np.float32)}
        self._host |= {INPUT_SD: np.ones((n, model.n_coefficients), np.float32)}
        self._standardises = [False] * n
        self._state: dict[str, Any] | None = None  # the same on the device, after a step
        self._features: tuple[np.ndarray, Any] | None = None
        self._tracts = augment.warps(recipe.warp, model.n_coefficients)
        self._step, self._infer = _compiled(self._one_step), _compiled(self._one_prediction)
        self._average = _compiled(self._one_average)

    def start(self, replica: int, seed: int, fold: int, mean: np.ndarray | None, sd: np.ndarray | None) -> None:
        """Back to the beginning of a fold: initial weights of its seed, no momentum."""
        for kind in (MOMENTUM, VELOCITY, STEPS):
            self._written()[kind][replica] = 0
        self._unused[replica] = self._unused_at_first
        fresh = variables(initial_network(self._settings, seed, fold))
        self._put(replica, {name: variable.numpy() for name, variable in fresh.items()}, mean, sd)

    def train_on(
        self, features: np.ndarray, classes: np.ndarray, steps: Sequence[Mapping[int, Batch]], size: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Step after step, each of the replicas in the mapping, with no batch larger than size; the others stay as they are.

        Returns the sums of the losses and the numbers of right answers over all steps, (replica,).
        """
        found = [self._train_on(features, classes, step, size) for step in steps]  # the device need not wait for us
        losses, right = (np.stack([_numpy(one) for one in some]) for some in zip(*found, strict=True))
        return losses.sum(axis=0, dtype=np.float64), right.sum(axis=0)

    def _train_on(
        self, features: np.ndarray, classes: np.ndarray, batches: Mapping[int, Batch], size: int
    ) -> tuple[Any, Any]:
        rows, seeds = np.zeros((self.n, size), np.int32), np.zeros((self.n, 2), np.int32)
        n_rows, rates = np.zeros(self.n, np.int32), np.zeros(self.n, np.float32)
        for replica, batch in batches.items():
            rows[replica] = np.resize(batch.rows, size)  # rows of its own fill it up: what is left out is finite, too
            n_rows[replica], rates[replica], seeds[replica] = len(batch.rows), batch.rate, batch.seed
        given = [rows, classes[rows].astype(np.int32), n_rows, rates, seeds]
        if self._recipe.augments:
            draws = np.tile(augment.nothing(size), (self.n, 1, 1))
            for replica, batch in batches.items():
                assert batch.draws is not None
                draws[replica] = np.resize(batch.draws, draws.shape[1:])
            given.append(draws)
        self._state, totals, right = self._step(self._tensors(), self._on_device(features), *map(_tensor, given))
        self._host = None
        return totals, right

    def average(self, n: Mapping[int, int]) -> None:
        """Have the mean of a replica's last n[replica] epochs predict, as a network that is trained alone does."""
        if self._recipe.averaged and n:
            counts = np.zeros(self.n, np.int32)
            counts[list(n)] = list(n.values())
            self._state, self._host = self._average(self._tensors(), _tensor(counts)), None

    def predict(self, features: np.ndarray, rows: Mapping[int, np.ndarray]) -> dict[int, tuple[np.ndarray, np.ndarray]]:
        """Probabilities (n_rows, n_classes) and embeddings of the rows that each replica in the mapping is asked for."""
        found: dict[int, list[tuple[np.ndarray, np.ndarray]]] = {replica: [] for replica in rows}
        for start in range(0, max(map(len, rows.values()), default=0), PREDICT_BATCH):
            full = np.zeros((self.n, PREDICT_BATCH), np.int32)
            parts = {
                replica: some[start : start + PREDICT_BATCH] for replica, some in rows.items() if len(some) > start
            }
            for replica, part in parts.items():
                full[replica] = np.resize(part, PREDICT_BATCH)
            logits, embeddings = map(_numpy, self._infer(self._tensors(), self._on_device(features), _tensor(full)))
            for replica, part in parts.items():
                found[replica].append((softmax(logits[replica, : len(part)]), embeddings[replica, : len(part)]))
        return {
            replica: (np.concatenate([one for one, _ in some]), np.concatenate([other for _, other in some]))
            for replica, some in found.items()
        }

    def weights(self, replica: int) -> dict[str, np.ndarray]:
        """All that predicting needs, as a network that is trained alone names it."""
        row = {kind: array[replica] for kind, array in self._read().items()}
        weights = {name: place.of(row).copy() for name, place in self._predicting.items()}
        if self._standardises[replica]:
            weights |= {name: row[name].copy() for name in (INPUT_MEAN, INPUT_SD)}
        return weights

    def load(self, replica: int, weights: Mapping[str, np.ndarray]) -> None:
        """Raises WeightsError where they are not of this model."""
        own = {name: value for name, value in weights.items() if name not in (INPUT_MEAN, INPUT_SD)}
        set_weights(self._template, own)
        self._put(replica, own, weights.get(INPUT_MEAN), weights.get(INPUT_SD))

    def arrays(self, replica: int) -> dict[str, np.ndarray]:
        """What a checkpoint keeps of a network and its optimizer."""
        row = {kind: array[replica] for kind, array in self._read().items()}
        return {key: place.of(row).astype(dtype) for key, (place, dtype) in self._kept.items()} | self._unused[replica]

    def restore(self, replica: int, arrays: Mapping[str, np.ndarray]) -> None:
        """Go on from what `arrays` gave, here or in separate training."""
        row = {kind: array[replica] for kind, array in self._written().items()}
        for key, (place, _) in self._kept.items():
            place.of(row)[...] = arrays[key]
        self._unused[replica] = {key: arrays[key] for key in self._unused_at_first}

    def _put(
        self, replica: int, weights: Mapping[str, np.ndarray], mean: np.ndarray | None, sd: np.ndarray | None
    ) -> None:
        row = {kind: array[replica] for kind, array in self._written().items()}
        for places in (self._weights, self._predicting):
            for name, place in places.items():
                place.of(row)[...] = weights[name]
        self._standardises[replica] = mean is not None
        row[INPUT_MEAN][...] = 0 if mean is None else mean
        row[INPUT_SD][...] = 1 if sd is None else sd

    def _read(self) -> dict[str, np.ndarray]:
        if self._host is None:
            assert self._state is not None
            self._host = {kind: np.array(_numpy(array)) for kind, array in self._state.items()}
        return self._host

    def _written(self) -> dict[str, np.ndarray]:
        """The arrays to write to; the device gets them before its next work."""
        host, self._state = self._read(), None
        return host

    def _tensors(self) -> dict[str, Any]:
        if self._state is None:
            self._state = {kind: _tensor(array) for kind, array in self._read().items()}
        return self._state

    def _on_device(self, features: np.ndarray) -> Any:
        if self._features is None or self._features[0] is not features:
            self._features = features, _tensor(features)
        return self._features[1]

    def _frames(self, state: Mapping[str, Any], features: Any, rows: Any, draws: Any = None) -> Any:
        from keras import ops

        frames = ops.take(features, rows, axis=0)
        if draws is not None:
            frames = augment.changed(frames, draws, self._tracts)
        return (frames - state[INPUT_MEAN][:, None, None]) / state[INPUT_SD][:, None, None]

    def _named(self, state: Mapping[str, Any], places: Mapping[str, _Place]) -> dict[str, Any]:
        from keras import ops

        return {
            name: ops.reshape(state[place.kind][:, place.part], (self.n, *place.shape))
            for name, place in places.items()
            if place.kind in state
        }

    def _one_prediction(self, state: dict[str, Any], features: Any, rows: Any) -> tuple[Any, Any]:
        return self._program.predict(self._named(state, self._predicting), self._frames(state, features, rows))

    def _one_average(self, state: dict[str, Any], n: Any) -> dict[str, Any]:
        from keras import ops

        n, after = n[:, None], {}
        for kind, name in AVERAGED.items():
            now, mean = state[kind], state[name]
            moved = mean + (now - mean) / ops.cast(ops.maximum(n, 1), "float32")
            after[name] = ops.where(n == 1, now, ops.where(n > 1, moved, mean))
        return state | after

    def _one_step(
        self, state: dict[str, Any], features: Any, rows: Any, classes: Any, n_rows: Any, rates: Any, seeds: Any,
        draws: Any = None,
    ) -> tuple[dict[str, Any], Any, Any]:  # fmt: skip
        from keras import ops

        frames, n_classes = self._frames(state, features, rows, draws), self._settings.n_classes
        targets = ops.one_hot(classes, n_classes) * (1 - self.smoothing) + self.smoothing / n_classes
        real = ops.cast(ops.arange(rows.shape[1])[None] < n_rows[:, None], "float32")
        statistics = self._named({STATISTICS: state[STATISTICS]}, self._weights)

        def loss_of(trained: dict[str, Any]) -> tuple[Any, Any]:
            logits, _, moved = self._program.train(trained | statistics, frames, n_rows, seeds)
            totals = -ops.sum(ops.sum(targets * ops.log_softmax(logits), axis=-1) * real, axis=-1)
            right = ops.sum(ops.cast(ops.equal(ops.argmax(logits, axis=-1), classes), "float32") * real, axis=-1)
            losses = totals / ops.cast(
                ops.maximum(n_rows, 1), "float32"
            )  # a replica's weights are in its own loss alone
            return ops.sum(losses), (totals, ops.cast(right, "int32"), moved)

        (totals, right, moved), gradients = _with_gradients(
            loss_of, self._named({TRAINED: state[TRAINED]}, self._weights)
        )
        gradient, statistic = self._stacked(TRAINED, gradients), self._stacked(STATISTICS, moved)
        steps = state[STEPS] + 1
        weights, momentum, velocity = self._adam(state, gradient, steps, rates)
        after = {TRAINED: weights, MOMENTUM: momentum, VELOCITY: velocity, STATISTICS: statistic, STEPS: steps}
        at_work = n_rows[:, None] > 0
        return state | {kind: ops.where(at_work, new, state[kind]) for kind, new in after.items()}, totals, right

    def _adam(self, state: Mapping[str, Any], gradient: Any, steps: Any, rates: Any) -> tuple[Any, Any, Any]:
        """Weights, momentum and velocity after a step, by the formula of Keras' Adam, each replica with its own rate."""
        from keras import ops

        recipe = self._recipe
        momentum = state[MOMENTUM] + (gradient - state[MOMENTUM]) * (1 - recipe.beta_1)
        velocity = state[VELOCITY] + (ops.square(gradient) - state[VELOCITY]) * (1 - recipe.beta_2)
        step = ops.cast(steps, "float32")
        rate = rates[:, None] * ops.sqrt(1 - ops.power(recipe.beta_2, step)) / (1 - ops.power(recipe.beta_1, step))
        return state[TRAINED] - momentum * rate / (ops.sqrt(velocity) + recipe.epsilon), momentum, velocity

    def _stacked(self, kind: str, named: Mapping[str, Any]) -> Any:
        from keras import ops

        own = sorted((place.part.start, name) for name, place in self._weights.items() if place.kind == kind)
        return ops.concatenate([ops.reshape(named[name], (self.n, -1)) for _, name in own], axis=1)


def _places(kind: str, some: Sequence[Any]) -> list[_Place]:
    ends = np.cumsum([math.prod(v.shape) for v in some]).tolist()
    return [_Place(kind, slice(a, b), tuple(v.shape)) for v, a, b in zip(some, [0, *ends], ends, strict=False)]


def _compiled(function: Callable) -> Callable:
    """One program on the device. Keras has no such thing for all of its backends, nor gradients: here is where they differ."""
    import keras

    match keras.backend.backend():
        case "tensorflow":
            import tensorflow as tf

            return tf.function(function, autograph=False, jit_compile=True)
        case "jax":
            import jax

            return jax.jit(function)
        case backend:
            raise TimnetError(
                f"Training in lockstep runs on Keras' backends {' and '.join(BACKENDS)}, and this process has {backend}. "
                f"Set KERAS_BACKEND={BACKENDS[0]}."
            )


def _with_gradients(loss_of: Callable[[dict[str, Any]], tuple[Any, Any]], trained: dict[str, Any]) -> tuple[Any, Any]:
    """What the function returns beside the loss, and the loss's gradients."""
    import keras

    if keras.backend.backend() == "jax":
        import jax

        (_, beside), gradients = jax.value_and_grad(loss_of, has_aux=True)(trained)
        return beside, gradients
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(trained)
        loss, beside = loss_of(trained)
    return beside, tape.gradient(loss, trained)


def _tensor(array: np.ndarray) -> Any:
    from keras import ops

    return ops.convert_to_tensor(array)


def _numpy(tensor: Any) -> np.ndarray:
    from keras import ops

    return ops.convert_to_numpy(tensor)
