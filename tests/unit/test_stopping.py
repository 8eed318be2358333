"""Signals to `timnet`, whatever it does just then, and what is left behind; an output that takes no more."""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from timnet import features
from timnet.config import ModelSettings
from timnet.trained import Trained, TrainedFold, save
from timnet.unfinished import unfinished

SAID = "timnet: interrupted. Give the same command again.\n"
PROFILE = features.get("soxr_hq")
SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]


# `timnet …`, with a signal to itself where a module begins to be imported.
SIGNALLED = """
import os, runpy, sys
_, module, number, *arguments = sys.argv
class Signal:
    def find_spec(name, path=None, target=None):
        if name == module:
            os.kill(os.getpid(), int(number))
sys.meta_path.insert(0, Signal)
sys.argv = ["timnet", *arguments]
runpy.run_module("flows.main", run_name="__main__")
"""


def python(code, *arguments):
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=Path(__file__).resolve().parents[2],
        # Started in the background, as CI may be, this process ignores Ctrl-C, and its children would inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


@pytest.fixture
def model(tmp_path):
    """A network whose weights are of none: TensorFlow is loaded before that is noticed."""
    shape = ModelSettings("timnet", features.n_frames(PROFILE, 22_050), 39, 3)
    weights = {"classifier/kernel": np.zeros((39, 3), np.float32)}
    trained = Trained("x", "X", ("a", "b", "c"), shape, PROFILE, 22_050, (TrainedFold(1, 1, weights),))
    save(trained, tmp_path / "model.npz")
    return tmp_path / "model.npz"


@pytest.mark.parametrize(("number", "status"), SIGNALS)
@pytest.mark.parametrize(
    ("arguments", "module"),
    [
        (["corpora", "list"], "pydantic_settings"),
        (["corpora", "check", "mine", "--data-root", "{folder}"], "pyarrow"),
        (["runs", "list", "--store", "{folder}/store"], "pyarrow"),
        (["show", "none", "--store", "{folder}/store"], "timnet.report.shown"),
        (["predict", "{folder}/mine/a/1.wav", "--model", "{folder}/model.npz"], "tensorflow"),
        (["export", "--model", "{folder}/model.npz", "--output", "{folder}/x.keras"], "tensorflow"),
    ],
)
def test_a_signal_is_one_line_and_its_status(model, number, status, arguments, module):
    folder = model.parent
    (folder / "mine/a").mkdir(parents=True)
    soundfile.write(folder / "mine/a/1.wav", 0.1 * np.sin(np.arange(16_000)), 16_000)
    before = sorted(folder.rglob("*"))
    done = python(SIGNALLED, module, int(number), *(argument.format(folder=folder) for argument in arguments))
    assert done.stderr == SAID
    assert done.returncode == status
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize(("number", "status"), SIGNALS)
def test_nobody_swallows_it_and_nothing_unfinished_stays(tmp_path, number, status):
    """Where an exception raised by a handler would be lost: in a finaliser, and in what catches everything."""
    code = f"""
import os, tempfile
from flows import stopping
from timnet.unfinished import unfinished
stopping.leave_at_once(stopping.SAID_ONCE)
with unfinished("{tmp_path}/a.partial") as file, unfinished(tempfile.mkdtemp(dir="{tmp_path}")) as folder:
    open(file, "w").close()
    open(folder + "/b", "w").close()
    class Last:
        def __del__(self):
            os.kill(os.getpid(), {int(number)})
    try:
        Last()
    except BaseException:
        pass
print("went on")
"""
    done = python(code)
    assert (done.returncode, done.stdout, done.stderr) == (status, "", SAID)
    assert list(tmp_path.iterdir()) == []


def test_what_is_unfinished_goes_with_its_block(tmp_path):
    def interrupted():
        with unfinished(str(tmp_path / "a")) as path:
            Path(path).write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with unfinished(str(tmp_path / "b.partial")) as path:
        Path(path).write_text("whole")
        os.replace(path, tmp_path / "b")
    assert [file.name for file in tmp_path.iterdir()] == ["b"]


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_an_output_that_takes_no_more_is_one_line(tmp_path, unbuffered):
    with open(tmp_path / "out", "w") as out:
        done = subprocess.run(
            [sys.executable, "-m", "flows.main", "corpora", "list"],
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)),
        )
    assert done.stderr == "timnet: the output cannot be written: File too large.\n"
    assert done.returncode == 1
