"""The Prefect API of a local run: a process of its own that ends with the process that started it, however that ends.

Prefect's own temporary API would hear a Ctrl-C at the terminal before the run can tell it how it ended, and would
outlive a run that is killed. This one is in a session of its own, and watches a pipe that closes with its parent.
"""

import atexit
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from typing import Any

from timnet.errors import TimnetError

START_TIMEOUT_S = 180  # the first start of all makes Prefect's database, on a busy laptop
STOP_TIMEOUT_S = 5

_SETTINGS = {
    "PREFECT__SERVER_EPHEMERAL": "1",  # no user interface and no scheduler
    "PREFECT__SERVER_FINAL": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_UI_ENABLED": "false",
    "PREFECT_LOGGING_LEVEL": "CRITICAL",
}


class LocalApi:
    """Starts at once and becomes ready beside whatever else the caller has to do.

    Closed at the exit of the process at the latest; `close` may be called twice.
    """

    def __init__(self) -> None:
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115 # as long as the process
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self.url = f"http://127.0.0.1:{listening.getsockname()[1]}/api"
            environment = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", __name__, str(listening.fileno())],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=self._said,
                pass_fds=[listening.fileno()],
                env=environment | _SETTINGS,
                start_new_session=True,
            )
        atexit.register(self.close)

    def wait(self) -> None:
        """Return when it answers; raises TimnetError where it never does."""
        end = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < end and self._process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.url}/health", timeout=5) as answer:  # noqa: S310
                    if answer.status == 200:
                        return
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)
        code = self._process.poll()
        self.close()
        what = f"did not answer within {START_TIMEOUT_S} s" if code is None else f"ended with exit status {code}"
        raise TimnetError(
            f"Prefect's temporary API {what}{self._error()}. Check that PREFECT_HOME (~/.prefect) can be written; "
            "`prefect server start` says more. With a server of your own and its PREFECT_API_URL, run without --local."
        )

    def _error(self) -> str:
        """The last error that it printed, for a message; empty where it printed none."""
        self._said.seek(0)
        found = re.findall(r"^[\w.]+(?:Error|Exception)\b: .*", self._said.read(), re.MULTILINE)
        return f" ({found[-1].rstrip('.')})" if found else ""

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _serve(descriptor: int) -> None:
    servers: list[Any] = []

    def watch() -> None:
        sys.stdin.buffer.read()  # returns when the parent has closed the pipe, or is gone
        if servers:
            servers[0].should_exit = True
            time.sleep(STOP_TIMEOUT_S - 1)
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()  # before the imports, which take seconds

    import uvicorn
    from prefect.server.api.server import create_app

    servers.append(uvicorn.Server(uvicorn.Config(create_app, factory=True, log_level="critical")))
    servers[0].run(sockets=[socket.socket(fileno=descriptor)])


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
