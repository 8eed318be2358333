"""Where a corpus is looked for, and what is said where it is not."""

import pickle

import fsspec
import pytest

from timnet import corpora
from timnet.corpora import get, locate, names
from timnet.errors import ConfigError, CorpusError

EMODB, SAVEE, IEMOCAP = get("EMODB"), get("SAVEE"), get("IEMOCAP")


def tree(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return str(root)


def test_names_are_those_of_the_folder():
    assert set(corpora.PUBLISHED) <= set(names())
    assert names() == sorted(names())
    assert not {"BASE", "FOLDER", "MANIFEST", "NAMING", "RECORDINGS_TABLE", "__INIT__"} & set(names())


def test_a_name_in_any_case():
    assert get("emodb") is get("EmoDB") is EMODB


@pytest.mark.parametrize("name", ["BERLIN", "base", "folder", "", "../emodb"])
def test_an_unknown_name_says_which_are_known(name):
    with pytest.raises(ConfigError) as error:
        get(name)
    assert str(error.value).startswith(f"There is no built-in corpus {name!r}; allowed are CASIA, ")
    assert "SAVEE" in str(error.value)


@pytest.mark.parametrize("folder", ["EMODB", "emodb", "EmoDB"])
def test_the_folder_of_its_name(tmp_path, folder):
    root = tree(tmp_path, f"{folder}/wav/03a01Fa.wav", "SAVEE/DC/a01.wav")
    source = locate(EMODB, root)
    assert source.root == f"{tmp_path}/{folder}"
    assert list(source.listing) == ["wav/03a01Fa.wav"]


def test_the_exact_name_wins(tmp_path):
    root = tree(tmp_path, "EMODB/03a01Fa.wav", "emodb/08a01Fa.wav")
    assert list(locate(EMODB, root).listing) == ["03a01Fa.wav"]


def test_two_of_the_same_name_are_refused(tmp_path):
    root = tree(tmp_path, "Emodb/03a01Fa.wav", "emodb/08a01Fa.wav")
    with pytest.raises(CorpusError, match=r"holds EMODB more than once: Emodb, emodb\. Rename or move all but one"):
        locate(EMODB, root)


@pytest.mark.parametrize("path", ["wav/03a01Fa.wav", "03a01Fa.wav"])
def test_the_data_root_is_the_corpus(tmp_path, path):
    assert locate(EMODB, tree(tmp_path, path, "readme.wav.txt")).root == str(tmp_path)


def test_a_relative_data_root_becomes_absolute(tmp_path, monkeypatch):
    tree(tmp_path, "data/EMODB/03a01Fa.wav")
    monkeypatch.chdir(tmp_path)
    source = pickle.loads(pickle.dumps(locate(EMODB, "data/")))
    monkeypatch.chdir("/")
    assert source.root == f"{tmp_path}/data/EMODB"
    assert list(source.listing) == ["03a01Fa.wav"]


def test_a_uri(memory_uris):
    system = fsspec.filesystem("memory")
    system.pipe_file("/data/emodb/wav/03a01Fa.wav", b"")
    try:
        source = locate(EMODB, "memory://data/")
        assert source.root == "memory://data/emodb"
        assert list(source.listing) == ["wav/03a01Fa.wav"]
        with pytest.raises(CorpusError, match=r"SAVEE is not in --data-root memory://data\. .* holds emodb, and for"):
            locate(SAVEE, "memory://data")
    finally:
        system.rm("/data", recursive=True)


@pytest.mark.parametrize("uri", ["memory://data", "https://host/data", "S3://bucket/data"])
def test_a_uri_of_another_kind_is_refused(uri):
    kind = uri.partition(":")[0]
    with pytest.raises(
        CorpusError, match=rf"{uri} cannot be opened: {kind}:// .* Allowed are a folder, file://… and s3://"
    ):
        locate(EMODB, uri)


def test_nothing_there_says_where_it_looked_and_where_it_comes_from(tmp_path):
    root = tree(tmp_path, "emovo/f1/dis-f1-b1.wav", "notes.txt", ".DS_Store", ".git/config")
    with pytest.raises(CorpusError) as error:
        locate(EMODB, root)
    assert str(error.value) == (
        f"EMODB is not in --data-root {root}. Looked for a folder EMODB in it, which holds emovo, notes.txt, and for "
        f"recordings named like wav/03a01Fa.wav in itself. EMODB ({EMODB.title}; CC0) comes from {EMODB.source}; "
        f"`timnet corpora list` says how to get it. Put it into {root}/EMODB, or give another --data-root."
    )


def test_an_empty_data_root(tmp_path):
    with pytest.raises(CorpusError, match="which holds nothing, and"):
        locate(EMODB, str(tmp_path))


def test_a_folder_of_other_recordings(tmp_path):
    root = tree(tmp_path, "EMODB/download/x1.wav", "EMODB/download/x2.wav")
    with pytest.raises(CorpusError) as error:
        locate(EMODB, root)
    text = str(error.value)
    assert f"{root}/EMODB holds no recording of EMODB, named like wav/03a01Fa.wav, but 2 audio files, such as" in text
    assert "download/x1.wav: its name does not follow the rule. EMODB names its files <speaker" in text
    assert EMODB.source in text


def test_a_folder_without_audio(tmp_path):
    with pytest.raises(CorpusError, match=r"holds no recording of EMODB, .* but no audio files"):
        locate(EMODB, tree(tmp_path, "EMODB/download.zip"))


def test_iemocap_without_its_labels_says_so(tmp_path):
    root = tree(tmp_path, "IEMOCAP/Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav")
    with pytest.raises(CorpusError, match="no label files; looked for Session1/dialog/EmoEvaluation/"):
        locate(IEMOCAP, root)


def test_a_corpus_among_others_needs_its_own_folder(tmp_path):
    root = tree(tmp_path, "berlin/03a01Fa.wav", "DC_a01.wav", "DC_a02.wav")
    with pytest.raises(CorpusError, match=r"in itself \(it holds 1, among 2 other recordings\)"):
        locate(EMODB, root)


def test_a_data_root_that_is_not_there(tmp_path):
    with pytest.raises(CorpusError, match=f"--data-root {tmp_path}/no is not there, or is not a folder"):
        locate(EMODB, f"{tmp_path}/no")


def test_a_data_root_that_is_a_file(tmp_path):
    with pytest.raises(CorpusError, match="is not there, or is not a folder"):
        locate(EMODB, tree(tmp_path, "file") + "/file")


def test_a_data_root_of_an_unknown_kind():
    with pytest.raises(CorpusError, match=r"--data-root foo://x cannot be opened: .* Allowed are a folder, file://"):
        locate(EMODB, "foo://x")
