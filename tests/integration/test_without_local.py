"""Commands without `--local`: they use the Prefect server that is set, bring an API where none is, and say what is wrong."""

import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from s3 import free_port
from tiny import SETTINGS, predictions

pytestmark = pytest.mark.prefect


@pytest.fixture
def run(tmp_path):
    """`python -m flows.cv …` with a Prefect home of its own and the given variables."""

    def run(*arguments, **variables):
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "TIMNET_"))}
        home = {"PREFECT_HOME": str(tmp_path / "home"), "PREFECT_PROFILES_PATH": str(tmp_path / "profiles.toml")}
        return subprocess.run(
            [sys.executable, "-m", "flows.cv", "--store", str(tmp_path / "store"), *arguments],
            env=kept | home | variables, capture_output=True, text=True, timeout=240, check=False,
        )  # fmt: skip

    return run


def test_a_server_that_is_not_there_is_one_line_and_its_password_is_not_repeated(run, tmp_path):
    port = free_port()
    done = run(PREFECT_API_URL=f"http://me:hunter2@127.0.0.1:{port}/api")
    assert done.returncode == 1
    assert done.stderr.startswith(f"timnet: Prefect's server at 127.0.0.1:{port} cannot be used (")
    assert "`prefect server start`, check PREFECT_API_URL, or give --local" in done.stderr
    assert done.stderr.count("\n") == 1
    assert "hunter2" not in done.stderr
    assert not (tmp_path / "store").exists()


class _Refusing(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_error(401)

    def log_message(self, *_):
        pass


@pytest.mark.parametrize(
    ("password", "why"), [("hunter2", "401 Unauthorized' for url 'http://127.0.0.1:"), ("hun/ter2", "this is no URL")]
)
def test_a_server_that_refuses_is_one_line_and_its_password_is_not_repeated(password, why, run):
    with HTTPServer(("127.0.0.1", 0), _Refusing) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}).start()
        try:
            done = run(PREFECT_API_URL=f"http://me:{password}@127.0.0.1:{server.server_port}/api")
        finally:
            server.shutdown()
    assert done.returncode == 1
    assert done.stderr.startswith(f"timnet: Prefect's server at 127.0.0.1:{server.server_port} cannot be used (")
    assert why in done.stderr
    assert done.stderr.count("\n") == 1
    assert not re.search("hun|ter2", done.stderr)


@pytest.mark.parametrize("more", [[], pytest.param(["--local"], marks=pytest.mark.slow)])
def test_an_api_that_cannot_start_is_one_line(more, run, tmp_path):
    done = run(*more, PREFECT_API_DATABASE_CONNECTION_URL=f"sqlite+aiosqlite:///{tmp_path}/nowhere/prefect.db")
    assert done.returncode == 1
    assert done.stderr.startswith("timnet: Prefect's temporary API ended with exit status ")
    assert "unable to open database file" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.ray
@pytest.mark.slow
def test_without_a_server_it_brings_an_api(run, recordings, finished, tmp_path):
    done = run("--data-root", str(recordings), *SETTINGS)
    assert done.returncode == 0, done.stderr
    assert predictions(tmp_path / "store").equals(predictions(finished[0]))
