"""The pages that a newcomer follows, command by command, as they stand there, on recordings that have EMO-DB's names.

What changes: networks train for one epoch on two folds, `fetch` asks a server on this machine, and `make demo` is left
out, which `test_cv` runs as what it is.
"""

import functools
import http.server
import itertools
import shutil
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest
from tiny import write_tone

from tests.documented import ROOT, blocks, commands

pytestmark = [pytest.mark.ray, pytest.mark.prefect, pytest.mark.slow]

COUNTS = {"W": 127, "L": 81, "E": 46, "A": 69, "F": 71, "N": 79, "T": 62}  # of EMO-DB, by the letter of the emotion
SPEAKERS = ("03", *(f"{number:02d}" for number in range(8, 17)))
SENTENCES = ("a01", "a02", "a04", "a05", "a07", "b01", "b02", "b03", "b09", "b10")
SMALLER = ("--epochs", "1", "--folds", "2")
ELSEWHERE = ("source", "make", "export")


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """A folder with download.zip: tones under the names of EMO-DB's recordings, as many of each emotion as it has."""
    folder = tmp_path_factory.mktemp("site")
    for letter, count in COUNTS.items():
        named = itertools.product("abcdefgh", SENTENCES, SPEAKERS)
        for number, (take, sentence, speaker) in enumerate(itertools.islice(named, count)):
            hz = 100 + 30 * list(COUNTS).index(letter)
            write_tone(folder / "wav" / f"{speaker}{sentence}{letter}{take}.wav", hz, seed=number, duration_s=0.3)
    with zipfile.ZipFile(folder / "download.zip", "w") as made:
        for path in sorted((folder / "wav").iterdir()):
            made.write(path, f"wav/{path.name}")
    return folder


@pytest.fixture(scope="module")
def site(archive):
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(archive))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/download.zip"
        server.shutdown()


@pytest.fixture
def repository(tmp_path, archive):
    """A copy of our code to give the commands in, with EMO-DB's names in its folder data."""
    for name in ("flows", "tasks", "timnet"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "data" / "EMODB").mkdir(parents=True)
    (tmp_path / "data" / "EMODB" / "wav").symlink_to(archive / "wav")
    return tmp_path


def follow(page: str, repository: Path, site: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Give every command of a page; returns all that they print."""
    for name in ("PREFECT_API_URL", "TIMNET_STORE", "TIMNET_DATA_ROOT", "TIMNET_RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PREFECT_HOME", str(repository / "prefect"))
    printed = []
    for words in commands(ROOT / "docs" / page):
        if words[0] in ELSEWHERE:
            continue
        given = list(words)
        if given[0] == "timnet":
            given = ["python", "-m", "flows.main", *given[1:]]
        if given[3:5] == ["corpora", "fetch"]:
            given += ["--url", site]
        if given[2] == "flows.cv" and "svm" not in given:
            given += SMALLER
        done = subprocess.run([sys.executable, *given[1:]], cwd=repository, capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"
        printed.append(done.stdout + done.stderr)
    return "\n".join(printed)


def test_the_tutorial(repository, site, monkeypatch):
    shutil.rmtree(repository / "data")  # it begins without
    said = follow("tutorial.md", repository, site, monkeypatch)
    assert "Nothing is wrong with it." in said
    assert "timnet-15: UAR" in said
    assert (repository / "timnet-store/runs/svm/report/index.html").exists()
    assert (repository / "timnet-store/runs/svm/report/predictions.parquet").exists()


def test_own_protocols(repository, site, monkeypatch):
    parts = itertools.cycle(("train", "train", "validation", "test"))
    files = sorted(path.stem for path in (repository / "data/EMODB/wav").iterdir())
    rows = [f"wav/{name},{part},1" for name, part in zip(files, parts, strict=False)]
    (repository / "split.csv").write_text("\n".join(["utterance_id,part,fold", *rows]) + "\n")
    said = follow("own-protocol.md", repository, site, monkeypatch)
    assert "pooled over 10 of 10 folds" in said  # a speaker each
    assert "pooled over 1 of 1 fold" in said


def test_a_model_of_ones_own(repository, site, monkeypatch):
    (code,) = [text for language, text in blocks(ROOT / "docs/own-model.md") if language == "python"]
    (repository / "timnet/models/mean_pool.py").write_text(code)
    assert "DEMO (synthetic)" in follow("own-model.md", repository, site, monkeypatch)
