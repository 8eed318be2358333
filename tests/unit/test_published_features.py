"""The authors' .npy files: the bytes they have, and hostile ones that must not run anything."""

import io
import os
import pickle

import numpy as np
import pytest

from timnet.errors import WeightsError
from timnet.published_features import read_features, write_features

N, N_FRAMES, N_CLASSES = 5, 4, 3


def features(n=N, n_frames=N_FRAMES, n_classes=N_CLASSES):
    x = np.random.default_rng(0).normal(size=(n, n_frames, 39)).astype(np.float32)
    return x, np.eye(n_classes, dtype=np.float32)[np.arange(n) % n_classes]


def saved(value):
    """What today's np.save writes of a value."""
    buffer = io.BytesIO()
    np.save(buffer, value, allow_pickle=True)
    return buffer.getvalue()


def npy(pickled):
    """A pickle behind the header of a dict."""
    return saved({})[:128] + pickled


def refusal(source):
    with pytest.raises(WeightsError) as caught:
        read_features(source)
    return str(caught.value)


@pytest.mark.parametrize(
    ("n", "n_frames", "n_classes", "n_bytes"),
    [
        (1200, 172, 6, 32_227_631),  # CASIA
        (535, 188, 7, 15_705_891),  # EMODB
        (588, 188, 7, 17_261_759),  # EMOVO
        (1440, 215, 8, 48_344_111),  # RAVDESS
        (480, 254, 7, 19_033_391),  # SAVEE
    ],
)
def test_files_have_the_sizes_of_the_published_ones(n, n_frames, n_classes, n_bytes):
    x, y = np.zeros((n, n_frames, 39), np.float32), np.eye(n_classes, dtype=np.float32)[np.arange(n) % n_classes]
    written = write_features(x, y)
    assert len(written) == n_bytes == 431 + 4 * x.size + 4 * y.size
    assert b"numpy._core" not in written[:400]  # which numpy 1 does not know


def test_what_was_written_is_read_here_and_by_numpy():
    x, y = features()
    written = write_features(x, y)
    for read_x, read_y in (read_features(written), by_numpy(written)):
        np.testing.assert_array_equal(read_x, x)
        np.testing.assert_array_equal(read_y, y)
        assert read_x.dtype == read_y.dtype == np.float32
    read_x, read_y = read_features(written)
    read_x[0, 0, 0] = read_y[0, 0] = 7  # they are the reader's own


def by_numpy(written):
    loaded = np.load(io.BytesIO(written), allow_pickle=True).item()
    return loaded["x"], loaded["y"]


def test_layout_and_origin_of_the_arrays_change_no_byte():
    x, y = features()
    expected = write_features(x, y)
    assert write_features(np.asfortranarray(x), np.repeat(y, 2, axis=0)[::2]) == expected
    assert write_features(*pickle.loads(pickle.dumps((x, y)))) == expected  # with dtype objects of their own


@pytest.mark.parametrize("protocol", [3, 4])
@pytest.mark.parametrize("fortran", [False, True])
def test_files_that_todays_numpy_writes_are_read(protocol, fortran, tmp_path):
    x, y = features()
    value = np.array({"y": y, "x": np.asfortranarray(x) if fortran else x}, dtype=object)
    path = tmp_path / "EMODB.npy"
    path.write_bytes(npy(pickle.dumps(value, protocol=protocol)))
    read_x, read_y = read_features(path)
    np.testing.assert_array_equal(read_x, x)
    np.testing.assert_array_equal(read_y, y)
    assert read_x.flags.c_contiguous


class Runs:
    """Pickles as a call that leaves a mark, should anybody make it."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.fixture
def mark(tmp_path):
    path = tmp_path / "mark"
    yield path
    assert not path.exists(), "a file that was only read ran a program"


def hostile(mark):
    return Runs(os.system, f"touch {mark}")


def test_the_mark_is_left_by_a_reader_that_trusts_the_file(tmp_path):
    np.load(io.BytesIO(saved({"x": hostile(tmp_path / "mark")})), allow_pickle=True)
    assert (tmp_path / "mark").exists()


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_a_program_in_place_of_the_array_is_not_run(mark, protocol):
    text = refusal(npy(pickle.dumps(hostile(mark), protocol=protocol)))
    assert "cannot be read as published features: its pickle" in text
    assert "which no array needs" in text
    assert 'Allowed is what np.save writes of a dict of "x", float32 (n_utterances, n_frames, 39)' in text
    assert "Fetch the file again" in text


@pytest.mark.parametrize("place", ["x", "y", "key", "array", "list", "beside"])
def test_a_program_inside_is_not_run(mark, place):
    x, y = features()
    program = hostile(mark)
    value = {
        "x": {"x": program, "y": y},
        "y": {"x": x, "y": program},
        "key": {"x": x, "y": y, (program,): 0},
        "array": {"x": np.array([program], dtype=object), "y": y},
        "list": {"x": [[[program]]], "y": y},
        "beside": {"x": x, "y": y, "z": program},
    }[place]
    assert "its pickle asks for 'posix.system', which no array needs and which was not run" in refusal(saved(value))


@pytest.mark.parametrize(
    ("function", "arguments", "named"),
    [
        (eval, ("1/0",), "builtins.eval"),
        (getattr, (np, "load"), "builtins.getattr"),
        (np.fromfile, ("/etc/hostname",), "fromfile"),
        (np.zeros, ((10**6, 10**6),), "zeros"),
        (np.load, ("other.npy",), "numpy.load"),
        (pickle.loads, (b"",), "_pickle.loads"),
    ],
)
def test_other_functions_are_refused_by_name(function, arguments, named):
    if function is getattr:  # a module does not pickle; its name does
        arguments = ("numpy", "load")
    text = refusal(saved({"x": Runs(function, *arguments), "y": 0}))
    assert "asks for" in text
    assert named in text


def test_numpys_own_names_are_records_that_cannot_be_changed():
    # BUILD on the name itself: on a function it would change its defaults, on a class its attributes.
    changing = b"\x80\x03cnumpy\ndtype\n}X\x01\x00\x00\x00aNsb."
    assert "its pickle wants to change numpy.dtype" in refusal(npy(changing))
    made = b"\x80\x03cnumpy\ndtype\n)\x81."  # NEWOBJ
    assert "has the instruction NEWOBJ, which no array needs" in refusal(npy(made))


def test_sizes_that_a_file_does_not_have_are_refused_without_being_allocated():
    x, y = features()
    written = write_features(x, y)
    shape, huge = b"K\x05K\x04K\x27", b"J\xff\xff\xff\x7f" * 3
    assert written.count(shape) == 1
    text = refusal(written.replace(shape, huge))
    assert "x has the shape (2147483647, 2147483647, 2147483647)" in text
    assert f"and holds {x.nbytes} bytes" in text
    assert "x has the shape (-1, -1, -1), not 3 axes of at least 1" in refusal(
        written.replace(shape, b"J\xff\xff\xff\xff" * 3)
    )
    assert "the shape of x is not made of numbers" in refusal(written.replace(shape, b"NNN"))
    # A result kept at place 2 147 483 647, which is memory for all places before it.
    assert "more than 1000 instructions or places" in refusal(npy(b"\x80\x03Nr\xff\xff\xff\x7f."))
    assert "more than 1000 instructions" in refusal(npy(b"\x80\x03" + b"]" * 2000 + b"."))
    assert "is broken or cut off (ValueError)" in refusal(npy(b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7fabc."))


def test_a_file_cut_off_anywhere_is_refused():
    written = write_features(*features(2, 1, 2))
    for length in range(len(written)):
        assert "The given file cannot be read as published features" in refusal(written[:length])
    assert "1 bytes follow after its end" in refusal(written + b"\0")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "it does not start as an .npy file does, but with b''"),
        (b"PK\x03\x04 and so on", "but with b'PK\\x03\\x04 a'"),
        (saved(np.zeros(3)), "it holds an array of float64 and shape (3,), not a dict"),
        (saved(np.array([{"x": 0}, {"y": 0}])), "it holds an array of object and shape (2,), not a dict"),
        (b"\x93NUMPY\x02\x00" + saved({})[8:], "it has version 2.0 of the .npy format"),
        (b"\x93NUMPY\x01\x00\x76\x00" + b"(" * 118, "its .npy header is broken"),
        (npy(pickle.dumps({"x": 0, "y": 0}, protocol=3)), "what it holds is not an array"),
        (saved(None), "its array of objects does not hold one dict"),
        (saved({}), "its dict has the keys none"),
        (saved({"x": 0, "Y": 0}), "its dict has the keys 'Y', 'x'"),
        (saved({0: 0, "x\n" * 100: 0}), "\\nx\\n"),
        (saved({"x": 0, "y": 0}), "x is not an array"),
        (saved({"x": np.dtype("f4"), "y": 0}), "x is not an array"),
    ],
)
def test_other_files_are_refused(data, text):
    assert text in refusal(data)


def changed(name, change):
    values = dict(zip("xy", features(), strict=True))
    return values | {name: change(values[name])}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (changed("x", lambda x: x.astype(np.float64)), "x is of the type '<f8', not '<f4', little-endian float32"),
        (changed("x", lambda x: x.astype(">f4")), "x is of the type '>f4', not '<f4'"),
        (changed("y", lambda y: y.astype(np.int32)), "y is of the type '<i4', not '<f4'"),
        (changed("x", lambda x: np.full((5, 1, 39), None)), "x is of the type '|O8', not '<f4'"),
        (changed("y", lambda y: y.argmax(axis=1).astype(np.float32)), "y has the shape (5,), not 2 axes"),
        (changed("x", lambda x: x[:, :0]), "x has the shape (5, 0, 39), not 3 axes of at least 1"),
    ],
)
def test_arrays_of_other_types_and_axes_are_refused(value, text):
    assert text in refusal(saved(value))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (changed("x", lambda x: x.transpose(0, 2, 1)), "x has the shape (5, 39, 4) and y (5, 3)"),
        (changed("y", lambda y: y[:, :1]), "and y (5, 1)"),
        (changed("y", lambda y: y[:4]), "x has 5 utterances and y 4"),
        (changed("y", lambda y: y * 0.9 + 0.03), "y is not one-hot in 5 of 5 utterances, first in utterance 0"),
        (changed("y", lambda y: np.maximum(y, y[3])), "y is not one-hot in 3 of 5 utterances, first in utterance 1"),
        (
            changed("y", lambda y: y * (np.arange(5) != 2)[:, None]),
            "not one-hot in 1 of 5 utterances, first in utterance 2",
        ),
        (
            changed("x", lambda x: np.where(np.arange(5)[:, None, None] == 3, np.nan, x)),
            "x is not finite in utterance 3",
        ),
    ],
)
def test_features_that_are_none_are_refused_in_and_out(value, text):
    values = {name: array.astype(np.float32) for name, array in value.items()}
    found = refusal(saved(values))
    assert "The given file is not published features: " in found
    assert text in found
    assert "Extract the features again." in found
    with pytest.raises(WeightsError) as caught:
        write_features(**values)
    assert "What is to be written is not published features" in str(caught.value)
    assert text in str(caught.value)


def test_only_float32_is_written():
    x, y = features()
    with pytest.raises(WeightsError, match="x is float64 and y float32"):
        write_features(x.astype(np.float64), y)
