"""The command `timnet`: corpora, runs, predictions, exports and pages. Trainings are started as `python -m flows.cv`."""

import os
import sys

from flows import corpora, export, predict, runs, show
from flows.command import Parser, fail
from timnet.errors import TimnetError


def parser() -> Parser:
    """The parser of the command; what it returns for arguments has the function to call as `action`."""
    made = Parser(prog="timnet", description=__doc__, allow_abbrev=False)
    groups = made.add_subparsers(metavar="COMMAND", required=True)
    for module in (corpora, runs, predict, export, show):
        module.add(groups)
    return made


def main(arguments: list[str] | None = None) -> None:
    """Needs no Prefect, and Ray only to predict many recordings. Exit status 2 for wrong use and for what is not there."""
    try:
        given = parser().parse_args(sys.argv[1:] if arguments is None else arguments)
        given.action(given)
        sys.stdout.flush()
    except TimnetError as error:
        fail(error)
    except BrokenPipeError:  # `timnet … | head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
