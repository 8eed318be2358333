"""What find() makes of whole folders: complete trees, copies, other classes, missing label files, linked folders."""

import os
from collections import Counter
from itertools import product

import fsspec
import pytest

from timnet.corpora import get, manifest
from timnet.corpora.base import Source
from timnet.corpora.manifest import published_order
from timnet.errors import CorpusError

CODES = {"ang": 3, "hap": 2, "exc": 2, "neu": 3, "sad": 1, "fru": 2, "xxx": 4, "dis": 1}


@pytest.fixture
def memory(memory_uris):
    """Makes empty files below a root in fsspec's in-memory file system; returns their Source."""
    system = fsspec.filesystem("memory")

    def make(*paths, texts=()):
        for path in paths:
            system.pipe_file(f"/corpus/{path}", b"")
        for path, text in texts:
            system.pipe_file(f"/corpus/{path}", text)
        return Source("memory://corpus")

    yield make
    system.rm("/corpus", recursive=True)


def ravdess_names():
    for actor in range(1, 25):
        for emotion, intensity, sentence, repetition in product(range(1, 9), (1, 2), (1, 2), (1, 2)):
            if (emotion, intensity) != (1, 2):
                yield f"Actor_{actor:02}/03-01-{emotion:02}-{intensity:02}-{sentence:02}-{repetition:02}-{actor:02}.wav"


def savee_names(pattern):
    for speaker, emotion in product(("DC", "JE", "JK", "KL"), ("a", "d", "f", "h", "n", "sa", "su")):
        for number in range(1, 31 if emotion == "n" else 16):
            yield pattern.format(speaker=speaker, emotion=emotion, number=number)


TREES = {
    "CASIA": [
        f"{speaker}/{emotion}/{number}.wav"
        for speaker in ("liuchanhg", "wangzhe", "zhaoquanyin", "ZhaoZuoxiang")
        for emotion in ("angry", "fear", "happy", "neutral", "sad", "surprise")
        for number in range(201, 251)
    ],
    "EMOVO": [
        f"{speaker}/{emotion}-{speaker}-{sentence}.wav"
        for speaker in ("f1", "f2", "f3", "m1", "m2", "m3")
        for emotion in ("dis", "gio", "neu", "pau", "rab", "sor", "tri")
        for sentence in ("b1", "b2", "b3", "l1", "l2", "l3", "l4", "n1", "n2", "n3", "n4", "n5", "d1", "d2")
    ],
    "RAVDESS": list(ravdess_names()),
    "SAVEE": list(savee_names("AudioData/{speaker}/{emotion}{number:02}.wav")),
}


@pytest.mark.parametrize("top", ["", "as unpacked/"])
@pytest.mark.parametrize("name", TREES)
def test_a_complete_corpus_has_its_counts_and_speakers(memory, name, top):
    source = memory(*(f"{top}{path}" for path in TREES[name]), f"{top}readme.txt", f"{top}docs/poster.pdf")
    corpus = get(name)
    found = corpus.find(source)
    assert (found.problems, found.notes) == ((), ())
    assert Counter(utterance.emotion for utterance in found.utterances) == corpus.counts
    assert len({utterance.speaker for utterance in found.utterances}) == corpus.n_speakers
    assert len({utterance.utterance_id for utterance in found.utterances}) == len(TREES[name])


def test_the_order_of_casia_is_by_number_then_speaker(memory):
    found = get("CASIA").find(memory(*TREES["CASIA"]))
    ordered = [utterance.utterance_id for utterance in published_order(get("CASIA"), found.utterances)]
    assert ordered[:5] == [
        "liuchanhg/angry/201",
        "wangzhe/angry/201",
        "zhaoquanyin/angry/201",
        "ZhaoZuoxiang/angry/201",
        "liuchanhg/angry/202",
    ]
    assert ordered[200] == "liuchanhg/fear/201"
    assert ordered[-1] == "ZhaoZuoxiang/surprise/250"


@pytest.mark.parametrize("pattern", ["{speaker}/{emotion}{number:02}.wav", "{speaker}_{emotion}{number:02}.wav"])
def test_the_order_of_savee_is_the_same_in_both_layouts(memory, pattern):
    found = get("SAVEE").find(memory(*savee_names(pattern)))
    ordered = [
        utterance.utterance_id.replace("/", "_") for utterance in published_order(get("SAVEE"), found.utterances)
    ]
    assert ordered[:2] == ["DC_a01", "DC_a02"]
    assert ordered[15] == "JE_a01"
    assert ordered[60] == "DC_d01"
    assert ordered[-1] == "KL_su15"


def test_the_order_of_emovo_is_the_natural_sort_of_the_file_names(memory):
    found = get("EMOVO").find(memory(*TREES["EMOVO"]))
    ordered = [utterance.path for utterance in published_order(get("EMOVO"), found.utterances)]
    assert ordered[:3] == ["f1/rab-f1-b1.wav", "f1/rab-f1-b2.wav", "f1/rab-f1-b3.wav"]
    assert ordered[14] == "f2/rab-f2-b1.wav"


def test_song_is_left_out_of_ravdess_and_counted(memory):
    speech = "Actor_01/03-01-05-02-01-01-01.wav"
    found = get("RAVDESS").find(
        memory(speech, "Actor_01/03-02-05-02-01-01-01.wav", "Actor_01/01-01-05-02-01-01-01.wav")
    )
    assert [utterance.path for utterance in found.utterances] == [speech]
    assert found.notes == ("Left out, as recordings of song or out of the videos: 2.",)
    assert found.problems == ()


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        ("RAVDESS", "Actor_01/03-01-05-02-01-01-01.wav", "copy/Actor_01/03-01-05-02-01-01-01.wav"),
        ("EMODB", "16b10Wb.wav", "wav/16b10Wb.wav"),
        ("SAVEE", "AudioData/DC/a01.wav", "DC_a01.wav"),
        ("CASIA", "a/wangzhe/sad/201.wav", "b/WangZhe/sad/201.wav"),
    ],
)
def test_a_recording_that_lies_there_twice_is_named(memory, name, first, second):
    found = get(name).find(memory(second, first))
    assert [utterance.path for utterance in found.utterances] == [first]
    assert [(problem.kind, problem.path) for problem in found.problems] == [("duplicate-id", second)]
    assert found.problems[0].message == f"{second}: is the same recording as {first}. Keep one of the two."


def iemocap_tree():
    paths, texts = [], []
    for session, marked in product(range(1, 6), "FM"):
        dialog = f"Ses0{session}{marked}_impro01"
        lines, number = ["% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]", ""], 0
        for code, n in CODES.items():
            for _ in range(n):
                turn = f"{dialog}_{'FM'[number % 2]}{number:03}"
                paths.append(f"Session{session}/sentences/wav/{dialog}/{turn}.wav")
                lines += [
                    f"[{number}.0 - {number}.5]\t{turn}\t{code}\t[2.5, 2.5, 2.5]",
                    "C-E2:\tNeutral;\t(that\x92s it)",
                ]
                number += 1
        paths += [f"Session{session}/dialog/wav/{dialog}.wav", f"Session{session}/dialog/MOCAP_hand/{dialog}.txt"]
        folder = f"Session{session}/dialog/EmoEvaluation"
        texts.append((f"{folder}/{dialog}.txt", "\r\n".join(lines).encode("latin-1")))
        texts.append(
            (f"{folder}/Categorical/{dialog}_e1_cat.txt", b"[0.0 - 0.5]\t%b_F000\tsad\t[2, 2, 2]" % dialog.encode())
        )
    return paths, texts


@pytest.mark.parametrize("top", ["", "IEMOCAP_full_release/"])
def test_a_complete_iemocap(memory, top):
    paths, texts = iemocap_tree()
    found = get("IEMOCAP").find(
        memory(*(top + path for path in paths), texts=[(top + path, text) for path, text in texts])
    )
    assert found.problems == ()
    assert Counter(utterance.emotion for utterance in found.utterances) == {
        "angry": 30,
        "happy": 40,  # hap and exc
        "neutral": 30,
        "sad": 10,
    }
    assert {utterance.speaker for utterance in found.utterances} == {
        f"Ses0{n}{letter}" for n in range(1, 6) for letter in "FM"
    }
    assert {utterance.session for utterance in found.utterances} == {f"Session{n}" for n in range(1, 6)}
    assert found.notes == (
        "Left out, as recordings of other classes: 70 (no agreement 40, frustrated 20, disgust 10).",
    )


def test_iemocap_names_a_labelled_turn_without_a_recording(memory):
    paths, texts = iemocap_tree()
    paths.remove("Session2/sentences/wav/Ses02F_impro01/Ses02F_impro01_F000.wav")  # angry
    paths.remove("Session2/sentences/wav/Ses02F_impro01/Ses02F_impro01_M013.wav")  # no agreement: not of the task
    found = get("IEMOCAP").find(memory(*paths, texts=texts))
    assert len(found.utterances) == 109
    [problem] = found.problems
    assert (problem.kind, problem.path) == ("missing-file", "Session2/dialog/EmoEvaluation/Ses02F_impro01.txt")
    assert "labels ses02f_impro01_f000, and there is no ses02f_impro01_f000.wav in" in problem.message


def test_iemocap_names_recordings_whose_label_file_is_missing(memory):
    paths, texts = iemocap_tree()
    found = get("IEMOCAP").find(memory(*paths, texts=texts[2:]))
    assert {problem.kind for problem in found.problems} == {"unknown-label"}
    assert len(found.problems) == sum(CODES.values())


def test_iemocap_without_any_label_file(memory):
    paths, _ = iemocap_tree()
    found = get("IEMOCAP").find(memory(*paths))
    assert found.utterances == ()
    [problem] = found.problems
    assert problem.kind == "missing-file"
    assert "no label files; looked for Session1/dialog/EmoEvaluation/Ses01F_impro05.txt" in problem.message


def test_linked_folders_are_followed_and_loops_end(tmp_path):
    real = tmp_path / "elsewhere" / "wav"
    real.mkdir(parents=True)
    (real / "03a01Fa.wav").touch()
    corpus = tmp_path / "EMODB"
    corpus.mkdir()
    (corpus / "wav").symlink_to(real)
    (corpus / "loop").symlink_to(corpus)
    (corpus / "up").symlink_to(tmp_path / "EMODB" / "..")
    (real / "08a01Fa.wav").symlink_to(real / "03a01Fa.wav")
    listed = set(Source(str(corpus)).listing)
    assert {"wav/03a01Fa.wav", "wav/08a01Fa.wav"} <= listed
    assert not any(path.startswith("loop") for path in listed)


def test_a_link_to_nowhere_is_listed_and_changes_when_its_target_comes(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a.wav").symlink_to(tmp_path / "a.wav")
    (size, before) = Source(str(tmp_path / "data")).listing["a.wav"]
    assert size == 0
    facts = manifest.inspect(Source(str(tmp_path / "data")), "a.wav")
    assert facts.problem == ("missing-file", f"{tmp_path}/data/a.wav is a link to {tmp_path}/a.wav, which is missing.")
    (tmp_path / "a.wav").touch()
    assert Source(str(tmp_path / "data")).listing["a.wav"][1] != before


@pytest.mark.parametrize("path", ["../secret.wav", "wav/../../secret.wav", "..", "", "/etc/passwd"])
def test_nothing_is_read_outside_the_root_but_by_links_in_it(tmp_path, path):
    (tmp_path / "secret.wav").write_bytes(b"1")
    (tmp_path / "EMODB" / "wav").mkdir(parents=True)
    (tmp_path / "EMODB" / "linked.wav").symlink_to(tmp_path / "secret.wav")
    source = Source(str(tmp_path / "EMODB"))
    for ask in (source.read_bytes, source.is_file):
        with pytest.raises(CorpusError, match=rf"relative to {source.root} and stays inside it, received '{path}'"):
            ask(path)
    assert source.is_file("linked.wav")
    assert source.read_bytes("linked.wav") == b"1"
    assert not source.is_file("wav")


def test_hidden_files_are_not_there(tmp_path):
    (tmp_path / "wav").mkdir()
    for name in ("03a01Fa.wav", "._03a01Fa.wav", ".DS_Store"):
        (tmp_path / "wav" / name).touch()
    assert list(Source(str(tmp_path)).listing) == ["wav/03a01Fa.wav"]


def test_another_recording_under_an_old_name_size_and_time_is_noticed(tmp_path):
    """As a copy that keeps times, or a link that is turned to another file, puts it there."""
    for name, text in (("one", b"1111"), ("two", b"2222")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.wav").write_bytes(text)
        os.utime(tmp_path / name / "a.wav", ns=(10**18, 10**18))
    link = tmp_path / "linked" / "a.wav"
    link.parent.mkdir()
    link.symlink_to(tmp_path / "one" / "a.wav")
    listings = [dict(Source(str(tmp_path / name)).listing) for name in ("one", "two", "linked")]
    link.unlink()
    link.symlink_to(tmp_path / "two" / "a.wav")
    listings.append(dict(Source(str(tmp_path / "linked")).listing))
    assert listings[0] != listings[1]
    assert listings[2] != listings[3]
    assert listings[3] == dict(Source(str(tmp_path / "linked")).listing)
