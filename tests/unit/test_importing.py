"""Somebody's own folder or table becomes a corpus: read, checked, and written whole or not at all."""

import dataclasses
import os
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from timnet import corpora, importing, placing, storage
from timnet.corpora import folder
from timnet.plan import located_corpus


@pytest.fixture
def data(tmp_path):
    return tmp_path / "data"


@pytest.fixture
def run(timnet_command, data):
    return partial(timnet_command, "corpora", "import", "--data-root", data, "--name", "mine")


def record(path, seed=None, duration_s=0.2):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(len(str(path)) if seed is None else seed).normal(size=int(4000 * duration_s))
    soundfile.write(path, 0.1 * noise, 4000)
    return path


def flat(folder, speakers=("01", "02", "03"), emotions=("wut", "freude"), takes=2):
    """Recordings that lie in one folder, all different: <speaker>_<emotion>_<take>.wav."""
    n = 0
    for speaker in speakers:
        for emotion in emotions:
            for take in range(takes):
                record(folder / f"{speaker}_{emotion}_{take}.wav", n := n + 1)
    return folder


PATTERN = r"(?P<speaker>\d+)_(?P<emotion>[a-z]+)_\d\.wav"


def found(data, name="mine"):
    """What every other command finds: path, speaker and emotion."""
    corpus, source = located_corpus(name, str(data))
    here = corpus.find(source)
    assert here.problems == ()
    assert all(source.read_bytes(utterance.path) for utterance in here.utterances)
    return sorted((u.path, u.speaker, u.emotion) for u in here.utterances)


def tree(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) if folder.exists() else []


# -- folders ----------------------------------------------------------------------------------------------------------


def test_a_flat_folder_elsewhere_is_linked(tmp_path, data, run):
    flat(tmp_path / "mine own")
    before = tree(tmp_path / "mine own")
    status, out, err = run(
        tmp_path / "mine own", "--pattern", PATTERN, "--label", "wut=Angry", "--label", "freude=happy"
    )
    assert (status, err) == (0, "")
    assert f"mine in {data}/mine: 12 recordings, linked to where they are" in out
    assert [line.split() for line in out.splitlines() if line.startswith(("angry", "happy", "speakers"))] == [
        ["angry", "6"],
        ["happy", "6"],
        ["speakers", "3"],
    ]
    assert found(data)[0] == ("recordings/01_freude_0.wav", "01", "happy")
    assert len(found(data)) == 12
    assert (data / "mine/recordings/01_wut_0.wav").is_symlink()
    assert tree(tmp_path / "mine own") == before
    assert os.listdir(data) == ["mine"]


def test_copies_depend_on_nothing(tmp_path, data, run):
    flat(tmp_path / "mine")
    status, out, _ = run(tmp_path / "mine", "--pattern", PATTERN, "--copy")
    assert status == 0
    assert "12 recordings, copied" in out
    for path in (tmp_path / "mine").iterdir():
        path.unlink()
    assert len(found(data)) == 12


def test_recordings_in_the_data_root_are_referred_to(data, run):
    flat(data / "raw/day 1")
    status, out, _ = run(data / "raw", "--pattern", PATTERN)
    assert status == 0
    assert f"mine in {data}/mine.csv: 12 recordings, where they are" in out
    assert found(data)[0] == ("raw/day 1/01_freude_0.wav", "01", "freude")
    assert sorted(os.listdir(data)) == [".mine.imported.json", "mine.csv", "raw"]


def test_a_folder_of_the_corpuss_own_name_gets_a_table_beside_it(data, run):
    flat(data / "mine")
    assert run(data / "mine", "--pattern", PATTERN)[0] == 0
    assert found(data)[0] == ("mine/01_freude_0.wav", "01", "freude")


def test_the_data_root_itself(data, run):
    flat(data)
    assert run(data, "--pattern", PATTERN)[0] == 0
    assert found(data)[0] == ("01_freude_0.wav", "01", "freude")


def test_folders_as_ever(tmp_path, data, run):
    for n, path in enumerate(["Sad/anna/1.wav", "sad/bo/1.wav", "calm/anna/1.flac", "calm/bo/deep/1.wav"]):
        record(tmp_path / "mine" / path, n)
    status, out, _ = run(tmp_path / "mine")
    assert status == 0
    assert "note: 'Sad', 'sad' are all taken for sad." in out
    assert "note: The speaker is unknown for 1 of 4. Without every speaker no protocol keeps speakers apart" in out
    assert "not speaker-independent: " in out
    assert ("recordings/Sad/anna/1.wav", "anna", "sad") in found(data)


def test_a_pattern_adds_to_the_folders(tmp_path, data, run):
    for n, path in enumerate(["sad/s1_a.wav", "sad/s2_b.wav", "calm/s1_a.wav", "calm/s2_b.wav"]):
        record(tmp_path / "mine" / path, n)
    assert run(tmp_path / "mine", "--pattern", r"s(?P<speaker>\d)_(?P<sentence>\w)\.wav")[0] == 0
    assert found(data)[0] == ("recordings/calm/s1_a.wav", "1", "calm")
    assert (data / "mine/manifest.csv").read_text().startswith("path,emotion,speaker,sentence\n")


def test_a_pattern_with_folders_in_it(tmp_path, data, run):
    for n, path in enumerate(["anna/sad/x/1.wav", "anna/calm/x/1.wav", "bo/sad/x/1.wav", "bo/calm/x/2.wav"]):
        record(tmp_path / "mine" / path, n)
    status, _, err = run(tmp_path / "mine")
    assert status == 2
    assert "sorted by anna, bo first and by emotion (calm, sad) inside" in err
    assert run(tmp_path / "mine", "--pattern", r"(?i)(?P<speaker>[^/]+)/(?P<emotion>[^/]+)/.*")[0] == 0
    assert found(data)[0] == ("recordings/anna/calm/x/1.wav", "anna", "calm")


def test_the_speaker_from_somewhere_in_the_path(tmp_path, data, run):
    flat(tmp_path / "mine")
    emotion = r"\d+_(?P<emotion>[a-z]+)_\d\.wav"
    assert run(tmp_path / "mine", "--pattern", emotion, "--speaker-from", r"^\d+")[0] == 0
    assert run(tmp_path / "mine", "--pattern", emotion, "--speaker-from", r"0(\d)_", "--replace")[0] == 0
    assert {speaker for _, speaker, _ in found(data)} == {"1", "2", "3"}


# -- tables -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["csv", "tsv", "parquet"])
def test_a_table_with_columns_of_its_own(tmp_path, data, run, kind):
    rows = []
    for n, (speaker, emotion) in enumerate([("007", "Wut"), ("8", "wut"), ("007", "ruhe"), ("8", "ruhe")]):
        record(tmp_path / f"study/audio/{n}.wav", n)
        rows.append({"file": f"audio/{n}.wav", "spk": speaker, "LABEL": emotion, "emotion": str(n), "age": "30"})
    table = tmp_path / f"study/list.{kind}"
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), table)
    else:
        separator = "\t" if kind == "tsv" else ";"
        table.write_text(
            "\n".join(separator.join(cells) for cells in [rows[0].keys(), *(row.values() for row in rows)])
        )
    named = ["--column", "path=file", "--column", "speaker=spk", "--column", "emotion=label"]
    status, out, err = run(table, *named, "--label", "wut=angry")
    assert (status, err) == (0, "")
    assert "note: 'Wut', 'wut' are all taken for wut." in out
    assert "note: Other columns are ignored: emotion (not meant), age." in out
    assert found(data)[:2] == [("recordings/audio/0.wav", "007", "angry"), ("recordings/audio/1.wav", "8", "angry")]


def test_a_table_elsewhere_than_the_recordings(tmp_path, data, run):
    flat(tmp_path / "audio")
    (tmp_path / "meta").mkdir()
    lines = ["path,emotion", "../audio/01_wut_0.wav,wut", "../audio/01_freude_0.wav,freude"]
    table = tmp_path / "meta/list.csv"
    table.write_text("\n".join(lines))
    status, _, err = run(table)
    assert status == 2
    assert (
        "stays inside it, received '../audio/01_wut_0.wav'. With --audio-root DIR they are relative to that folder."
        in err
    )
    table.write_text("\n".join(lines).replace("../audio/", ""))
    assert run(table, "--audio-root", tmp_path / "audio")[0] == 0
    assert found(data)[0] == ("recordings/01_freude_0.wav", None, "freude")


def test_a_list_of_files_and_a_pattern_for_the_rest(tmp_path, data, run):
    flat(tmp_path / "mine")
    table = tmp_path / "mine/list.csv"
    table.write_text("path\n" + "\n".join(path.name for path in (tmp_path / "mine").glob("*.wav")))
    assert run(table, "--pattern", PATTERN)[0] == 0
    assert len(found(data)) == 12


def test_a_table_of_the_data_root_is_relabelled_under_another_name(data, run):
    flat(data / "raw")
    text = "path,emotion,annotator_notes\nraw/01_wut_0.wav,wut,loud\nraw/01_freude_0.wav,freude,?\n"
    (data / "mine.csv").write_text(text)
    for more in ([], ["--replace"]):
        status, _, err = run(data / "mine.csv", "--label", "wut=angry", *more)
        assert status == 2
        assert (
            f"{data}/mine.csv would be a corpus mine, too, and was not made by such an import: it is not replaced"
            in err
        )
        assert "--replace" not in err
    assert run(data / "mine.csv", "--label", "wut=angry", "--name", "other")[0] == 0
    assert (data / "other.csv").read_text() == "path,emotion\nraw/01_wut_0.wav,angry\nraw/01_freude_0.wav,freude\n"
    status, _, err = run(data / "other.csv", "--label", "angry=cross", "--name", "other", "--replace")
    assert status == 2
    assert f"{data}/other.csv would be a corpus other, too, and is what would be imported: it is not replaced" in err
    assert run(data / "mine.csv", "--label", "wut=cross", "--name", "other", "--replace")[0] == 0
    assert (data / "other.csv").read_text() == "path,emotion\nraw/01_wut_0.wav,cross\nraw/01_freude_0.wav,freude\n"
    assert (data / "mine.csv").read_text() == text


# -- what is wrong ----------------------------------------------------------------------------------------------------


def test_what_is_wrong_stops_it_and_nothing_is_written(tmp_path, data, run):
    flat(tmp_path / "mine")
    (tmp_path / "mine/04_wut_0.wav").write_bytes(b"RIFF")
    (tmp_path / "mine/04_wut_1.m4a").write_bytes(b"x")
    record(tmp_path / "mine/stray.wav", 99)
    (tmp_path / "mine/05_freude_0.wav").write_bytes((tmp_path / "mine/01_wut_0.wav").read_bytes())
    status, out, err = run(tmp_path / "mine", "--pattern", PATTERN)
    assert (status, out) == (2, "")
    assert "mine has 5 problems:" in err
    assert "stray.wav: it does not follow --pattern or --speaker-from." in err
    assert "04_wut_1.m4a: recordings of this kind cannot be read." in err
    assert "04_wut_0.wav cannot be read as audio" in err
    twice = "05_freude_0.wav (freude), 01_wut_0.wav (wut): one recording under several names, with several emotions."
    assert err.count(twice) == 2
    assert "run again with --skip-bad" in err
    assert tree(data) == []

    status, out, _ = run(tmp_path / "mine", "--pattern", PATTERN, "--skip-bad")
    assert status == 0
    assert out.count("left out: ") == 5
    assert len(found(data)) == 11
    assert not any("04_" in path or "05_" in path or "01_wut_0" in path for path, _, _ in found(data))


def test_an_emotion_of_which_nothing_is_left_is_no_class(tmp_path, data, run):
    flat(tmp_path / "mine")
    (tmp_path / "mine/01_angst_0.wav").write_bytes(b"")
    status, out, _ = run(tmp_path / "mine", "--pattern", PATTERN, "--skip-bad", "--copy")
    assert status == 0
    assert "no recording of angst can be used" in out
    assert {emotion for _, _, emotion in found(data)} == {"wut", "freude"}
    for path in (tmp_path / "mine").glob("*wut*"):
        path.write_bytes(b"")
    status, _, err = run(tmp_path / "mine", "--pattern", PATTERN, "--skip-bad", "--replace")
    assert status == 2
    assert "fewer than two emotions (received: freude)" in err
    assert len(found(data)) == 12


def test_a_copy_of_a_recording_is_told(tmp_path, run):
    flat(tmp_path / "mine")
    (tmp_path / "mine/01_wut_7.wav").write_bytes((tmp_path / "mine/01_wut_0.wav").read_bytes())
    status, out, _ = run(tmp_path / "mine", "--pattern", PATTERN)
    assert status == 0
    assert "note: 1 recordings are the same as another, sample by sample." in out


def test_what_is_too_little_is_told(tmp_path, run):
    flat(tmp_path / "mine", emotions=("angry", "happy", "scared"), speakers=("1", "2"), takes=2)
    status, out, _ = run(tmp_path / "mine", "--pattern", PATTERN)
    assert status == 0
    assert "note: Too few for each of 10 folds to test one: angry (4), happy (4), scared (4)." in out
    assert "note: scared: no emotions of the known corpora" in out
    assert "to compare with those corpora, give: --label scared=fear\n" in out
    assert (
        "  not speaker-independent: The protocol speaker-independent needs at least 3 different values of speaker"
        in out
    )
    assert "protocols that it can be run with: stratified, published\n" in out
    assert out.splitlines()[-1].endswith("--corpora mine --protocol stratified --folds 4")


@pytest.mark.parametrize(
    ("emotions", "advised"),
    [
        (("wut", "trauer", "angst"), "give: --label angst=fear --label trauer=sad --label wut=angry"),
        (
            ("joy", "contempt", "unhappy"),  # it is spelt nearly as happy is
            "give with one of these in place of …: --label 'contempt=…' --label joy=happy --label 'unhappy=…'",
        ),
    ],
)
def test_no_emotion_is_advised_that_means_another(tmp_path, run, emotions, advised):
    flat(tmp_path / "mine", emotions=emotions)
    status, out, _ = run(tmp_path / "mine", "--pattern", PATTERN)
    assert status == 0
    assert f"to compare with those corpora, {advised}\n" in out


def test_what_is_advised_are_labels_of_the_known_corpora():
    known = {label for name in corpora.names() for label in corpora.get(name).labels}
    words = [word for of_label in importing._MEANT.values() for word in of_label.split()]
    assert set(importing._MEANT) == known
    assert len(words) == len(set(words))
    assert [folder.label(word) for word in words] == words
    assert known.isdisjoint(words)


@pytest.mark.parametrize("name", ["a\\b_wut.wav", " a_wut.wav", "a\nb_wut.wav"])
def test_a_name_that_a_table_cannot_hold(tmp_path, data, run, name):
    for n, path in enumerate([name, "x_wut.wav", "y_freude.wav"]):
        record(tmp_path / "mine" / path, n)
    status, _, err = run(tmp_path / "mine", "--pattern", r"(?s:.*)_(?P<emotion>[a-z]+)\.wav")
    assert status == 2
    assert f"{name!r}: a table cannot hold its name. Rename it" in err
    assert tree(data) == []


@pytest.mark.parametrize("name", [b"lat\xefn_wut.wav", b"w\xfct/x_wut.wav", b"lat\xefn_wut.m4a"])
@pytest.mark.parametrize("how", [[], ["--pattern", r"(?s:.*)_(?P<emotion>[a-z]+)\.wav"]])
def test_a_name_that_is_no_text_is_a_problem_of_that_recording(tmp_path, data, run, timnet_command, name, how):
    folders = not how
    for n, path in enumerate(["wut/x_wut.wav", "freude/y_freude.wav"]):
        record(tmp_path / "mine" / path, n)
    odd = tmp_path / ("mine/wut" if folders else "mine") / os.fsdecode(name)
    odd.parent.mkdir(exist_ok=True)
    odd.write_bytes((tmp_path / "mine/wut/x_wut.wav").read_bytes())
    said = name.decode("utf-8", "backslashreplace") + ": its name is not UTF-8. Rename it."
    status, _, err = run(tmp_path / "mine", *how)
    assert status == 2
    assert said in err
    assert tree(data) == []
    status, out, _ = run(tmp_path / "mine", *how, "--skip-bad")
    assert status == 0
    assert f"{said}\n" in out
    assert len(found(data)) == 2
    if folders:
        status, out, _ = timnet_command("corpora", "check", "mine", "--data-root", tmp_path)
        assert status == 1
        assert f"problem: wut/{said}" in out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["nothing"], "nothing is not there. Give a folder of recordings, or a table: .csv, .tsv, .parquet."),
        (["notes.txt"], "notes.txt is of another kind."),
        (["own", "--pattern", "("], "--pattern ( is no regular expression: missing ), unterminated subpattern"),
        (["own", "--pattern", r"\d+_.*"], "allowed are emotion, speaker, sentence, session, received no named group"),
        (["own", "--pattern", "(?P<who>.*)"], "received who"),
        (
            ["own", "--pattern", "(?P<speaker>.*)", "--speaker-from", "x"],
            "--pattern has a group speaker, and --speaker-from",
        ),
        (["own", "--speaker-from", "["], "--speaker-from [ is no regular expression"),
        (
            ["own", "--pattern", "(?P<emotion>x).*"],
            "The first of 12 problems: 01_freude_0.wav: it does not follow --pattern",
        ),
        (["own"], "own has recordings of fewer than two emotions (received: none)"),
        (["own", "--column", "emotion=x"], "--column and --audio-root are for tables, and own is a folder"),
        (
            ["own", "--pattern", PATTERN, "--label", "zorn=angry"],
            "no recording has the emotion 'zorn'; there are freude, wut.",
        ),
        (
            ["own", "--pattern", PATTERN, "--label", "wut"],
            "--label wut: expected each once, and written like --label wut=angry",
        ),
        (["own", "--pattern", PATTERN, "--label", "wut="], "--label wut=: say what it shall be called"),
        (["own", "--pattern", PATTERN, "--label", "wut=freude"], "fewer than two emotions (received: freude)"),
        (["list.csv", "--column", "emotion=x"], "list.csv has no column x; it has path, label."),
        (["list.csv", "--column", "gender=label"], "there is no column gender; allowed are path, emotion, speaker"),
        (["list.csv", "--audio-root", "no"], "--audio-root no is not a folder."),
        (["list.csv"], "list.csv has no column emotion; it has path, label."),
        (["own", "--pattern", PATTERN, "--name", "emodb"], "--name 'emodb' cannot be the name of a corpus of yours"),
        (["own", "--pattern", PATTERN, "--name", "all"], "--name 'all' cannot be the name"),
        (["own", "--pattern", PATTERN, "--name", "../x"], "--name '../x' cannot be the name"),
        (["own", "--pattern", PATTERN, "--data-root", "s3://bucket"], "corpora are put together on a disk"),
        (["own", "--pattern", PATTERN, "--data-root", "notes.txt"], "notes.txt is not a folder."),
    ],
)
def test_wrong_use_is_one_line(tmp_path, data, run, monkeypatch, arguments, text):
    monkeypatch.chdir(tmp_path)
    flat(tmp_path / "own")
    (tmp_path / "notes.txt").touch()
    (tmp_path / "list.csv").write_text("path,label\nown/01_wut_0.wav,wut\nown/01_freude_0.wav,freude\n")
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert text in err
    assert err.count("\n") == 1
    assert tree(data) == []


# -- what is there already --------------------------------------------------------------------------------------------


def test_an_import_replaces_an_import_and_only_when_asked(tmp_path, data, run):
    flat(tmp_path / "mine")
    assert run(tmp_path / "mine", "--pattern", PATTERN)[0] == 0
    (tmp_path / "mine/01_wut_0.wav").unlink()
    status, _, err = run(tmp_path / "mine", "--pattern", PATTERN)
    assert status == 2
    assert f"{data}/mine is there already. Choose another --name, or give --replace to replace it." in err
    assert run(tmp_path / "mine", "--pattern", PATTERN, "--copy", "--replace")[0] == 0
    assert len(found(data)) == 11
    assert os.listdir(data) == ["mine"]
    assert not (data / "mine/recordings/01_wut_1.wav").is_symlink()


def changed_table(corpus):
    with (corpus / "manifest.csv").open("a") as file:
        file.write("\n")


def added_recording(corpus):
    record(corpus / "recordings/new.wav", 99)


def lost_note(corpus):
    (corpus / ".imported.json").unlink()


def broken_note(corpus):
    (corpus / ".imported.json").write_text("[]")


def link_elsewhere(corpus):
    (corpus / "recordings/01_wut_0.wav").unlink()
    (corpus / "recordings/01_wut_0.wav").symlink_to(corpus.parent.parent / "own/01_wut_1.wav")


def odd_name(corpus):
    (corpus / os.fsdecode(b"lat\xefn.txt")).touch()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (changed_table, "was changed since it was imported (manifest.csv)"),
        (added_recording, "was changed since it was imported (recordings/new.wav)"),
        (link_elsewhere, "was changed since it was imported (recordings/01_wut_0.wav)"),
        (odd_name, r"was changed since it was imported (lat\xefn.txt)"),
        (lost_note, "was not made by such an import"),
        (broken_note, "/mine/.imported.json cannot be read"),
    ],
)
@pytest.mark.parametrize("how", [[], ["--copy"]])
def test_an_import_that_was_changed_since_is_not_replaced(tmp_path, data, run, change, why, how):
    flat(tmp_path / "own")
    assert run(tmp_path / "own", "--pattern", PATTERN, *how)[0] == 0
    change(data / "mine")
    before = tree(data)
    status, _, err = run(tmp_path / "own", "--pattern", PATTERN, "--replace")
    assert status == 2
    assert f"{why}: it is not replaced. Choose another --name, or rename or delete it." in err
    assert tree(data) == before


def test_a_table_of_an_import_that_was_changed_since_is_not_replaced(data, run):
    flat(data / "raw")
    assert run(data / "raw", "--pattern", PATTERN)[0] == 0
    assert run(data / "raw", "--pattern", PATTERN, "--replace")[0] == 0
    text = (data / "mine.csv").read_text().replace("wut", "angry")
    (data / "mine.csv").write_text(text)
    status, _, err = run(data / "raw", "--pattern", PATTERN, "--replace")
    assert status == 2
    assert "was changed since it was imported (mine.csv): it is not replaced" in err
    assert (data / "mine.csv").read_text() == text


def test_what_is_imported_is_not_replaced_by_itself(tmp_path, data, run):
    """Copies may be the only ones by now; also where they are reached by a link."""
    flat(tmp_path / "own")
    assert run(tmp_path / "own", "--pattern", PATTERN, "--copy")[0] == 0
    (tmp_path / "link").symlink_to(data / "mine/recordings")
    before = tree(data)
    for origin in (data / "mine/recordings", tmp_path / "link"):
        status, _, err = run(origin, "--pattern", PATTERN, "--copy", "--replace")
        assert status == 2
        assert f"{data}/mine would be a corpus mine, too, and is what would be imported: it is not replaced" in err
    assert tree(data) == before


def test_a_folder_of_somebody_that_looks_like_an_import_is_not_replaced(tmp_path, data, run):
    flat(data / "mine/recordings")
    rows = [f"recordings/{path.name},wut" for path in (data / "mine/recordings").iterdir()]
    (data / "mine/manifest.csv").write_text("\n".join(["path,emotion", *rows]))
    flat(tmp_path / "own")
    before = tree(data)
    status, _, err = run(tmp_path / "own", "--pattern", PATTERN, "--replace")
    assert status == 2
    assert "was not made by such an import: it is not replaced" in err
    assert tree(data) == before


@pytest.mark.parametrize(
    "there", ["mine/angry/1.wav", "mine/manifest.csv", "mine.parquet", "mine.csv", "mine/recordings/x.wav"]
)
def test_what_was_not_made_by_an_import_is_never_replaced(tmp_path, data, run, there):
    flat(tmp_path / "own")
    (data / there).parent.mkdir(parents=True)
    (data / there).write_text("mine")
    status, _, err = run(tmp_path / "own", "--pattern", PATTERN, "--replace")
    assert status == 2
    assert "would be a corpus mine, too, and was not made by such an import: it is not replaced" in err
    assert (data / there).read_text() == "mine"


def test_a_link_of_that_name_is_not_followed(tmp_path, data, run):
    """Even where it leads to what an import has made, which may be another data root's."""
    flat(tmp_path / "own")
    assert run(tmp_path / "own", "--pattern", PATTERN, "--data-root", tmp_path / "theirs")[0] == 0
    before = tree(tmp_path / "theirs")
    data.mkdir()
    (data / "mine").symlink_to(tmp_path / "theirs/mine")
    assert run(tmp_path / "own", "--pattern", PATTERN, "--replace")[0] == 2
    assert tree(tmp_path / "theirs") == before
    assert os.listdir(data) == ["mine"]


def test_a_write_that_fails_leaves_what_was_there(tmp_path, data, run):
    flat(tmp_path / "own")
    assert run(tmp_path / "own", "--pattern", PATTERN)[0] == 0
    before = tree(data)
    place = placing.place(data, "mine", tmp_path / "own", [], copy=True, replace=True)
    utterances = located_corpus("mine", str(data))[0].find(located_corpus("mine", str(data))[1]).utterances
    gone = [
        dataclasses.replace(utterances[0], path="01_wut_0.wav"),
        dataclasses.replace(utterances[0], path="gone.wav"),
    ]
    with pytest.raises(FileNotFoundError):
        placing.write(place, gone, copy=True)
    assert tree(data) == before


def test_a_hidden_folder_of_the_data_root_is_not_referred_to(data, run):
    """Listings leave hidden folders out."""
    flat(data / ".raw")
    assert run(data / ".raw", "--pattern", PATTERN)[0] == 0
    assert len(found(data)) == 12


def test_places_are_compared_as_they_are_written(tmp_path):
    assert storage.local_folder(f"{tmp_path}/a/../b/") == tmp_path / "b"
    assert storage.local_folder(f"file://{tmp_path}/b") == tmp_path / "b"
