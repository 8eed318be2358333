"""`timnet show RUN`: a run's report with its utterances, sorted by how wrong the model was, to look at and listen to."""

import argparse
import os
import signal
import socket
import sys
import webbrowser
from typing import TYPE_CHECKING, Any

from flows.command import Environment, add_data_root, add_store, has_display
from timnet.errors import ConfigError

if TYPE_CHECKING:
    from starlette.applications import Starlette

HOST = "127.0.0.1"  # recordings are licensed: nobody else on the network is to hear them
CLOSING_S = 2  # how long an end waits for what is being sent


def add(groups: Any) -> None:
    """Add the command to the parser of `timnet`."""
    words = "look at a run in a browser: its report, and its utterances with sound, the most wrong ones first"
    parser = groups.add_parser("show", help=words, description=words, allow_abbrev=False)
    parser.add_argument("run", metavar="RUN", help="the run's id")
    add_store(parser)
    root = Environment().data_root
    text = f"folder or URI that holds the corpora [default: {root or 'where the run found them'}]"
    add_data_root(parser, text, required=False)
    parser.add_argument("--port", type=int, default=0, metavar="N", help="port on this machine [default: a free one]")
    parser.add_argument("--no-browser", action="store_true", help="only print the address")
    parser.set_defaults(action=_show)


def _show(given: argparse.Namespace) -> None:
    from flows.pages import application
    from timnet.report.shown import Shown
    from timnet.store import Store

    listening = _listen(given.port)
    with listening:
        store = Store(given.store)
        store.check()
        app = application(Shown.of(store, given.run, given.data_root))
        address = f"http://{HOST}:{listening.getsockname()[1]}/"
        print(address, flush=True)
        if not given.no_browser and has_display():
            webbrowser.open(address)
        serve(app, listening)


def _listen(port: int) -> socket.socket:
    if not 0 <= port <= 65_535:
        raise ConfigError(f"--port {port}: allowed are 1 to 65535, and 0 for a free one.")
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error
        raise ConfigError(f"--port {port} cannot be used ({reason}). Give another, or none.") from error


def serve(app: "Starlette", listening: socket.socket) -> None:
    """Answer until Ctrl-C or SIGTERM, which are how this command ends."""
    import uvicorn

    config = uvicorn.Config(
        app, log_level="warning", access_log=False, lifespan="off", ws="none", timeout_graceful_shutdown=CLOSING_S
    )
    server = uvicorn.Server(config)
    for number in (signal.SIGINT, signal.SIGTERM):  # uvicorn takes them over, and raises them again when it has closed
        signal.signal(number, server.handle_exit)
    server.run(sockets=[listening])
    print("timnet: closed", file=sys.stderr)
