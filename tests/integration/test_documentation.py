"""Every page that gives commands, command by command, as they stand there, on recordings that have EMO-DB's names.

What changes: networks train for one epoch on two folds, `fetch` asks a server on this machine, placeholders such as DIR
stand for folders and addresses that are there, and `all` for EMODB. The commands of ELSEWHERE are left out.
"""

import functools
import http.server
import itertools
import os
import shutil
import signal
import subprocess
import sys
import threading
import urllib.request
import zipfile
from pathlib import Path

import pytest
import s3fs
from ray.cluster_utils import Cluster
from tiny import write_tone

from tests.documented import OTHERS, ROOT, blocks, commands
from timnet import published_weights
from timnet.config import ModelSettings
from timnet.models import timnet
from timnet.models.base import get_weights

pytestmark = [pytest.mark.ray, pytest.mark.prefect, pytest.mark.slow, pytest.mark.timeout(1500)]

COUNTS = {"W": 127, "L": 81, "E": 46, "A": 69, "F": 71, "N": 79, "T": 62}  # of EMO-DB, by the letter of the emotion
SPEAKERS = ("03", *(f"{number:02d}" for number in range(8, 17)))
SENTENCES = ("a01", "a02", "a04", "a05", "a07", "b01", "b02", "b03", "b09", "b10")
SMALLER = ("--epochs", "1", "--folds", "2")
ELSEWHERE = ("make", *OTHERS)  # `make demo` is what test_cv.py runs, and `make test` this


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


@pytest.fixture
def released(tmp_path):
    """Weights as the published system stores them, of networks that nobody trained."""
    folder = tmp_path / "EMODB_46"
    folder.mkdir()
    settings = ModelSettings("timnet", 188, 39, 7)
    written = published_weights.write_weights(get_weights(timnet.build(settings)), settings)
    for fold in range(1, 11):
        (folder / f"10-fold_weights_best_{fold}.hdf5").write_bytes(written)
    return folder


@pytest.fixture
def ray_with_gpus():
    """The address of a cluster that says it has GPUs."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "num_gpus": 2, "include_dashboard": False})
    yield cluster.address
    cluster.shutdown()


@pytest.fixture(autouse=True)
def own_environment(tmp_path, monkeypatch):
    for name in ("PREFECT_API_URL", "TIMNET_STORE", "TIMNET_DATA_ROOT", "TIMNET_RAY_ADDRESS", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))


def follow(
    page: str, repository: Path, url: str | None = None, only: list[str] | None = None, **stands_for: str
) -> str:
    """Give every command of a page, or those that end with `only`; returns all that they print.

    `url` is where `fetch` gets its archive.
    """
    printed = []
    for words in commands(ROOT / page):
        if words[0] in ELSEWHERE or (only and words[-len(only) :] != only):
            continue
        given = [stands_for.get(word, word) for word in words]
        if given[0] == "timnet":
            given = ["python", "-m", "flows.main", *given[1:]]
        if given[2:4] == ["flows.main", "show"]:
            printed.append(shown(given, repository))
            continue
        if given[3:5] == ["corpora", "fetch"]:
            given += ["--url", url]
        if given[2] == "flows.cv" and "svm" not in given:
            given += SMALLER
        done = subprocess.run([sys.executable, *given[1:]], cwd=repository, capture_output=True, text=True, timeout=400)
        assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"
        printed.append(done.stdout + done.stderr)
    assert printed
    return "\n".join(printed)


def upload(folder: Path, path: str) -> None:
    """Copy a folder to S3, into a bucket that is made if need be: the server would not see at once what lies on its disk."""
    server = s3fs.S3FileSystem()
    if not server.exists(path.partition("/")[0]):
        server.mkdir(path.partition("/")[0])
    for inside, _, names in os.walk(folder, followlinks=True):
        for file in (Path(inside) / name for name in names):
            server.pipe_file(f"{path}/{file.relative_to(folder).as_posix()}", file.read_bytes())


def shown(given: list[str], repository: Path) -> str:
    """The first page of a server, which is then stopped."""
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    server = subprocess.Popen(
        [sys.executable, *given[1:]], cwd=repository, env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        with urllib.request.urlopen(server.stdout.readline().strip(), timeout=60) as answer:
            return answer.read().decode()
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=60)


def test_the_tutorial(repository, site):
    shutil.rmtree(repository / "data")  # it begins without
    said = follow("docs/tutorial.md", repository, url=site)
    assert "Nothing is wrong with it." in said
    assert "timnet-15: UAR" in said
    assert (repository / "timnet-store/runs/svm/report/index.html").exists()
    assert (repository / "timnet-store/runs/svm/report/predictions.parquet").exists()


def test_own_protocols(repository):
    parts = itertools.cycle(("train", "train", "validation", "test"))
    files = sorted(path.stem for path in (repository / "data/EMODB/wav").iterdir())
    rows = [f"wav/{name},{part},1" for name, part in zip(files, parts, strict=False)]
    (repository / "split.csv").write_text("\n".join(["utterance_id,part,fold", *rows]) + "\n")
    said = follow("docs/own-protocol.md", repository)
    assert "pooled over 10 of 10 folds" in said  # a speaker each
    assert "pooled over 1 of 1 fold" in said


def test_a_model_of_ones_own(repository):
    (code,) = [text for language, text in blocks(ROOT / "docs/own-model.md") if language == "python"]
    (repository / "timnet/models/mean_pool.py").write_text(code)
    assert "DEMO (synthetic)" in follow("docs/own-model.md", repository)


def recordings(repository: Path) -> None:
    """What the user of README has: recordings by emotion, and interviews."""
    for emotion, hz in (("happy", 220.0), ("sad", 120.0)):
        for take in range(12):
            write_tone(repository / f"data/my-recordings/{emotion}/{take}.wav", hz, seed=take)
    write_tone(repository / "interviews/b.wav", 220, seed=1)


@pytest.mark.s3
def test_what_was_measured(repository, released, s3):
    """The runs of README and of two pages, on the disk and on S3."""
    recordings(repository)
    upload(repository / "data", "corpora")
    for page in ("README.md", "docs/leakage.md", "docs/published.md"):
        said = follow(page, repository, DIR="data", all="EMODB", **{"ray://HEAD:10001": "local"})
        assert "pooled over" in said
    assert len(list((repository / "timnet-store/comparisons").glob("*/index.html"))) == 4


@pytest.mark.s3
def test_models_and_tables_made_of_a_run(repository, released, s3):
    """README's first run of EMO-DB, then its models and predictions, on the disk and on S3."""
    recordings(repository)
    follow("README.md", repository, only=["--run-id", "emodb"], DIR="data")
    upload(repository / "timnet-store", "results/emotion")
    write_tone(repository / "heard/c.wav", 220, seed=1)
    upload(repository / "heard", "bucket/recordings")
    follow("docs/export.md", repository, DIR="data")
    assert {path.name for path in repository.glob("*.onnx*")} == {"emodb.onnx", "emodb.onnx.md", "emodb.onnx.json"}
    assert (s3.folder / "bucket/models/emodb.keras").is_file()
    for name in ("call.wav", "a.wav"):
        write_tone(repository / name, 220, seed=1)
    npz = [sys.executable, "-m", "flows.main", "export", "--model", "emodb", "--output", "emodb.npz"]
    subprocess.run(npz, cwd=repository, check=True)
    follow("docs/predict.md", repository)
    assert len((repository / "interviews.csv").read_text().splitlines()) == 2
    assert (repository / "found.parquet").is_file()


def test_looking_and_tracking(repository):
    assert "<h1" in follow("docs/show.md", repository)
    assert "mlflow.db" in follow("docs/tracking.md", repository)
    assert list((repository / "timnet-store/tensorboard").rglob("events.*"))


def test_corpora_of_ones_own(repository):
    for number, emotion in enumerate(("happy", "sad") * 12):
        write_tone(repository / f"recordings/{number % 4}_{emotion}.wav", 120 + 100 * (number % 2), seed=number)
        write_tone(repository / f"study/{number}.wav", 120 + 100 * (number % 2), seed=number)
    rows = [f"{number}.wav\t{('wut', 'sad')[number % 2]}" for number in range(24)]
    (repository / "study/list.tsv").write_text("\n".join(["file\tlabel", *rows]) + "\n")
    said = follow("docs/corpora.md", repository, DIR="data")
    assert "mine" in said


@pytest.mark.s3
def test_s3(repository, s3):
    upload(repository / "data", "timnet/recordings")
    assert "pooled over 10 of 10 folds" in follow("docs/s3.md", repository)
    assert list(s3.folder.glob("timnet/results/runs/*/report/index.html"))


@pytest.mark.s3
def test_clusters_and_gpus(repository, s3, ray_with_gpus, monkeypatch):
    """HEAD is no client server here, which tests/integration/test_ray_client.py has, but the cluster itself."""
    monkeypatch.setenv("RAY_ADDRESS", ray_with_gpus)  # what auto finds
    upload(repository / "data", "timnet/recordings")
    follow("docs/cluster.md", repository, **{"ray://HEAD:10001": ray_with_gpus, "all": "EMODB"})
    assert "in lockstep in groups of up to 2" in follow("docs/gpu.md", repository)


def test_the_cost_with_other_numbers():
    said = follow("docs/cost.md", ROOT)
    assert "3 seeds a corpus, 180 folds" in said
    assert "| 96 | 10 |" in said
