"""What every test may ask for."""

import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"

# The start of a command line -> the marker that a test has to carry which starts it.
STARTED = {
    r"(\S*/)?rclone ": "s3",
    r"(\S*/)?(chromium|chromium-browser|google-chrome) ": "browser",
    r"\S*/(gcs_server|raylet) ": "ray",
    r"\S+ -m tasks\.local_api |(\S*/)?prefect ": "prefect",
}
_running: list[pytest.Item] = []


@pytest.fixture
def memory_uris(monkeypatch) -> None:
    """memory:// is opened too: in tests it stands for what is on no disk of this machine."""
    from timnet import storage

    monkeypatch.setattr(storage, "KINDS", (*storage.KINDS, "memory://"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    _running.append(item)
    try:
        return (yield)
    finally:
        _running.pop()


def _refuse_unmarked(event: str, arguments: tuple[Any, ...]) -> None:
    """Hears of every process that is about to start; an error raised here goes to the test that starts it."""
    if event != "subprocess.Popen" or not _running:
        return
    command = arguments[1] if isinstance(arguments[1], str) else " ".join(map(os.fsdecode, arguments[1]))
    for start, marker in STARTED.items():
        if re.match(start, f"{command} ") and not _running[-1].get_closest_marker(marker):
            raise RuntimeError(f"{_running[-1].nodeid} starts `{command[:80]}` and needs @pytest.mark.{marker}")


sys.addaudithook(_refuse_unmarked)


def pytest_collection_modifyitems(items):
    """Whole flows over recordings: what they start is started in a process of their own."""
    for item in items:
        for marker in ("ray", "prefect"):
            if {"command", "recordings"} <= set(item.fixturenames) and not item.get_closest_marker(marker):
                raise pytest.UsageError(f"{item.nodeid} runs a flow and needs @pytest.mark.{marker}")
    if "PYTEST_XDIST_WORKER" in os.environ:  # what takes longest begins first
        items.sort(key=lambda item: not _is_run(item.nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Where tests run two at a time: whole runs one after another, and file by file what goes beside them."""
    from xdist.scheduler import LoadScopeScheduling

    class RunsInOneRow(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return "runs" if _is_run(nodeid) else nodeid.partition("::")[0]

    return RunsInOneRow(config, log)


def _is_run(nodeid: str) -> bool:
    return "integration/" in nodeid.partition("::")[0]


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real recordings and reference data beside the checkout; the project's tests pass without it."""
    if not (SHARED / "corpora" / "EMODB" / "wav").is_dir():
        pytest.skip(f"the reference data are not here: {SHARED} has no corpora/EMODB/wav")
    return SHARED


@pytest.fixture(scope="session")
def trainer():
    """A Trainer of one thread; asked for before TensorFlow is used, since its threads cannot be changed afterwards."""
    from timnet.training import Trainer

    return Trainer(threads=1)


@pytest.fixture
def timnet_command(capsys) -> Iterator[Callable[..., tuple[int, str, str]]]:
    """`timnet …` in this process: its exit status and what it printed."""
    from flows.main import main

    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def run(*arguments: object) -> tuple[int, str, str]:
        status = 0
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as left:
            status = left.code
        return status, *capsys.readouterr()

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def no_proxy(monkeypatch) -> None:
    """Loopback is asked directly, whatever this machine's environment says."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
