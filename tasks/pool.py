"""The trainers of a run: actors that go from fold to fold."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ray

from tasks.actors import FoldTrainer
from tasks.waiting import LOST, SECONDS_BETWEEN_LOOKS, StoppedError, result

SILENT_S = 60.0  # of waiting while no fold of the run is at work, until the user is told why


@dataclass(frozen=True)
class _Free:
    """An actor without a fold, and when it was asked whether it is there."""

    actor: Any
    asked: float
    has_answered: bool  # to an earlier question


class TrainerPool:
    """At most `size` trainer actors, made when first asked for and handed from fold to fold.

    A fold gets the first actor that answers and is bound to none before: after a machine was lost, a new actor may find no
    place until another fold gives its own back, which is then the one to take. A lease that ends in an error kills its actor,
    since nobody knows what state it is in. What no fold to come needs is killed as well: its place may be what
    another run waits for.
    """

    def __init__(
        self,
        run_id: str,
        size: int,
        threads: int,
        gpus: float,
        kind: Any = FoldTrainer,
        say: Callable[[str], None] = lambda text: None,
    ):
        self.size = size
        self._kind = kind
        self._run_id = run_id
        self._made = 0
        self._gpus = gpus
        self._threads = threads
        self._say = say
        self._alive: set[Any] = set()
        self._free: dict[ray.ObjectRef, _Free] = {}  # by the answer to come
        self._to_come = 0  # folds that have not asked for an actor yet
        self._waiting = 0
        self._lock = threading.RLock()
        self._closed = False

    def warm_up(self, n: int) -> None:
        """Start actors for the n folds to come, so that TensorFlow starts while features are loaded."""
        with self._lock:
            self._to_come += n
            while len(self._free) < min(n, self.size):
                self._make()

    @contextmanager
    def lease(self, stop: threading.Event) -> Iterator[Any]:
        actor = self.take(stop)
        try:
            yield actor
        except BaseException:
            self.kill(actor)
            raise
        self.give_back(actor)

    def take(self, stop: threading.Event) -> Any:
        """An actor that is there, to be given back or killed; waits for one.

        Raises StoppedError soon after the event was set, and what Ray raises where a new actor could not start.
        """
        with self._lock:
            self._to_come = max(0, self._to_come - 1)
            self._waiting += 1
        began = silent_since = time.monotonic()
        try:
            while not (stop.is_set() or self._closed):
                if (actor := self._answering(began)) is not None:
                    return actor
                if len(self._alive) > len(self._free):
                    silent_since = time.monotonic()
                elif time.monotonic() - silent_since > SILENT_S:
                    self._tell_why()
                    silent_since = float("inf")
            raise StoppedError("the run is being stopped")
        finally:
            with self._lock:
                self._waiting -= 1
                self._trim()

    def give_back(self, actor: Any) -> None:
        with self._lock:
            self._offer(actor, has_answered=True)
            self._trim()

    def kill(self, actor: Any) -> None:
        with self._lock:
            self._alive.discard(actor)
        ray.kill(actor)

    def close(self) -> None:
        """Kill every actor; nothing is leased afterwards."""
        with self._lock:
            self._closed = True
            alive, self._alive = self._alive, set()
            self._free.clear()
        for actor in alive:
            ray.kill(actor)

    def _answering(self, since: float) -> Any | None:
        """A free actor that has answered a question of after `since`: from an older answer it may have died.

        None where there was none for half a second, or where it has to be asked again.
        """
        with self._lock:
            while not self._closed and len(self._free) < self._waiting and len(self._alive) < self.size:
                self._make()
            asked = list(self._free)
        if not asked:
            time.sleep(SECONDS_BETWEEN_LOOKS / 10)
            return None
        for answer in ray.wait(asked, timeout=SECONDS_BETWEEN_LOOKS)[0]:
            with self._lock:
                free = self._free.pop(answer, None)
            if free is None:  # another fold has taken it
                continue
            try:
                result(answer)
            except LOST:
                self.kill(free.actor)
                if not free.has_answered:
                    raise
                continue
            if free.asked >= since:
                return free.actor
            with self._lock:
                self._offer(free.actor, has_answered=True)
        return None

    def _offer(self, actor: Any, has_answered: bool) -> None:
        if actor in self._alive:  # not closed meanwhile
            self._free[actor.__ray_ready__.remote()] = _Free(actor, time.monotonic(), has_answered)

    def _trim(self) -> None:
        """Let go of the actors that nobody will ask for, first of those that may not have a place yet."""
        best_first = sorted(self._free, key=lambda answer: not self._free[answer].has_answered)
        for answer in best_first[self._waiting + self._to_come :]:
            self.kill(self._free.pop(answer).actor)

    def _make(self) -> None:
        self._made += 1
        # The name is for people who look at the dashboard; folds are the names of the actor's tasks.
        options = {
            "name": f"{self._run_id} trainer {self._made}",
            "num_cpus": self._threads,
            "num_gpus": self._gpus,
        }
        actor = self._kind.options(**options).remote(self._threads)
        self._alive.add(actor)
        self._offer(actor, has_answered=False)

    def _tell_why(self) -> None:
        gpus = f" and {self._gpus:g} GPUs" if self._gpus else ""
        self._say(
            f"No fold is at work: a trainer needs {self._threads} CPUs{gpus}, and Ray has no place for it yet. Waiting."
        )
