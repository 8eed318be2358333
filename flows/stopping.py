"""What Ctrl-C and SIGTERM do to a command, from its first line to its last. Imports nothing that takes time."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from timnet import unfinished

INTERRUPTED, TERMINATED = 130, 143
SAID = "timnet: interrupted. The same command goes on from what was finished."
SAID_ONCE = "timnet: interrupted. Give the same command again."  # of one that has nothing to go on from

_heard: list[int] = []
_said_to = [2]  # file descriptors; the last one is the standard error


def leave_at_once(said: str = SAID) -> None:
    """From here on a signal ends the process then and there: no flow has begun, or it is over.

    No exception is raised, which code of others could swallow, as TensorFlow has done.
    """
    _listen(partial(_leave, said))


def stop_the_flow() -> None:
    """From here on a signal ends the flow, which closes what it has opened, and a third one does not wait for that."""
    _listen(_interrupt)


@contextmanager
def saying(text: str) -> Iterator[None]:
    """Inside, a signal interrupts what is being done, and the process leaves with a line that says where that leaves it."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    stop_the_flow()
    try:
        yield
    except KeyboardInterrupt:
        _say(f"timnet: interrupted. {text}")
        raise SystemExit(status()) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def quiet() -> Iterator[None]:
    """Inside, what is written to the standard error of the process goes nowhere, but for what is said of a signal."""
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    _said_to.append(kept)
    os.dup2(nothing, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        _said_to.pop()
        os.close(kept)
        os.close(nothing)


def status() -> int:
    """The exit status of a command that was interrupted."""
    return TERMINATED if _heard and _heard[0] == signal.SIGTERM else INTERRUPTED


def _listen(handler: Any) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:  # as nohup and a shell's & have it
            signal.signal(number, handler)


def _interrupt(number: int, _: Any) -> None:
    _heard.append(number)
    if len(_heard) == 1:
        raise KeyboardInterrupt
    if len(_heard) == 2:
        _say("timnet: stopping; once more to leave without closing anything")
    else:
        _leave(SAID, number, _)


def _leave(said: str, number: int, _: Any) -> None:
    _heard.append(number)
    unfinished.remove_all()
    _say(said)
    os._exit(status())


def _say(text: str) -> None:
    os.write(_said_to[-1], f"{text}\n".encode())  # print is not for signal handlers
