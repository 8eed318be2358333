"""`timnet corpora`: the list, and the check of a corpus without Ray and without a store."""

import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from flows.main import main
from timnet import corpora


@pytest.fixture
def root(tmp_path):
    for emotion in ("angry", "sad"):
        for speaker in ("ann", "bo"):
            path = tmp_path / "mine" / emotion / speaker / "1.wav"
            path.parent.mkdir(parents=True)
            noise = np.random.default_rng([len(emotion), len(speaker)]).normal(size=8000)
            soundfile.write(path, 0.1 * noise, 8000)
    return tmp_path


def test_the_list_has_every_corpus_with_its_licence_and_source(capsys):
    main(["corpora", "list"])
    said = capsys.readouterr().out
    for name in corpora.names():
        corpus = corpora.get(name)
        assert f"{name}{' (synthetic)' if corpus.synthetic else ''}: {corpus.title}" in said
        assert corpus.licence in said
        assert corpus.source in said


def test_the_list_says_how_to_get_each(capsys, monkeypatch):
    monkeypatch.delenv("TIMNET_DATA_ROOT", raising=False)
    main(["corpora", "list"])
    said = capsys.readouterr().out
    assert "  get it with: timnet corpora fetch EMODB --data-root DIR\n" in said
    assert "  get it with: timnet corpora fetch RAVDESS --data-root DIR --accept-licence\n" in said
    assert "fetch SAVEE" not in said
    for name in corpora.PUBLISHED:
        assert f". {corpora.get(name).how_to_get[0]}\n" in said
        assert f". timnet corpora check {name} --data-root DIR\n" in said
    assert "here:" not in said


def test_the_list_says_what_is_here(tmp_path, capsys):
    for path in ("emodb/wav/03a01Fa.wav", "SAVEE/nothing.txt"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).touch()
    main(["corpora", "list", "--data-root", str(tmp_path)])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  here:")]
    assert lines == [
        f"  here: not in {tmp_path}",
        f"  here: in {tmp_path}/emodb, 1 of 535 recordings",
        *[f"  here: not in {tmp_path}"] * 4,
    ]
    with pytest.raises(SystemExit) as caught:
        main(["corpora", "list", "--data-root", str(tmp_path / "no")])
    assert caught.value.code == 2
    assert "is not there, or is not a folder" in capsys.readouterr().err


def test_a_corpus_without_fault(root, capsys):
    main(["corpora", "check", "mine", "--data-root", str(root)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"mine in {root}/mine: 4 recordings that can be used, 0.00 h"
    assert [line.split() for line in lines[2:5]] == [["angry", "2", "–"], ["sad", "2", "–"], ["speakers", "2", "–"]]
    assert lines[-1] == "Nothing is wrong with it."


def test_what_is_wrong_is_listed_and_is_the_exit_status(root, capsys):
    (root / "mine/sad/bo/2.wav").write_bytes(b"")
    (root / "mine/sad/bo/3.m4a").write_bytes(b"x")
    with pytest.raises(SystemExit) as caught:
        main(["corpora", "check", "mine", "--data-root", str(root)])
    assert caught.value.code == 1
    said = capsys.readouterr().out
    assert "problem: sad/bo/2.wav is an empty file (0 bytes)." in said
    assert "problem: sad/bo/3.m4a: recordings of this kind cannot be read." in said
    assert said.endswith("2 problems.\n")


def test_one_recording_under_two_emotions_is_a_problem_and_a_copy_is_a_note(root, capsys):
    wav = (root / "mine/sad/bo/1.wav").read_bytes()
    (root / "mine/sad/bo/2.wav").write_bytes(wav)
    main(["corpora", "check", "mine", "--data-root", str(root)])
    said = capsys.readouterr().out
    assert "note: 1 recordings are the same as another, sample by sample.\nNothing is wrong with it.\n" in said
    (root / "mine/angry/bo/3.wav").write_bytes(wav)
    with pytest.raises(SystemExit) as caught:
        main(["corpora", "check", "mine", "--data-root", str(root)])
    assert caught.value.code == 1
    said = capsys.readouterr().out
    assert said.count("one recording under several names, with several emotions. Keep the right one.") == 3
    assert said.endswith("3 problems.\n")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["EMODB", "--data-root", "/no/such"], "--data-root /no/such is not there"),
        (["nobody", "--data-root", "."], "There is no corpus nobody"),
        (["DEMO", "--data-root", "."], "there is nothing to check"),
        (["EMODB"], "the following arguments are required: --data-root"),
    ],
)
def test_wrong_use_is_one_line(arguments, text, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        main(["corpora", "check", *arguments])
    assert caught.value.code == 2
    assert text in capsys.readouterr().err


def test_what_is_not_there_or_no_file_is_a_problem(root, capsys):
    (root / "mine/sad/bo/2.wav").symlink_to(root / "moved/2.wav")
    os.mkfifo(root / "mine/sad/bo/3.wav")
    with pytest.raises(SystemExit) as caught:
        main(["corpora", "check", "mine", "--data-root", str(root)])
    assert caught.value.code == 1
    said = capsys.readouterr().out
    assert f"problem: {root}/mine/sad/bo/2.wav is a link to {root}/moved/2.wav, which is missing.\n" in said
    pipe = f"{root}/mine/sad/bo/3.wav"
    assert f"problem: sad/bo/3.wav: cannot be read ({pipe} is not a regular file).\n" in said
    assert "4 recordings that can be used" in said


def test_a_reader_that_has_read_enough_is_no_error():
    command = f"{sys.executable} -m flows.main corpora list | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""
    assert done.stdout.startswith("CASIA: ")
