"""Where the authors' files are found, and what is said where they are not."""

import pytest

from timnet.errors import WeightsError
from timnet.published import contents, weights_files


def folder(path, *names):
    for name in names:
        (path / name).write_bytes(b"")
    return path


def names_of(n_folds, of=None):
    return [f"{of or n_folds}-fold_weights_best_{fold}.hdf5" for fold in range(1, n_folds + 1)]


def refusal(path, n_folds=10):
    with pytest.raises(WeightsError) as caught:
        weights_files(path, n_folds)
    return str(caught.value)


def test_the_tenth_fold_comes_after_the_ninth(tmp_path):
    folder(tmp_path, *names_of(10), "._10-fold_weights_best_1.hdf5", "EMODB.npy", "README.md")
    expected = [f"{tmp_path}/{name}" for name in names_of(10)]
    assert weights_files(tmp_path, 10) == expected
    assert weights_files(f"{tmp_path}/", 10) == expected
    assert weights_files(f"file://{tmp_path}", 10) == [f"file://{path}" for path in expected]


def test_weights_of_other_numbers_of_folds_beside_them_do_not_matter(tmp_path):
    folder(tmp_path, *names_of(10), *names_of(3))
    assert [path.rsplit("/", 1)[-1] for path in weights_files(tmp_path, 3)] == names_of(3)


def test_a_missing_fold_is_named(tmp_path):
    folder(tmp_path, *[name for name in names_of(10) if not name.endswith(("_4.hdf5", "_10.hdf5"))])
    text = refusal(tmp_path)
    assert f"{tmp_path} has no file of fold 4, no file of fold 10." in text
    assert "10-fold_weights_best_1.hdf5 to 10-fold_weights_best_10.hdf5; add what is missing" in text


def test_two_files_of_a_fold_and_a_fold_too_many_are_named(tmp_path):
    folder(tmp_path, *names_of(3), "3-fold_weights_best_2.h5", "3-fold_weights_best_4.hdf5")
    text = refusal(tmp_path, 3)
    assert "3-fold_weights_best_2.h5 and 3-fold_weights_best_2.hdf5 for fold 2" in text
    assert "3-fold_weights_best_4.hdf5 beyond 3 folds" in text


def test_weights_of_another_number_of_folds_are_no_substitute(tmp_path):
    folder(tmp_path, *names_of(5))
    assert "has no weights of 10 folds, but those of 5 folds." in refusal(tmp_path)
    assert "use --folds 5." in refusal(tmp_path)


def test_a_folder_without_weights_and_no_folder_are_told_apart(tmp_path):
    (tmp_path / "EMODB_46").mkdir()
    assert "has no weights of 10 folds, but 1 other files and folders" in refusal(tmp_path)
    assert "give the folder that holds them" in refusal(tmp_path)
    assert "is not there, or is not a folder" in refusal(tmp_path / "nowhere")
    (tmp_path / "file").write_bytes(b"")
    assert "is not there, or is not a folder" in refusal(tmp_path / "file")
    assert "cannot be read" in refusal("nosuchprotocol://bucket/weights")


def test_contents_are_read_from_paths_and_uris_and_passed_through(tmp_path):
    path = tmp_path / "EMODB.npy"
    path.write_bytes(b"abc")
    assert contents(path, 10) == (b"abc", str(path))
    assert contents(f"file://{path}", 10) == (b"abc", f"file://{path}")
    assert contents(b"abc", 10) == (b"abc", "The given file")


def test_what_cannot_be_read_or_is_too_large_is_refused(tmp_path):
    path = tmp_path / "EMODB.npy"
    path.write_bytes(b"abc")
    with pytest.raises(WeightsError, match=r"EMODB\.npy has 3 bytes; published files of its kind have less than 2"):
        contents(path, 2)
    with pytest.raises(
        WeightsError, match=r"nothing cannot be read: it is not there\. Allowed are a file, file://… and"
    ):
        contents(tmp_path / "nothing", 10)
    with pytest.raises(WeightsError, match="cannot be read"):
        contents(tmp_path, 10_000_000)
    with pytest.raises(WeightsError, match="nosuchprotocol:// is of no supported kind"):
        contents("nosuchprotocol://a", 10)
