"""Files and folders that are made under a name of their own, which nobody reads: gone when they are done with.

Also where a signal ends the process without closing anything: whoever does that calls `remove_all` before.
"""

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager

_paths: set[str] = set()


@contextmanager
def unfinished(path: str) -> Iterator[str]:
    """Inside, a file or folder may lie there; afterwards it does not. One that is finished is renamed."""
    _paths.add(path)
    try:
        yield path
    finally:
        _remove(path)
        _paths.discard(path)


def remove_all() -> None:
    """Remove what is unfinished in this process, which is about to end."""
    for path in list(_paths):
        _remove(path)


def _remove(path: str) -> None:
    if os.path.isdir(path):
        import shutil

        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            os.unlink(path)
