"""What the tasks of one run share: the store, Ray once somebody needs it, the trainers, the progress and the way to stop."""

import contextlib
import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any

from tasks import cluster
from tasks.actors import FoldTrainer
from tasks.lockstep import LockstepActor
from tasks.pool import TrainerPool
from tasks.progress import Reporter
from timnet.config import Settings
from timnet.store import Store


class RunContext:
    """Open for the time of one run. Leaving it stops every wait, kills every actor and closes Ray if it was opened here.

    Deliberately no dataclass: Prefect looks into collections and dataclasses that are given to tasks, not into this.
    """

    def __init__(self, settings: Settings, run_id: str, reporter: Reporter):
        self.settings = settings
        self.run_id = run_id
        self.reporter = reporter
        self.store = Store(settings.store)
        self.stop = threading.Event()
        self.timings: list[dict[str, Any]] = []
        self._stack = contextlib.ExitStack()
        self._lock = threading.Lock()
        self._connected = False
        self._pool: TrainerPool | None = None

    def __enter__(self) -> "RunContext":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop.set()
        self.dismiss()
        self._stack.close()

    def connect(self) -> None:
        """Start or join Ray, at the first call; a run that finds everything in the store never does."""
        with self._lock:
            if not self._connected:
                with self.timed("start Ray"):
                    self._stack.enter_context(cluster.cluster(self.settings.ray_address))
                self._connected = True

    def trainers(self) -> TrainerPool:
        self.connect()
        with self._lock:
            if self._pool is None:
                settings = self.settings
                most: int | None = settings.max_parallel
                kind: Any = FoldTrainer
                if settings.in_lockstep:
                    most = most and most // cluster.most_in_lockstep(settings.folds_per_actor, most)
                    kind = LockstepActor
                size = cluster.slots(settings.threads_per_fold, settings.gpus_per_fold, most)
                self._pool = TrainerPool(
                    self.run_id, size, settings.threads_per_fold, settings.gpus_per_fold, kind, self.reporter.say
                )
            return self._pool

    def dismiss(self) -> None:
        """Kill the trainers, which hold CPUs; the next call of `trainers` makes a new pool."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()

    @contextlib.contextmanager
    def timed(self, name: str, *, reused: bool = False) -> Iterator[None]:
        """Note how long the block took, for the report."""
        started = time.perf_counter()
        yield
        self.note(name, time.perf_counter() - started, reused=reused)

    def note(self, name: str, seconds: float, *, reused: bool = False) -> None:
        """Note how long something took, under a name that begins with its stage: scan, extract, train …"""
        self.timings.append({"name": name, "seconds": round(seconds, 3), "reused": reused})
