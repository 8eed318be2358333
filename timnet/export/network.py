"""All folds of a trained model as one network, from features as they are to the mean of the folds' probabilities."""

from typing import TYPE_CHECKING

from timnet import models
from timnet.models.base import set_weights
from timnet.trained.base import Trained, TrainedFold
from timnet.training import INPUT_MEAN, INPUT_SD

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

INPUT, OUTPUT = "frames", "probabilities"  # their names in every file


def ensemble(trained: Trained) -> "keras.Model":
    """From frames (batch, n_frames, n_coefficients) float32 to probabilities (batch, n_classes) float32.

    Each fold standardises its input as it did in training. Raises WeightsError where weights are not of the model.
    """
    import keras
    from keras import layers

    frames = keras.Input((trained.model.n_frames, trained.model.n_coefficients), name=INPUT)
    found = [_probabilities(frames, trained, one) for one in trained.folds]
    mean = layers.Average(name=OUTPUT)(found) if len(found) > 1 else layers.Identity(name=OUTPUT)(found[0])
    return keras.Model(frames, mean, name=trained.model.name.replace("-", "_"))


def member(fold: TrainedFold) -> str:
    """The name of a fold's network in a file."""
    return f"seed{fold.seed}_fold{fold.fold}"


def _probabilities(frames: "keras.KerasTensor", trained: Trained, fold: TrainedFold) -> "keras.KerasTensor":
    import keras
    from keras import layers

    name = member(fold)
    network = models.get(trained.model.name).build(trained.model)
    set_weights(network, {key: array for key, array in fold.weights.items() if key not in (INPUT_MEAN, INPUT_SD)})
    if INPUT_MEAN in fold.weights:  # with constants, since a layer's would be further inputs in ONNX
        frames = (frames - fold.weights[INPUT_MEAN]) / fold.weights[INPUT_SD]
    logits = keras.Model(network.inputs, network.outputs[0], name=name)(frames)
    return layers.Softmax(name=f"{name}_softmax")(logits)


def traced(model: "keras.Model") -> "tf.types.experimental.GenericFunction":
    """The model as a TensorFlow function with its weights as constants: nothing is left to freeze when it is converted."""
    import tensorflow as tf

    trainable = [variable.numpy() for variable in model.trainable_variables]
    others = [variable.numpy() for variable in model.non_trainable_variables]

    def predict(frames):  # type: ignore[no-untyped-def]
        probabilities, _ = model.stateless_call(trainable, others, frames, training=False)
        return {OUTPUT: probabilities}

    given = tf.TensorSpec([None, *model.input_shape[1:]], tf.float32, name=INPUT)
    return tf.function(predict, input_signature=[given], autograph=False)
