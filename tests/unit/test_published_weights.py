"""The authors' weight files: which layer is which, broken and foreign files, and the published result itself."""

import io
from dataclasses import replace

import h5py
import numpy as np
import pytest

from timnet import audio, corpora, features, metrics, models, splits
from timnet.config import RECIPES, FoldSettings, ModelSettings
from timnet.corpora.manifest import published_order
from timnet.errors import ConfigError, WeightsError
from timnet.models.base import get_weights, set_weights
from timnet.published import weights_files
from timnet.published_layers import layers
from timnet.published_weights import read_weights, write_weights
from timnet.training import INPUT_MEAN, INPUT_SD, FoldData

TINY = ModelSettings("timnet", n_frames=20, n_coefficients=6, n_classes=3, n_tabs=3, filters=5)
PUBLISHED = ModelSettings("timnet", n_frames=188, n_coefficients=39, n_classes=7)


def keras_layers(settings, first=0):
    """The layers with weights of a published file as (name, {weight: array}), every number in it another.

    Written from what the published files look like, and not with timnet.published_layers. `first` is where Keras' count
    of layers stands when the network is made.
    """
    count = iter(range(1, 10**6))

    def conv(number, kernel, n_in):
        shapes = {"kernel": (kernel, n_in, settings.filters), "bias": (settings.filters,)}
        return f"conv1d_{first + number}" if first + number else "conv1d", shapes

    def norm(number):
        names = ("gamma", "beta", "moving_mean", "moving_variance")
        return f"batch_normalization_{first + number}", dict.fromkeys(names, (settings.filters,))

    found = [conv(0, 1, settings.n_coefficients), conv(1, 1, settings.n_coefficients)]
    for b in range(settings.n_tabs):
        # made: forward 1, forward 2, backward 1, backward 2; listed: forward 1, backward 1, forward 2, backward 2
        for one, other in ((0, 2), (1, 3)):
            found += [conv(2 + 4 * b + i, settings.kernel_size, settings.filters) for i in (one, other)]
            found += [norm(4 * b + i) for i in (one, other)]
    found.append(("weight_layer_1", {"kernel": (settings.n_tabs, 1)}))
    found.append(("dense_1", {"kernel": (settings.filters, settings.n_classes), "bias": (settings.n_classes,)}))
    return [
        (name, {w: (next(count) + np.arange(np.prod(s)) / 1000).reshape(s).astype("f4") for w, s in shapes.items()})
        for name, shapes in found
    ]


def keras_file(listed, change=lambda file: None):
    """An HDF5 file as Keras 2 saves it, layers without weights included, and then changed."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        names = ["input_1", "tf.reverse", *(name for name, _ in listed), "activation_1"]
        file.attrs["layer_names"] = np.array(names, "S")
        file.attrs["backend"], file.attrs["keras_version"] = b"tensorflow", b"2.4.0"
        for name in ("input_1", "tf.reverse", "activation_1"):
            file.create_group(name).attrs["weight_names"] = np.array([])
        for name, weights in listed:
            group = file.create_group(name)
            group.attrs["weight_names"] = np.array([f"{name}/{weight}:0" for weight in weights], "S")
            for weight, value in weights.items():
                group[f"{name}/{weight}:0"] = value
        change(file)
    return buffer.getvalue()


def tiny_weights(seed=0):
    random = np.random.default_rng(seed)
    return {
        f"{layer.ours}/{name}": (np.abs(random.normal(size=shape)) + 0.1).astype(np.float32)
        for layer in layers(TINY)
        for name, shape in layer.shapes.items()
    }


def refusal(source, settings=TINY):
    with pytest.raises(WeightsError) as caught:
        read_weights(source, settings)
    return str(caught.value)


# -- which layer is which ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [0, 34, 98])  # conv1d_98 … conv1d_111: their names sort in another order
def test_layers_are_told_by_their_place_whatever_their_numbers(first):
    listed = keras_layers(TINY, first)
    read = read_weights(keras_file(listed), TINY)
    value = dict(listed)
    number = lambda n: f"conv1d_{first + n}" if first + n else "conv1d"  # noqa: E731
    for ours, conv in {
        "forward/stem": 0, "backward/stem": 1,
        "forward/tab1/conv1": 2, "forward/tab1/conv2": 3, "backward/tab1/conv1": 4, "backward/tab1/conv2": 5,
        "forward/tab3/conv1": 10, "forward/tab3/conv2": 11, "backward/tab3/conv1": 12, "backward/tab3/conv2": 13,
    }.items():  # fmt: skip
        np.testing.assert_array_equal(read[f"{ours}/kernel"], value[number(conv)]["kernel"], ours)
        np.testing.assert_array_equal(read[f"{ours}/bias"], value[number(conv)]["bias"], ours)
    for ours, norm in {"forward/tab1/norm1": 0, "forward/tab1/norm2": 1, "backward/tab2/norm1": 6}.items():
        for name in ("gamma", "beta", "moving_mean", "moving_variance"):
            np.testing.assert_array_equal(read[f"{ours}/{name}"], value[f"batch_normalization_{first + norm}"][name])
    np.testing.assert_array_equal(read["fusion/kernel"], value["weight_layer_1"]["kernel"])
    np.testing.assert_array_equal(read["classifier/bias"], value["dense_1"]["bias"])
    assert len(read) == sum(len(weights) for _, weights in listed)
    assert {array.dtype for array in read.values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize(
    "settings",
    [
        TINY,
        PUBLISHED,
        replace(PUBLISHED, n_frames=172, n_classes=6),  # CASIA
        replace(PUBLISHED, n_frames=215, n_classes=8),  # RAVDESS
        replace(PUBLISHED, n_frames=606, n_classes=4, n_tabs=10),  # IEMOCAP
    ],
)
@pytest.mark.usefixtures("trainer")
def test_names_and_shapes_are_those_of_the_model(settings):
    model = models.get("timnet").build(settings)
    read = read_weights(keras_file(keras_layers(settings, 34)), settings)
    assert {name: value.shape for name, value in read.items()} == {n: v.shape for n, v in get_weights(model).items()}
    set_weights(model, read)


def test_what_was_written_is_read_and_is_listed_as_keras_does():
    weights = tiny_weights()
    written = write_weights(weights, TINY)
    assert written == write_weights(weights, TINY)
    read = read_weights(written, TINY)
    assert read.keys() == weights.keys()
    for name, value in weights.items():
        np.testing.assert_array_equal(read[name], value)
    expected = [
        name.replace("_1", "") if name in ("weight_layer_1", "dense_1") else name for name, _ in keras_layers(TINY)
    ]
    expected = ["batch_normalization" if name == "batch_normalization_0" else name for name in expected]
    with h5py.File(io.BytesIO(written)) as file:
        assert [name.decode() for name in file.attrs["layer_names"]] == expected
        assert (file.attrs["backend"], file.attrs["keras_version"]) == ("tensorflow", "2.4.0")
        norm = file["batch_normalization_2"].attrs["weight_names"]
        assert [name.decode() for name in norm] == [
            f"batch_normalization_2/{name}:0" for name in ("gamma", "beta", "moving_mean", "moving_variance")
        ]
        assert file["conv1d_3/conv1d_3/kernel:0"].shape == (2, 5, 5)


@pytest.mark.usefixtures("trainer")
def test_a_standardised_input_is_written_into_the_first_convolutions():
    random = np.random.default_rng(3)
    weights = tiny_weights()
    mean = random.normal(scale=50, size=6).astype(np.float32)
    sd = random.uniform(3, 60, size=6).astype(np.float32)
    frames = random.normal(mean, sd, size=(2, 20, 6)).astype(np.float32)
    model = models.get("timnet").build(TINY)
    set_weights(model, weights)
    expected = np.asarray(model((frames - mean) / sd)[0])
    set_weights(model, read_weights(write_weights(weights | {INPUT_MEAN: mean, INPUT_SD: sd}, TINY), TINY))
    np.testing.assert_allclose(np.asarray(model(frames)[0]), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"classifier/bias": None}, "with 3 blocks: missing classifier/bias, unknown none"),
        ({"forward/tab4/conv1/kernel": np.zeros(1)}, "missing none, unknown forward/tab4/conv1/kernel"),
        ({INPUT_MEAN: np.zeros(6)}, f"missing {INPUT_SD}"),
        ({INPUT_MEAN: np.zeros(6), INPUT_SD: np.zeros(6)}, f"{INPUT_SD}, has the value 0.0"),
        ({"classifier/bias": np.zeros(4)}, "classifier/bias, tells 4 classes apart, and the model 3"),
        ({"fusion/kernel": np.full((3, 1), np.nan)}, "fusion/kernel, has 3 values that are not finite, of 3"),
    ],
)
def test_weights_of_another_network_are_not_written(change, text):
    weights = {name: value for name, value in (tiny_weights() | change).items() if value is not None}
    with pytest.raises(WeightsError) as caught:
        write_weights(weights, TINY)
    assert text in str(caught.value)


def test_only_tim_net_has_published_weights():
    with pytest.raises(WeightsError, match=r"are of the model timnet, received the model tcn\. Use --model timnet"):
        write_weights(tiny_weights(), replace(TINY, name="tcn"))
    with pytest.raises(ConfigError, match="n_tabs of a model is at least 1, received 0"):
        read_weights(write_weights(tiny_weights(), TINY), replace(TINY, n_tabs=0))


# -- files that do not fit --------------------------------------------------------------------------------------------


def test_another_number_of_classes_or_blocks_is_told():
    data = keras_file(keras_layers(TINY))
    text = refusal(data, replace(TINY, n_classes=6))
    assert "dense_1, classifier/kernel, tells 3 classes apart, and the model 6. Give the weights of this corpus" in text
    assert "7 for EMODB, EMOVO and SAVEE" in text
    text = refusal(data, replace(TINY, n_tabs=10))
    assert "The given file is of a network with 3 blocks, and the model has 10 (n_tabs; published with 10 for" in text
    assert "Give a whole file of this corpus." in text
    text = refusal(data, replace(TINY, n_coefficients=13))
    assert "conv1d, forward/stem/kernel, has the shape (1, 6, 5), and the model needs (1, 13, 5)" in text


def without(listed, name):
    return [entry for entry in listed if entry[0] != name]


def exchanged(listed, one, other):
    order = [name for name, _ in listed]
    i, j = order.index(one), order.index(other)
    listed = list(listed)
    listed[i], listed[j] = listed[j], listed[i]
    return listed


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda k: without(k, "conv1d_5"), "has 13 conv1d layers instead of 14, for 3 blocks (n_tabs)"),
        (lambda k: without(k, "weight_layer_1"), "has 0 weight_layer layers instead of 1"),
        (lambda k: [*k, ("dense_2", {"kernel": np.zeros((5, 3), "f4")})], "has 2 dense layers instead of 1"),
        (lambda k: [*k, ("lstm_1", {"kernel": np.zeros(3, "f4")})], "does not have: lstm_1. It has conv1d, batch_norm"),
        (lambda k: [], "has 0 conv1d layers instead of 14, 0 batch_normalization layers instead of 12, 0 weight_layer"),
        (lambda k: exchanged(k, "conv1d_3", "dense_1"), "in another order: dense at place 7 instead of conv1d"),
        # Forward and backward: nothing but their numbers tells them apart.
        (lambda k: exchanged(k, "conv1d", "conv1d_1"), "has its conv1d layers in another order than the published"),
        (lambda k: exchanged(k, "conv1d_3", "conv1d_4"), "could not be told apart"),
        (lambda k: exchanged(k, "batch_normalization_5", "batch_normalization_7"), "has its batch_normalization"),
    ],
)  # fmt: skip
def test_missing_additional_and_displaced_layers_are_told(change, text):
    assert text in refusal(keras_file(change(keras_layers(TINY))))


def put(path, value):
    def change(file):
        del file[path]
        file[path] = value

    return change


def attribute(path, name, value):
    def change(file):
        del file[path].attrs[name]
        if value is not None:
            file[path].attrs[name] = value

    return change


def compressed(file):
    del file["dense_1/dense_1/bias:0"]
    file["dense_1"].create_dataset("dense_1/bias:0", data=np.zeros(3, "f4"), compression="gzip")


KERNEL = "conv1d_2/conv1d_2/kernel:0"
VARIANCE = "batch_normalization_1/batch_normalization_1/moving_variance:0"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (put(KERNEL, np.zeros((1, 6, 5), "f4")), "conv1d_2, forward/tab1/conv1/kernel, has the shape (1, 6, 5), and"),
        (put(KERNEL, np.float32(3)), "has the shape (), and the model needs (2, 5, 5)"),
        (put(KERNEL, h5py.Empty("f4")), "has the shape None, and the model needs (2, 5, 5)"),
        (put(KERNEL, np.zeros((2, 5, 5), "f8")), "forward/tab1/conv1/kernel, is float64; allowed is float32"),
        (put(KERNEL, np.zeros((2, 5, 5), "i4")), "forward/tab1/conv1/kernel, is int32; allowed is float32"),
        (put(KERNEL, np.full((2, 5, 5), np.inf, "f4")), "conv1/kernel, has 50 values that are not finite, of 50."),
        (put(VARIANCE, np.full(5, -0.5, "f4")), "forward/tab1/norm2/moving_variance, has the value -0.5, and a"),
        (lambda file: file.pop(KERNEL), "names conv1d_2/kernel:0 and does not hold it"),
        (lambda file: file.pop("conv1d_2"), "names conv1d_2 and does not hold it. Fetch the file again"),
        (lambda file: (file.pop(KERNEL), file.create_group(KERNEL)), "forward/tab1/conv1/kernel, is not an array"),
        (compressed, "classifier/bias, lies in another file or in compressed pieces; allowed are plain arrays"),
        (attribute("/", "layer_names", None), "has no layer_names at /: Keras 2 did not write it with save_weights."),
        (attribute("/", "layer_names", np.arange(9.0)), "layer_names at / is float64 of shape (9,); allowed is a list"),
        (attribute("/", "layer_names", np.array(["a" * 2000], "S")), "is |S2000 of shape (1,); allowed is a list"),
        (attribute("/", "layer_names", np.array([b"\xff"], "S")), "is a broken or cut-off HDF5 file"),
        (attribute("/", "layer_names", np.array(["a//b"], "S")), "names a//b and does not hold it"),
        (attribute("conv1d_2", "weight_names", None), "has no weight_names at /conv1d_2"),
        (attribute("conv1d_2", "weight_names", np.array(["conv1d_2/bias:0", "conv1d_2/kernel:0"], "S")),
         "the layer conv1d_2 has the weights conv1d_2/bias:0, conv1d_2/kernel:0; a layer conv1d has kernel, bias"),
    ],
)  # fmt: skip
def test_broken_and_foreign_contents_are_told(change, text):
    found = refusal(keras_file(keras_layers(TINY), change))
    assert found.startswith("The given file")
    assert text in found


@pytest.mark.parametrize(
    "kind", ["file of a layer", "file of a weight", "other place", "data", "pieces", "growing pieces"]
)
def test_no_other_file_is_read_through_links(tmp_path, kind):
    listed = keras_layers(TINY)
    other = tmp_path / "other.hdf5"
    other.write_bytes(keras_file(listed))
    (tmp_path / "raw").write_bytes(np.ones(50, "f4").tobytes())

    def change(file):
        if kind == "file of a layer":
            put("conv1d_2", h5py.ExternalLink(str(other), "/conv1d_2"))(file)
        elif kind == "file of a weight":
            put(KERNEL, h5py.ExternalLink(str(other), KERNEL))(file)
        elif kind == "other place":
            put(KERNEL, h5py.SoftLink("/conv1d_3/conv1d_3/kernel:0"))(file)
        elif kind == "data":
            del file[KERNEL]
            file.create_dataset(KERNEL, shape=(2, 5, 5), dtype="f4", external=[(str(tmp_path / "raw"), 0, 200)])
        else:
            del file[KERNEL]
            most = (
                (None, 5, 5) if kind == "growing pieces" else (2, 5, 5)
            )  # HDF5 asks the other file how many there are
            layout = h5py.VirtualLayout(shape=(2, 5, 5), dtype="f4", maxshape=most)
            source = h5py.VirtualSource(str(other), KERNEL, shape=(2, 5, 5), maxshape=most)
            whole = slice(0, h5py.h5s.UNLIMITED if most[0] is None else 2)
            layout[whole] = source[whole]
            file.create_virtual_dataset(KERNEL, layout)

    data = keras_file(listed, change)
    path = tmp_path / "links.hdf5"
    path.write_bytes(data)
    with h5py.File(path) as file:
        assert file[KERNEL][()].shape == (2, 5, 5)  # so a reader that follows finds what fits
    text = refusal(data)
    assert (
        "lies in another file"
        if kind in ("data", "pieces", "growing pieces")
        else "is a link to somewhere else, which is not"
    ) in text
    assert "again from where it came from" in text


@pytest.mark.parametrize("length", [0, 7, 8, 100, 1000, 5000, -100])
def test_a_file_cut_off_is_told(length):
    data = keras_file(keras_layers(TINY))[:length]
    text = refusal(data)
    assert (
        "is not an HDF5 file: it starts with" if length in (0, 7) else "is a broken or cut-off HDF5 file of"
    ) in text


def test_files_that_are_something_else_are_named(tmp_path):
    path = tmp_path / "10-fold_weights_best_1.hdf5"
    path.write_text("<html>404</html>")
    assert f"{path} is not an HDF5 file: it starts with b'<html>40'. Published weights are files such as" in refusal(
        path
    )
    assert "it is not there" in refusal(tmp_path / "nothing")
    with path.open("r+b") as file:
        file.truncate(2**26 + 1)
    assert "has 67108865 bytes; published files of its kind have less than 67108864" in refusal(path)


def test_damaged_bytes_give_our_error_or_numbers():
    data, random = keras_file(keras_layers(TINY)), np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(data)
        for place in random.integers(8, len(data), size=4):
            damaged[place] = random.integers(256)
        try:
            read = read_weights(bytes(damaged), TINY)
        except WeightsError:
            continue
        assert all(np.isfinite(value).all() for value in read.values())


# -- the real files ---------------------------------------------------------------------------------------------------


def test_the_published_result_of_emodb_comes_out(shared, trainer):
    """WAR 95.70, UAR 95.17, pooled over the ten test folds: features, folds, model and weights are theirs."""
    corpus = corpora.get("EMODB")
    source = corpora.locate(corpus, str(shared / "corpora"))
    utterances = published_order(corpus, corpus.find(source).utterances)
    classes = np.array([corpus.labels.index(utterance.emotion) for utterance in utterances], np.int32)
    golden = [line.split() for line in (shared / "golden" / "emodb_order.txt").read_text().splitlines()]
    found = [utterance.path.rsplit("/", 1)[-1] for utterance in utterances]
    assert [(name, str(index)) for name, index in zip(found, classes, strict=True)] == [tuple(row) for row in golden]
    profile = features.get("published")
    x = np.stack(
        [
            features.extract(*audio.read(source.read_bytes(u.path), u.path), profile, corpus.mean_signal_length)
            for u in utterances
        ]
    )
    nothing = (None,) * len(utterances)
    columns = splits.Columns("EMODB", tuple(found), classes, corpus.labels, nothing, nothing, nothing)
    predicted = np.full(len(classes), -1)
    files = weights_files(shared / "timnet_weights" / "EMODB_46", 10)
    for fold, (train, validation, test) in enumerate(splits.split("published", columns, 10, 46), start=1):
        weights = read_weights(files[fold - 1], PUBLISHED)
        assert read_weights(write_weights(weights, PUBLISHED), PUBLISHED).keys() == weights.keys()
        settings = FoldSettings(PUBLISHED, RECIPES["published"], "last", 46, fold)
        result = trainer.predict_with(FoldData(x, classes, train, validation, test), settings, weights)
        predicted[test] = result.probabilities.argmax(axis=1)
    matrix = metrics.confusion(classes, predicted, 7)
    assert (round(100 * float(metrics.war(matrix)), 2), round(100 * float(metrics.uar(matrix)), 2)) == (95.70, 95.17)


def test_a_real_file_for_another_corpus_is_told(shared):
    path = shared / "timnet_weights" / "EMODB_46" / "10-fold_weights_best_10.hdf5"
    assert f"{path}: dense_10, classifier/kernel, tells 7 classes apart, and the model 6" in refusal(
        path, replace(PUBLISHED, n_classes=6)
    )
    assert "is of a network with 8 blocks, and the model has 10" in refusal(path, replace(PUBLISHED, n_tabs=10))
