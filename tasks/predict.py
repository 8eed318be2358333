"""Many recordings over Ray: each actor builds the networks once and predicts shard after shard."""

from collections.abc import Callable, Sequence

import ray

from tasks import cluster
from tasks.waiting import SECONDS_BETWEEN_LOOKS, result
from timnet.errors import TimnetError
from timnet.predict import Input, Prediction, Recogniser, predict
from timnet.trained import Trained

FILES_PER_SHARD = 32
RESTARTS = 2  # of an actor whose process was lost, and of the shard that it was at
SECONDS_FOR_THE_KILLED = 2.0


@ray.remote(max_restarts=RESTARTS, max_task_retries=RESTARTS)
class Predictor:
    """Predicts with one model. It comes with every shard: an actor that begins anew gets it again."""

    def __init__(self) -> None:
        self._recogniser: Recogniser | None = None

    def predict(self, trained: Trained, hop_s: float, in_windows: bool, inputs: Sequence[Input]) -> list[Prediction]:
        if self._recogniser is None:
            self._recogniser = Recogniser(trained)
        recordings = (one.read() for one in inputs)
        return list(predict(recordings, self._recogniser, hop_s, in_windows=in_windows))


def predict_many(
    inputs: Sequence[Input],
    trained: Trained,
    hop_s: float,
    *,
    in_windows: bool = True,
    address: str | None = None,
    workers: int | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> list[Prediction]:
    """What timnet.predict.predict gives, in the same order, made by up to `workers` processes (by default one a CPU).

    `on_progress` is told how many recordings are done. Raises what a worker raises.
    """
    starts = range(0, len(inputs), FILES_PER_SHARD)
    done: dict[int, list[Prediction]] = {}
    with cluster.cluster(address):
        size = min(cluster.slots(1, 0, workers), len(starts))
        model = ray.put(trained)
        idle = [Predictor.options(num_cpus=1).remote() for _ in range(size)]  # type: ignore[attr-defined]
        at_work: dict[ray.ObjectRef, tuple[int, object]] = {}
        waiting = list(reversed(starts))
        try:
            while waiting or at_work:
                while waiting and idle:
                    start, actor = waiting.pop(), idle.pop()
                    part = inputs[start : start + FILES_PER_SHARD]
                    job = actor.predict.options(name=f"predict from {start + 1}")
                    at_work[job.remote(model, hop_s, in_windows, part)] = (start, actor)
                ready, _ = ray.wait(list(at_work), timeout=SECONDS_BETWEEN_LOOKS)
                for ref in ready:
                    start, actor = at_work.pop(ref)
                    idle.append(actor)
                    done[start] = _of(ref)
                if ready and on_progress:
                    on_progress(sum(map(len, done.values())))
        finally:
            for actor in (*idle, *(actor for _, actor in at_work.values())):
                ray.kill(actor)
            if at_work:
                # What was killed has failed by then; a Ray that is closed before prints that it could not tell us.
                ray.wait(list(at_work), num_returns=len(at_work), timeout=SECONDS_FOR_THE_KILLED)
    return [prediction for start in starts for prediction in done[start]]


def _of(ref: ray.ObjectRef) -> list[Prediction]:
    try:
        return result(ref)
    except ray.exceptions.RayActorError as error:
        raise TimnetError(
            f"A worker was lost {1 + RESTARTS} times ({str(error).splitlines()[0]}). If it ran out of memory, use fewer "
            "--workers."
        ) from error
