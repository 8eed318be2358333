"""The command `timnet`: corpora, runs, predictions, pages and exports. Trainings start as `python -m flows.cv`."""

import errno
import os
import sys
from typing import TYPE_CHECKING

from flows import stopping
from timnet.errors import TimnetError

if TYPE_CHECKING:
    from flows.command import Parser

NO_OUTPUT = 1  # exit status where the standard output takes no more, as with these errors
NOT_WRITTEN = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


def parser() -> "Parser":
    """The parser of the command; what it returns for arguments has the function to call as `action`."""
    from flows import corpora, export, predict, runs, show
    from flows.command import Parser
    from timnet import __version__

    made = Parser(prog="timnet", description=__doc__, allow_abbrev=False)
    made.add_argument("--version", action="version", version=f"timnet {__version__}")
    groups = made.add_subparsers(metavar="COMMAND", required=True)
    for module in (corpora, runs, predict, show, export):
        module.add(groups)
    return made


def main(arguments: list[str] | None = None) -> None:
    """Needs no Prefect, and Ray only to predict many recordings. Exit status 2 for wrong use and for what is not there.

    Without arguments it is the command of this process: it takes the process's own, and a signal ends it at once.
    """
    if arguments is None:
        stopping.leave_at_once(stopping.SAID_ONCE)  # before anything is imported that takes time
        arguments = sys.argv[1:]
    try:
        _act(arguments)
    except BrokenPipeError:  # `timnet … | head` has read enough
        _nowhere()
    except OSError as error:
        if error.errno not in NOT_WRITTEN or error.filename is not None:
            raise
        print(f"timnet: the output cannot be written: {error.strerror}.", file=sys.stderr)
        _nowhere()
        raise SystemExit(NO_OUTPUT) from None


def _act(arguments: list[str]) -> None:
    from flows.command import fail

    try:
        given = parser().parse_args(arguments)
        given.action(given)
    except TimnetError as error:
        fail(error)
    finally:  # also what --help prints, and what comes before an error
        sys.stdout.flush()


def _nowhere() -> None:
    """What is left to print at the end of the process goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
