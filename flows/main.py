"""The command `timnet`: corpora, runs and a look at them. Trainings are started as `python -m flows.cv` and its siblings."""

import os
import sys

from flows import corpora, runs, show
from flows.command import Parser, fail
from timnet.errors import TimnetError


def main(arguments: list[str] | None = None) -> None:
    """Needs no Ray and no Prefect. Exit status 2 for wrong use and for what is not there."""
    parser = Parser(prog="timnet", description=__doc__, allow_abbrev=False)
    groups = parser.add_subparsers(metavar="COMMAND", required=True)
    for module in (corpora, runs, show):
        module.add(groups)
    try:
        given = parser.parse_args(sys.argv[1:] if arguments is None else arguments)
        given.action(given)
        sys.stdout.flush()
    except TimnetError as error:
        fail(error)
    except BrokenPipeError:  # `timnet … | head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
