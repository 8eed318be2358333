"""Somebody's own recordings: folders and tables, as people have them and as spreadsheets write them."""

import pickle
import unicodedata

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from timnet.corpora.base import Source, Utterance
from timnet.corpora.folder import own, signal_length
from timnet.errors import ConfigError, CorpusError


@pytest.fixture
def root(tmp_path):
    return tmp_path


def tree(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()


def found_in(root, name="mine"):
    corpus, source = own(name, str(root))
    return corpus, pickle.loads(pickle.dumps(corpus)).find(source)


def with_table(root, text, *recordings, path="mine/manifest.csv"):
    tree(root, *(recordings or ("mine/a.wav", "mine/b.wav")))
    (root / path).write_bytes(text if isinstance(text, bytes) else text.encode())
    return root


# -- folders ----------------------------------------------------------------------------------------------------------


def test_a_folder_an_emotion(root):
    tree(root, "mine/Happy/1.wav", "mine/angry/2.flac", "mine/angry/3.WAV", "mine/angry/notes.txt")
    corpus, found = found_in(root)
    assert corpus.name == "mine"
    assert corpus.labels == ("angry", "happy")
    assert found.utterances == (
        Utterance("Happy/1.wav", "happy"),
        Utterance("angry/2.flac", "angry"),
        Utterance("angry/3.WAV", "angry"),
    )
    assert found.problems == ()
    assert found.notes == ("Speaker unknown, as recordings that do not lie in emotion/speaker/: 3 of 3.",)
    assert (corpus.published, corpus.mean_signal_length, corpus.counts, corpus.n_speakers) == (False, None, None, None)


def test_a_folder_an_emotion_and_one_a_speaker(root):
    tree(root, "mine/sad/anna/1.wav", "mine/calm/Ben/1.wav", "mine/calm/Ben/1.txt")
    _, found = found_in(root)
    assert found.utterances == (
        Utterance("calm/Ben/1.wav", "calm", speaker="Ben"),
        Utterance("sad/anna/1.wav", "sad", speaker="anna"),
    )
    assert found.notes == ()


def test_some_speakers_unknown(root):
    tree(root, "mine/sad/anna/1.wav", "mine/calm/1.wav", "mine/calm/anna/day 2/1.wav")
    _, found = found_in(root)
    assert [utterance.speaker for utterance in found.utterances] == [None, None, "anna"]
    assert found.notes == ("Speaker unknown, as recordings that do not lie in emotion/speaker/: 2 of 3.",)


def test_spellings_of_an_emotion_are_one(root):
    taken_apart = unicodedata.normalize("NFD", "überrascht")
    tree(root, "mine/Angry/s/1.wav", "mine/angry /s/2.wav", "mine/ANGRY/s/3.wav", f"mine/{taken_apart}/s/4.wav")
    corpus, found = found_in(root)
    assert corpus.labels == ("angry", unicodedata.normalize("NFC", "überrascht"))
    assert found.notes == ("'ANGRY', 'Angry', 'angry ' are all taken for angry.",)
    assert len(found.utterances) == 4


def test_a_recording_outside_of_an_emotion_is_a_problem(root):
    tree(root, "mine/sad/1.wav", "mine/calm/1.wav", "mine/loose.wav")
    _, found = found_in(root)
    [problem] = found.problems
    assert (problem.kind, problem.path) == ("unrecognised-name", "loose.wav")
    assert "loose.wav: it does not lie in the folder of an emotion" in problem.message


def test_one_emotion_is_not_enough(root):
    tree(root, "mine/mine/sad/1.wav", "mine/mine/calm/1.wav")
    with pytest.raises(CorpusError, match=r"fewer than two emotions \(received: mine\)"):
        own("mine", str(root))


def test_an_empty_folder(root):
    (root / "mine").mkdir()
    with pytest.raises(CorpusError, match=r"fewer than two emotions \(received: none\)"):
        own("mine", str(root))


def test_nothing_of_that_name(root):
    tree(root, "other/sad/1.wav", "mine.txt", "mine.xlsx")
    with pytest.raises(CorpusError) as error:
        own("mine", str(root))
    text = str(error.value)
    assert text.startswith("There is no corpus mine: it is not built in (CASIA, ")
    assert f"{root} has no folder mine with a sub-folder an emotion and no table mine.csv or mine.parquet" in text
    assert text.endswith("it holds mine.txt, mine.xlsx, other.")


@pytest.mark.parametrize("name", ["../mine", "a/b", "", ".hidden", "mein korpus", "x" * 81])
def test_a_name_that_cannot_be_a_folder(root, name):
    with pytest.raises(ConfigError, match="cannot be the name of a corpus: allowed are letters, digits, dot"):
        own(name, str(root))


def test_a_data_root_that_is_not_there(root):
    with pytest.raises(CorpusError, match="is not there, or is not a folder"):
        own("mine", str(root / "no"))


# -- tables -----------------------------------------------------------------------------------------------------------

PLAIN = "path,emotion,speaker,sentence,session\na.wav,Angry,007,s1,day1\nb.wav,sad,,,\n"
UTTERANCES = (
    Utterance("a.wav", "angry", speaker="007", sentence="s1", session="day1"),
    Utterance("b.wav", "sad"),
)


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        PLAIN.encode("utf-8-sig"),
        PLAIN.encode("utf-16"),
        PLAIN.replace(",", ";").encode("utf-8-sig"),
        PLAIN.replace(",", "\t").replace("\n", "\r\n").encode("utf-16"),
        PLAIN.replace("\n", "\r"),
        "sep=;\r\n" + PLAIN.replace(",", ";"),
        PLAIN.replace("path,emotion", " Path , EMOTION"),
        PLAIN.replace("a.wav,Angry,007,s1,day1", '"./a.wav"," angry ", 007,"s1",day1') + ",,,,\n\n",
    ],
    ids=["plain", "mark", "utf16", "semicolon", "excel unicode", "old mac", "sep", "header", "blanks"],
)
def test_csv_as_spreadsheets_write_it(root, text):
    corpus, found = found_in(with_table(root, text))
    assert corpus.labels == ("angry", "sad")
    assert (found.utterances, found.problems, found.notes) == (UTTERANCES, (), ())


def test_parquet_with_numbers_for_speakers(root):
    tree(root, "mine/a.wav", "mine/b.wav")
    table = pa.table({"path": ["a.wav", "b.wav"], "emotion": ["Angry", "sad"], "speaker": [7.0, float("nan")]})
    pq.write_table(table, root / "mine" / "manifest.parquet")
    _, found = found_in(root)
    assert found.utterances == (Utterance("a.wav", "angry", speaker="7"), Utterance("b.wav", "sad"))


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_in_the_data_root_with_paths_relative_to_it(root, suffix):
    tree(root, "mine/a.wav", "mine/b.wav", "other/c.wav")
    (root / "mine.csv").write_text("path,emotion\nmine/a.wav,angry\nmine\\b.wav,sad\n")
    if suffix == "parquet":
        (root / "mine.csv").unlink()
        pq.write_table(
            pa.table({"path": ["mine/a.wav", "mine\\b.wav"], "emotion": ["angry", "sad"]}), root / "mine.parquet"
        )
    corpus, found = found_in(root)
    assert found.utterances == (Utterance("mine/a.wav", "angry"), Utterance("mine/b.wav", "sad"))
    assert (found.problems, found.notes) == ((), ())
    assert corpus.source == f"{root}/mine.{suffix}"


def test_a_table_comes_before_the_folders(root):
    with_table(root, "path,emotion\nx/a.wav,angry\nx/b.wav,sad\n", "mine/x/a.wav", "mine/x/b.wav", "mine/x/c.wav")
    corpus, found = found_in(root)
    assert corpus.labels == ("angry", "sad")
    assert found.notes == ("Left out, as recordings that manifest.csv does not list: 1.",)


def test_a_table_behind_a_uri(memory_uris):
    system = fsspec.filesystem("memory")
    system.pipe_file("/own/mine.csv", b"path,emotion\nx/a.wav,sad\nx/b.wav,calm\n")
    system.pipe_file("/own/x/a.wav", b"")
    system.pipe_file("/own/x/b.wav", b"")
    try:
        _, found = found_in("memory://own")
        assert found.utterances == (Utterance("x/a.wav", "sad"), Utterance("x/b.wav", "calm"))
    finally:
        system.rm("/own", recursive=True)


def test_two_tables_are_refused(root):
    with_table(root, PLAIN)
    (root / "mine.csv").write_text(PLAIN)
    with pytest.raises(
        CorpusError, match=f"mine has more than one table: {root}/mine.csv and {root}/mine/manifest.csv"
    ):
        own("mine", str(root))


def test_other_columns_are_ignored_with_a_note(root):
    _, found = found_in(with_table(root, ",path,emotion,age,text\n0,a.wav,sad,3,\n1,b.wav,calm,4,x\n"))
    assert found.notes == ("manifest.csv: other columns are ignored: age, text.",)


def test_names_with_accents_written_another_way(root):
    name = unicodedata.normalize("NFD", "glücklich.wav")
    _, found = found_in(with_table(root, "path,emotion\nglücklich.wav,sad\nb.wav,calm\n", f"mine/{name}", "mine/b.wav"))
    assert [utterance.path for utterance in found.utterances] == [name, "b.wav"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("path,label\na.wav,sad\n", "has no column emotion; it has path, label. Needed are path and emotion"),
        ("file,label\na.wav,sad\n", "has no column path and no column emotion; it has file, label"),
        ("path,emotion,Emotion\na.wav,sad,sad\n", "has the column emotion twice"),
        ("", "is empty. Give it a header"),
        ("\n\n", "has no column path and no column emotion; it has no columns"),
        ("path,emotion\n", "is empty: it has a header and no rows"),
        ("path,emotion\n,\n \n", "is empty: it has a header and no rows"),
        ("path,emotion\na.wav,sad\nb, c.wav,sad\n", "row 3 has 3 cells and the header 2. Put quotes around"),
        ('path,emotion\n"a.wav,sad\nb.wav,sad\n', "cannot be read as CSV"),
        (
            "path,emotion\na.wav,sad\nfrölich.wav,x\n".encode("cp1252"),
            "is not UTF-8: byte 0xf6 in row 3. Save it again as",
        ),
        ("path,emotion\na.wav,sad\nb.wav,SAD\n", r"fewer than two emotions (received: sad)"),
        (
            "path,emotion\n/a.wav,sad\nb.wav,calm\n",
            "row 2: a path is relative to the folder of the table and stays inside",
        ),
        ("path,emotion\nb.wav,calm\n../a.wav,sad\n", "row 3: a path is relative to the folder of the table"),
        ("path,emotion\nb.wav,calm\nx/../../a.wav,sad\n", "received 'x/../../a.wav'"),
        ("path,emotion\nb.wav,calm\nC:\\audio\\a.wav,sad\n", r"received 'C:\\audio\\a.wav'"),
        ("path,emotion\nb.wav,calm\ns3://bucket/a.wav,sad\n", "received 's3://bucket/a.wav'"),
        (
            "path,emotion\nb.wav,calm\n,sad\n",
            "row 3: a path is relative to the folder of the table and stays inside it, received nothing",
        ),
    ],
)
def test_a_table_that_cannot_be_used(root, text, said):
    with_table(root, text)
    with pytest.raises(CorpusError) as error:
        found_in(root)
    assert f"{root}/mine/manifest.csv" in str(error.value)
    assert said in str(error.value)


def test_a_file_that_is_no_parquet(root):
    with_table(root, "path,emotion", path="mine/manifest.parquet")
    with pytest.raises(CorpusError, match=r"manifest\.parquet cannot be read as Parquet"):
        own("mine", str(root))


@pytest.mark.parametrize(
    ("row", "kind", "path", "said"),
    [
        (
            "c.wav,sad",
            "missing-file",
            "c.wav",
            "row 4: c.wav is not there. Paths are relative to the folder of the table",
        ),
        ("A.WAV,sad", "missing-file", "A.WAV", "row 4: A.WAV is not there. There is a.wav: write it so."),
        (
            "a.wav,angry",
            "duplicate-id",
            "a.wav",
            "row 2 and 4: a.wav: the table lists it more than once. Keep one row.",
        ),
        ("./a.wav,Angry ", "duplicate-id", "a.wav", "lists it more than once. Keep one row."),
        ("x/d.wav, ", "unknown-label", "x/d.wav", "row 4: x/d.wav has no emotion. Give it one, or remove the row."),
    ],
)
def test_a_row_that_is_a_problem_leaves_the_others(root, row, kind, path, said):
    text = f"path,emotion\na.wav,angry\nb.wav,sad\n{row}\n"
    _, found = found_in(with_table(root, text, "mine/a.wav", "mine/b.wav", "mine/x/d.wav"))
    assert [utterance.path for utterance in found.utterances] == ["a.wav", "b.wav"]
    [problem] = found.problems
    assert (problem.kind, problem.path) == (kind, path)
    assert said in problem.message


def test_a_recording_with_two_emotions_is_not_used(root):
    _, found = found_in(with_table(root, "path,emotion\na.wav,angry\nb.wav,sad\na.wav,sad\n"))
    assert [utterance.path for utterance in found.utterances] == ["b.wav"]
    [problem] = found.problems
    assert problem.kind == "duplicate-id"
    assert "row 2 and 4: a.wav: the table lists it more than once, as angry and sad. Keep one row." in problem.message


# -- signal length ----------------------------------------------------------------------------------------------------


def test_the_signal_length_is_the_ninth_decile_rounded_up(root):
    corpus, _ = found_in(with_table(root, PLAIN))
    # eleven durations, so the 90th percentile is the tenth: 1 s = 22 050 samples
    assert signal_length(corpus, [0.1] * 9 + [1.0, 60.0]) == 23_000
    assert signal_length(corpus, [10 / 22.05]) == 10_000  # already a whole thousand
    assert signal_length(corpus, [0.001]) == 1_000


def test_no_recordings_have_no_signal_length(root):
    corpus, _ = found_in(with_table(root, PLAIN))
    with pytest.raises(CorpusError, match="mine has no recording that can be used"):
        signal_length(corpus, [])


# -- spellings and other people's habits ------------------------------------------------------------------------------


def test_a_speaker_in_several_spellings_is_one(root):
    """On both sides of a fold otherwise: macOS stores é taken apart, and people write Anna, anna and 'anna '."""
    apart = unicodedata.normalize("NFD", "Zoé")
    tree(root, "mine/sad/Anna/1.wav", "mine/calm/anna/2.wav", "mine/sad/Zoé/3.wav", f"mine/calm/{apart}/4.wav")
    _, found = found_in(root)
    assert sorted(utterance.speaker for utterance in found.utterances) == ["Anna", "Anna", "Zoé", "Zoé"]
    assert "'Anna', 'anna' are taken for one speaker." in found.notes


def test_spellings_in_a_table_are_one_too(root):
    text = (
        "path,emotion,speaker,sentence,session\na.wav,sad,Ann  Lee,A1,day one\nb.wav,calm,ann lee,a1,Day one\n"
        "c.wav,calm,bo,,\n"
    )
    with_table(root, text, "mine/a.wav", "mine/b.wav", "mine/c.wav")
    _, found = found_in(root)
    assert [(u.speaker, u.sentence, u.session) for u in found.utterances] == [
        ("Ann Lee", "A1", "Day one"),
        ("Ann Lee", "A1", "Day one"),
        ("bo", None, None),
    ]
    assert "'A1', 'a1' are taken for one sentence." in found.notes
    assert "'Day one', 'day one' are taken for one session." in found.notes


def test_folders_by_speaker_and_then_emotion_are_refused(root):
    tree(root, "mine/anna/angry/1.wav", "mine/anna/Sad/2.wav", "mine/bo/sad/3.wav", "mine/bo/sad/4.wav")
    with pytest.raises(CorpusError, match=r"sorted by anna, bo first and by emotion \(angry, sad\) inside") as caught:
        own("mine", str(root))
    assert "move them to angry/anna/" in str(caught.value)


def test_a_speaker_may_be_called_joy(root):
    tree(root, "mine/angry/joy/1.wav", "mine/sad/joy/2.wav", "mine/sad/bo/3.wav")
    assert own("mine", str(root))[0].labels == ("angry", "sad")


def test_recordings_that_cannot_be_read_are_named_and_rarer_suffixes_are_read(root):
    tree(
        root,
        "mine/sad/1.caf",
        "mine/sad/2.w64",
        "mine/calm/3.AIFC",
        "mine/calm/4.wave",
        "mine/calm/5.m4a",
        "mine/calm/6.txt",
    )
    _, found = found_in(root)
    assert len(found.utterances) == 4
    (problem,) = found.problems
    assert (problem.kind, problem.path) == ("unreadable", "calm/5.m4a")
    assert "calm/5.m4a: recordings of this kind cannot be read. Readable are .wav" in problem.message


def test_a_table_in_the_corpuss_folder_says_what_it_leaves_out_anywhere_below(root):
    with_table(
        root, "path,emotion\nsad/a.wav,sad\nsad/b.wav,calm\n", "mine/sad/a.wav", "mine/sad/b.wav", "mine/happy/c.wav"
    )
    assert "Left out, as recordings that manifest.csv does not list: 1." in found_in(root)[1].notes


def test_numbers_as_speakers_stay_apart(root):
    tree(root, "mine/a.wav", "mine/b.wav")
    table = pa.table({"path": ["a.wav", "b.wav"], "emotion": ["sad", "calm"], "speaker": [1234567.5, 1234568.25]})
    pq.write_table(table, root / "mine/manifest.parquet")
    assert {u.speaker for u in found_in(root)[1].utterances} == {"1234567.5", "1234568.25"}


def test_a_store_inside_the_data_root_is_no_part_of_it(root):
    tree(root, "mine/sad/1.wav", "mine/calm/2.wav", "store/corpora/x/3.wav", "storey/4.wav")
    source = Source(str(root)).leaving_out(str(root / "store"))
    assert list(pickle.loads(pickle.dumps(source)).listing) == ["mine/calm/2.wav", "mine/sad/1.wav", "storey/4.wav"]


PREDICTED = (
    "path,window,start_s,end_s,emotion,p_happy,p_sad,sd_happy,sd_sad,disagreement,sound,sample_rate_hz,warnings,error\n"
    "a.wav,,0,1,happy,0.8,0.2,0,0,0,1,16000,,\nb.wav,,0,1,sad,0.2,0.8,0,0,0,1,16000,,\n"
)


@pytest.mark.parametrize("path", ["mine.csv", "mine/manifest.csv", "mine.parquet", "mine/manifest.parquet"])
def test_answers_of_a_model_are_no_labels(root, path):
    tree(root, "mine/happy/a.wav", "mine/sad/b.wav")
    header, *rows = (line.split(",") for line in PREDICTED.split())
    if path.endswith(".parquet"):
        pq.write_table(pa.table(dict(zip(header, zip(*rows, strict=True), strict=True))), root / path)
    else:
        (root / path).write_text(PREDICTED.replace(",", ";"))  # as a spreadsheet saves it again
    with pytest.raises(
        CorpusError, match=rf"{path} is a table of predictions, .* no labels .*\. Move it away; if people"
    ):
        found_in(root)


def test_a_table_may_have_columns_that_predictions_have_too(root):
    with_table(root, "path,emotion,p_value,disagreement,window,warnings\na.wav,happy,1,2,3,4\nb.wav,sad,1,2,3,4\n")
    assert len(found_in(root)[1].utterances) == 2
