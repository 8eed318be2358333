"""Runs side by side on one page: `python -m flows.compare RUN_A RUN_B … --store URI`.

Each run is compared with the first on the same recordings: the difference in UAR and WAR, its interval over speakers,
and a paired test.
"""

import sys

from flows import stopping
from flows.command import Parser, add_store, fail
from timnet.errors import TimnetError


def main(arguments: list[str]) -> None:
    """Needs no Ray and no Prefect: everything is in the store already."""
    parser = Parser(prog="python -m flows.compare", description=__doc__, allow_abbrev=False)
    parser.add_argument(
        "runs", nargs="+", metavar="RUN", help="run ids; the first is what the others are compared with"
    )
    add_store(parser)
    try:
        given = parser.parse_args(arguments)
        from timnet.report import side_by_side
        from timnet.store import Store

        store = Store(given.store)
        folder = side_by_side.folder(given.runs)
        summary = side_by_side.build(store, given.runs, folder)
    except TimnetError as error:
        fail(error)
    print(side_by_side.terminal(summary))
    print(f"Page: {store.at(f'{folder}/index.html')}")


if __name__ == "__main__":
    stopping.leave_at_once(stopping.SAID_ONCE)
    main(sys.argv[1:])
