"""Train a network on one fold and predict its test part.

Everything random follows from (seed, fold): the initial weights, the order of every epoch, the dropout and how
utterances are changed. A fold that goes on from a checkpoint therefore ends with the numbers of one that nothing
disturbed.
"""

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from timnet import augment, choosing, models
from timnet.choosing import Chooser
from timnet.errors import TimnetError
from timnet.models.base import get_weights, set_weights, variables
from timnet.recipes import FoldSettings, ModelSettings, Recipe

if TYPE_CHECKING:
    import keras

PREDICT_BATCH = 64

# Frames x blocks of a whole training from which on the compiled form is used, where the model has one. It takes 8 s to
# compile and 2.6 s for each other size of a last batch, and saves about a second in 800 000 of these (EMODB, one thread).
COMPILE_FROM = 12e6
CHECKPOINT_VERSION = 2
INPUT_MEAN, INPUT_SD = "input/mean", "input/sd"  # names of the standardisation among the weights
_ORDER_STREAM, _WEIGHTS_STREAM, _DROPOUT_STREAM, _AUGMENT_STREAM = 0, 1, 2, 3


class Checkpoint(Protocol):
    def load(self) -> dict[str, np.ndarray] | None: ...
    def save(self, arrays: dict[str, np.ndarray]) -> None: ...


class Kept(choosing.Network, Protocol):
    """A network in training, as results and checkpoints need it."""

    @property
    def n_parameters(self) -> int: ...
    def arrays(self) -> dict[str, np.ndarray]: ...
    def restore(self, arrays: Mapping[str, np.ndarray]) -> None: ...


@dataclass(frozen=True)
class FoldData:
    """The features of the whole corpus and the rows of each part."""

    features: np.ndarray  # (n_utterances, n_frames, n_coefficients) float32, never written to
    classes: np.ndarray  # (n_utterances,) int32
    train: np.ndarray  # row numbers
    validation: np.ndarray  # may be empty
    test: np.ndarray


@dataclass
class FoldResult:
    """What a fold leaves. Rows of probabilities and embeddings are those of the test part, in its order."""

    history: list[dict[str, Any]]  # columns of tables.HISTORY
    probabilities: np.ndarray  # (n_test, n_classes) float32
    embeddings: np.ndarray  # (n_test, n_embedding) float32
    weights: dict[str, np.ndarray]  # all that predicting needs, standardisation included
    chosen_epoch: int  # counted from 1; 0 where nothing was trained
    n_parameters: int
    seconds: dict[str, float]
    # Where the test part chose: what else might have chosen (last, validation), the epoch and its probabilities of the test part.
    others: dict[str, tuple[int, np.ndarray]] = field(default_factory=dict)


@dataclass(frozen=True)
class Batch:
    """What one step trains on, and with."""

    rows: np.ndarray
    rate: float
    seed: np.ndarray  # of the dropout, int32 (2,)
    draws: np.ndarray | None = None  # how each utterance is changed, as augment.drawn gives them


class Trainer:
    """Trains fold after fold in one process: TensorFlow starts once, and a network of a shape is compiled once."""

    def __init__(self, threads: int = 1, compile_from: float = COMPILE_FROM):
        start_tensorflow(threads)
        self._networks: dict[Any, _Network] = {}
        self._compile_from = compile_from

    def train(
        self,
        data: FoldData,
        settings: FoldSettings,
        checkpoint: Checkpoint | None = None,
        on_epoch: Callable[[dict[str, Any]], None] | None = None,
    ) -> FoldResult:
        """Train on data.train and predict data.test once, with the weights of the epoch that settings.selection names.

        `last`: the last epoch. `validation`: the highest UAR on data.validation, among equals the lowest loss, then the
        earliest. `test`: the highest accuracy on data.test, the earliest among equals; this is what leaks, and the result then
        also says what honest choices would have given.
        Raises TimnetError where the data cannot be trained on or the loss stops being a number.
        """
        check_data(data, settings)
        started = time.perf_counter()
        recipe = settings.recipe
        work = recipe.epochs * len(data.train) * settings.model.n_frames * settings.model.n_tabs
        network = self._network(settings.model, recipe, compiled=work >= self._compile_from)
        mean, sd = standardisation(data) if recipe.standardise else (None, None)
        network.start(settings.seed, settings.fold, mean, sd)
        chooser = Chooser(settings.selection, data)
        saved = checkpoint.load() if checkpoint else None
        history = [] if saved is None else go_on(saved, network, chooser)
        while len(history) < recipe.epochs and not chooser.is_patient_no_more(len(history), recipe):
            row = _epoch(len(history) + 1, data, settings, network)
            network.average(recipe.n_averaged(row["epoch"]))
            row |= chooser.look(row["epoch"], network)
            row["seconds"] = time.perf_counter() - row["seconds"]
            history.append(row)
            if on_epoch:
                on_epoch(row)
            if checkpoint and len(history) % settings.checkpoint_every_epochs == 0 and len(history) < recipe.epochs:
                checkpoint.save(snapshot(network, chooser, history))
        return result_of(network, chooser, data, history, started)

    def predict_with(self, data: FoldData, settings: FoldSettings, weights: Mapping[str, np.ndarray]) -> FoldResult:
        """Predict data.test with given weights; raises WeightsError where they do not fit the model."""
        started = time.perf_counter()
        network = self._network(settings.model, settings.recipe, compiled=False)
        network.load(weights)
        probabilities, embeddings = network.predict(data.features, data.test)
        seconds = {"train": 0.0, "predict": time.perf_counter() - started}
        return FoldResult([], probabilities, embeddings, network.weights(), 0, network.n_parameters, seconds)

    def _network(self, model: ModelSettings, recipe: Recipe, compiled: bool) -> "_Network":
        key = (model, recipe, compiled)
        if key not in self._networks:
            self._networks[key] = _Network(model, recipe, compiled)
        return self._networks[key]


def start_tensorflow(threads: int) -> None:
    """Give TensorFlow its threads and the same sums every time; raises TimnetError where it is too late or not the backend."""
    import keras

    if keras.backend.backend() != "tensorflow":
        raise TimnetError(
            f"Training runs on Keras' TensorFlow backend, and this process has {keras.backend.backend()}. "
            "Set KERAS_BACKEND=tensorflow."
        )
    import tensorflow as tf

    if tf.config.threading.get_intra_op_parallelism_threads() != threads:
        try:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(1)
        except RuntimeError as error:
            raise TimnetError(
                f"TensorFlow runs in this process already and cannot be given {threads} threads any more. "
                "Make the first Trainer of a process before anything else uses TensorFlow."
            ) from error
    tf.config.experimental.enable_op_determinism()


class _Network:
    """A compiled model with its optimizer, and the standardisation in front of it.

    Where the recipe averages weights, a second model of the same shape has the mean and predicts.
    """

    def __init__(self, model: ModelSettings, recipe: Recipe, compiled: bool):
        import keras
        import tensorflow as tf

        self._settings = model
        self.model = models.get(model.name).build(model)
        self._predicting = models.get(model.name).build(model) if recipe.averaged else self.model
        tracts = augment.warps(recipe.warp, model.n_coefficients)
        self.n_parameters = sum(math.prod(v.shape) for v in self.model.weights)
        self.mean: np.ndarray | None = None
        self.sd: np.ndarray | None = None
        self._eye = np.eye(model.n_classes, dtype=np.float32)
        self.optimizer = keras.optimizers.Adam(1.0, beta_1=recipe.beta_1, beta_2=recipe.beta_2, epsilon=recipe.epsilon)
        self.optimizer.build(self.model.trainable_variables)
        self._initial_optimizer = [v.numpy() for v in self.optimizer.variables]
        loss_of = keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=recipe.label_smoothing, reduction="sum"
        )
        frames = tf.TensorSpec([None, model.n_frames, model.n_coefficients], tf.float32)
        targets = tf.TensorSpec([None, model.n_classes], tf.float32)
        dropout = tf.TensorSpec([2], tf.int32)
        row = models.get(model.name)
        program = row.compiled(self.model, model) if compiled and row.compiled else None
        predicting = row.compiled(self._predicting, model) if compiled and row.compiled else None

        def gradients(x, y, seed):
            with tf.GradientTape() as tape:
                logits, _ = program.train(x, seed) if program else self.model(x, training=True)
                total = loss_of(y, logits)
                loss = total / tf.cast(tf.shape(x)[0], tf.float32)
            return total, tf.argmax(logits, axis=1), tape.gradient(loss, self.model.trainable_variables)

        if program:  # without the optimizer, whose many small steps take long to compile
            gradients = tf.function(gradients, jit_compile=True)

        # One trace for every batch size: a second one for the partial last batch would cost seconds.
        @tf.function(input_signature=[frames, targets, dropout])
        def step(x, y, seed):
            total, predicted, found = gradients(x, y, seed)
            self.optimizer.apply(found, self.model.trainable_variables)
            return total, predicted

        @tf.function(input_signature=[frames], jit_compile=predicting is not None)
        def infer(x):
            logits, embedding = predicting.predict(x) if predicting else self._predicting(x, training=False)
            return logits, embedding

        @tf.function(input_signature=[frames, tf.TensorSpec([None, 3], tf.float32)], jit_compile=program is not None)
        def changed(x, draws):  # on its own, before the standardisation
            return augment.changed(x, draws, tracts)

        self._step, self._infer, self._changed = step, infer, changed
        self.smoothing = recipe.label_smoothing

    def start(self, seed: int, fold: int, mean: np.ndarray | None, sd: np.ndarray | None) -> None:
        """Back to the beginning of a fold: initial weights of its seed, no momentum."""
        fresh = initial_network(self._settings, seed, fold)
        for variable, value in zip(self.model.variables, fresh.variables, strict=True):
            variable.assign(value)
        for variable, value in zip(self.optimizer.variables, self._initial_optimizer, strict=True):
            variable.assign(value)
        self.mean, self.sd = mean, sd
        self.average(1)

    def average(self, n: int) -> None:
        """Have the mean of the last n epochs' weights predict, this one's and those of the n - 1 calls before."""
        if self._predicting is not self.model:
            now = variables(self.model)
            for name, mean in variables(self._predicting).items():
                mean.assign(now[name] if n == 1 else mean + (now[name] - mean) * np.float32(1 / n))

    def batch(self, features: np.ndarray, rows: np.ndarray, draws: np.ndarray | None = None) -> np.ndarray:
        x = features[rows]
        if draws is not None:
            x = np.array(self._changed(x, draws))
        if self.mean is not None:
            x -= self.mean
            x /= self.sd
        return x

    def train_on(self, features: np.ndarray, classes: np.ndarray, batch: Batch) -> tuple[float, int]:
        """One step; returns the sum of the losses and the number of right answers."""
        self.optimizer.learning_rate.assign(batch.rate)
        truth = classes[batch.rows]
        x = self.batch(features, batch.rows, batch.draws)
        total, predicted = self._step(x, self._eye[truth], batch.seed)
        return float(total), int((predicted.numpy() == truth).sum())

    def predict(self, features: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        logits: list[np.ndarray] = []
        embeddings: list[np.ndarray] = []
        for start in range(0, len(rows), PREDICT_BATCH):
            part = rows[start : start + PREDICT_BATCH]
            full = np.resize(part, PREDICT_BATCH)  # of one size, as a compiled program is made for each
            for found, array in zip((logits, embeddings), self._infer(self.batch(features, full)), strict=True):
                found.append(array.numpy()[: len(part)])
        return softmax(np.concatenate(logits)), np.concatenate(embeddings)

    def weights(self) -> dict[str, np.ndarray]:
        standardised_by = {} if self.mean is None or self.sd is None else {INPUT_MEAN: self.mean, INPUT_SD: self.sd}
        return {**get_weights(self._predicting), **standardised_by}

    def load(self, weights: Mapping[str, np.ndarray]) -> None:
        set_weights(self._predicting, {k: v for k, v in weights.items() if k not in (INPUT_MEAN, INPUT_SD)})
        self.mean, self.sd = weights.get(INPUT_MEAN), weights.get(INPUT_SD)

    def arrays(self) -> dict[str, np.ndarray]:
        """What a checkpoint keeps of a network and its optimizer."""
        return {
            f"{kind}/{i}": variable.numpy()
            for kind, kept in self._variables().items()
            for i, variable in enumerate(kept)
        }

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        for kind, kept in self._variables().items():
            for i, variable in enumerate(kept):
                variable.assign(arrays[f"{kind}/{i}"])

    def _variables(self) -> dict[str, list["keras.Variable"]]:
        kept = {"model": self.model.variables, "optimizer": self.optimizer.variables}
        if self._predicting is not self.model:
            kept["averaged"] = list(variables(self._predicting).values())
        return kept


def softmax(logits: np.ndarray) -> np.ndarray:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (shifted / shifted.sum(axis=1, keepdims=True)).astype(np.float32)


def initial_network(model: ModelSettings, seed: int, fold: int) -> "keras.Model":
    """A network as the training of a fold begins with it."""
    import keras

    keras.utils.set_random_seed(int(np.random.SeedSequence([seed, fold, _WEIGHTS_STREAM]).generate_state(1)[0]))
    return models.get(model.name).build(model)


def _epoch(epoch: int, data: FoldData, settings: FoldSettings, network: _Network) -> dict[str, Any]:
    started = time.perf_counter()
    loss, right = 0.0, 0
    for batch in batches(epoch, data, settings):
        batch_loss, batch_right = network.train_on(data.features, data.classes, batch)
        loss, right = loss + batch_loss, right + batch_right
    return epoch_row(epoch, loss, right, batch.rate, len(data.train), settings) | {"seconds": started}


def batches(epoch: int, data: FoldData, settings: FoldSettings) -> list[Batch]:
    """The steps of an epoch, counted from 1."""
    recipe = settings.recipe
    order = np.random.default_rng(np.random.SeedSequence([settings.seed, settings.fold, epoch, _ORDER_STREAM]))
    rows = order.permutation(data.train)
    n_steps = math.ceil(len(rows) / recipe.batch_size)
    dropout = np.random.SeedSequence([settings.seed, settings.fold, epoch, _DROPOUT_STREAM])
    seeds = dropout.generate_state(2 * n_steps).view(np.int32).reshape(n_steps, 2)
    draws: Sequence[np.ndarray | None] = [None] * n_steps
    if recipe.augments:
        random = np.random.default_rng(np.random.SeedSequence([settings.seed, settings.fold, epoch, _AUGMENT_STREAM]))
        draws = np.split(
            augment.drawn(recipe, random, len(rows)), range(recipe.batch_size, len(rows), recipe.batch_size)
        )
    return [
        Batch(
            rows[i * recipe.batch_size : (i + 1) * recipe.batch_size],
            learning_rate(recipe, (epoch - 1) * n_steps + i, recipe.epochs * n_steps),
            seeds[i],
            draws[i],
        )
        for i in range(n_steps)
    ]


def epoch_row(
    epoch: int, loss: float, right: int, last_rate: float, n_train: int, settings: FoldSettings
) -> dict[str, Any]:
    """The first columns of the history, of sums over an epoch; raises TimnetError where the loss is no number."""
    if not math.isfinite(loss):
        raise TimnetError(
            f"The loss of seed {settings.seed} fold {settings.fold} is {loss} in epoch {epoch}: training diverged. "
            f"The learning rate was {last_rate:g}; use another --recipe, and check the features."
        )
    return {
        "epoch": epoch,
        "learning_rate": last_rate,
        "train_loss": loss / n_train,
        "train_accuracy": right / n_train,
    }


def learning_rate(recipe: Recipe, step: int, n_steps: int) -> float:
    """The rate of a step, counted from 0: constant, or half a cosine from the recipe's rate towards 0."""
    if recipe.schedule == "constant":
        return recipe.learning_rate
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * step / n_steps))


def standardisation(data: FoldData) -> tuple[np.ndarray, np.ndarray]:
    """Mean and sd of every coefficient over the frames of the training part, each (n_coefficients,) float32."""
    n_frames, n_coefficients = data.features.shape[1:]
    total, squares = np.zeros(n_coefficients), np.zeros(n_coefficients)
    for row in data.train:  # row by row: no copy of the features
        frames = data.features[row].astype(np.float64)
        total += frames.sum(axis=0)
        squares += (frames**2).sum(axis=0)
    n = len(data.train) * n_frames
    mean = total / n
    sd = np.sqrt(np.maximum(squares / n - mean**2, 0))
    return mean.astype(np.float32), np.where(sd > 1e-6, sd, 1).astype(np.float32)


def result_of(
    network: Kept, chooser: Chooser, data: FoldData, history: list[dict[str, Any]], started: float
) -> FoldResult:
    """What a fold leaves after its last epoch; the network then has the weights of the chosen one."""
    trained = time.perf_counter()
    others = chooser.others(len(history), network)
    chosen = chooser.use_best(network) or len(history)
    probabilities, embeddings = network.predict(data.features, data.test)
    return FoldResult(
        history=history,
        probabilities=probabilities,
        embeddings=embeddings,
        weights=network.weights(),
        chosen_epoch=chosen,
        n_parameters=network.n_parameters,
        seconds={"train": trained - started, "predict": time.perf_counter() - trained},
        others=others,
    )


def snapshot(network: Kept, chooser: Chooser, history: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """What a checkpoint keeps of a fold."""
    best, weights = chooser.state()
    state = {"version": CHECKPOINT_VERSION, "history": history, "best": best}
    arrays = {"state": np.frombuffer(json.dumps(state).encode(), np.uint8)}
    return arrays | network.arrays() | {f"best/{name}": value for name, value in weights.items()}


def go_on(arrays: dict[str, np.ndarray], network: Kept, chooser: Chooser) -> list[dict[str, Any]]:
    """The history up to the checkpoint; empty where it is of another version, and the fold then starts anew."""
    state = json.loads(arrays["state"].tobytes())
    if state.get("version") != CHECKPOINT_VERSION:
        return []
    network.restore(arrays)
    best = {name.removeprefix("best/"): value for name, value in arrays.items() if name.startswith("best/")}
    chooser.restore(state["best"], best)
    return state["history"]


def check_data(data: FoldData, settings: FoldSettings) -> None:
    """Raises TimnetError where the data cannot be trained on: shapes, empty parts, absent classes, what is not finite."""
    shape = (settings.model.n_frames, settings.model.n_coefficients)
    if data.features.dtype != np.float32 or data.features.shape[1:] != shape:
        raise TimnetError(
            f"Features are float32 of shape (n_utterances, {shape[0]}, {shape[1]}), received {data.features.dtype} "
            f"{data.features.shape}."
        )
    parts = ["train", "test"] + (["validation"] if settings.selection == "validation" else [])
    for part in parts:
        if len(getattr(data, part)) == 0:
            raise TimnetError(f"The {part} part of seed {settings.seed} fold {settings.fold} is empty.")
    absent = sorted(set(range(settings.model.n_classes)) - set(data.classes[data.train].tolist()))
    if absent:
        raise TimnetError(
            f"No utterance of class {absent} is in the train part of seed {settings.seed} fold {settings.fold}."
        )
    for part in parts:
        bad = [int(row) for row in getattr(data, part) if not np.isfinite(data.features[row]).all()]
        if bad:
            raise TimnetError(f"The features of rows {bad[:5]} in the {part} part are not finite. Extract them again.")
