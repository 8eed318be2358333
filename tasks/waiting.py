"""Waiting for Ray without becoming deaf: a blocked `ray.get` in a thread would outlive Ctrl-C and a cancelled flow."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

import ray

from timnet.errors import TimnetError

SECONDS_BETWEEN_LOOKS = 0.5  # short, so that Ctrl-C is heard

LOST = (ray.exceptions.RayActorError, ray.exceptions.RaySystemError, ray.exceptions.ObjectLostError)  # what machines do


class StoppedError(Exception):
    """The run is being stopped; raised inside the tasks that were waiting."""


def result(ref: ray.ObjectRef) -> Any:
    """The value of a finished reference; an error that a user can mend comes as it was raised, without Ray's account."""
    try:
        return ray.get(ref)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, TimnetError):
            raise error.cause from None
        raise


def wait(ref: ray.ObjectRef, stop: threading.Event, meanwhile: Callable[[], None] | None = None) -> Any:
    """The value of a Ray reference; raises StoppedError within half a second of the stop event being set."""
    while True:
        ready, _ = ray.wait([ref], timeout=SECONDS_BETWEEN_LOOKS)
        if ready:
            return result(ready[0])
        if stop.is_set():
            raise StoppedError("the run is being stopped")
        if meanwhile is not None:
            meanwhile()


def wait_all(refs: Sequence[ray.ObjectRef], stop: threading.Event) -> list[Any]:
    """The values in the order of the references; the first failure is raised as soon as it happens."""
    waiting = list(refs)
    while waiting:
        ready, waiting = ray.wait(waiting, timeout=SECONDS_BETWEEN_LOOKS)
        for ref in ready:
            result(ref)
        if stop.is_set():
            for ref in waiting:
                ray.cancel(ref, force=True)
            raise StoppedError("the run is being stopped")
    return ray.get(list(refs))
