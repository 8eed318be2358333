"""What a run recognised, utterance by utterance in one order, so that runs can be laid side by side."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from timnet.errors import TimnetError


@dataclass(frozen=True)
class Recognised:
    """What one run recognised of one corpus, pooled over its folds."""

    run: str  # as sentences call it
    corpus: str
    labels: tuple[str, ...]
    utterance_id: tuple[str, ...]  # each once, sorted
    speaker: tuple[str | None, ...]
    truth: np.ndarray  # (n_utterances,) int, index into labels
    predicted: np.ndarray  # (n_seeds, n_utterances) int, likewise


def recognised(run: str, predictions: pa.Table, corpus: str, labels: tuple[str, ...]) -> Recognised:
    """One corpus of a predictions table (tables.PREDICTIONS) with all its folds and seeds; labels in the corpus's order.

    Raises TimnetError where the corpus is not in it, or where a seed does not test every utterance exactly once.
    """
    names = sorted(set(predictions["corpus"].to_pylist()))
    if corpus not in names:
        raise TimnetError(f"{run} has no results of {corpus}; it has {', '.join(names) or 'none at all'}.")
    columns = ["corpus", "seed", "utterance_id", "speaker", "emotion", "predicted"]  # the others are large
    rows = [row for row in predictions.select(columns).to_pylist() if row["corpus"] == corpus]
    index = {label: number for number, label in enumerate(labels)}
    unknown = sorted({row[column] for row in rows for column in ("emotion", "predicted")} - index.keys())
    if unknown:
        raise TimnetError(f"{run} names the emotion {unknown[0]!r} in {corpus}; its labels are {', '.join(labels)}.")
    described = {row["utterance_id"]: (row["speaker"], index[row["emotion"]]) for row in rows}
    ids = sorted(described)
    predicted = []
    for seed in sorted({row["seed"] for row in rows}):
        of_seed = [(row["utterance_id"], index[row["predicted"]]) for row in rows if row["seed"] == seed]
        found = dict(of_seed)
        if len(found) < len(of_seed):
            raise TimnetError(
                f"{run} tests {len(of_seed) - len(found)} utterances of {corpus} in more than one fold under seed {seed}; "
                "runs can be compared where every utterance is tested once, which cross-corpus runs of three and more corpora "
                "and folds that overlap do not do."
            )
        if len(found) < len(ids):
            raise TimnetError(
                f"Under seed {seed}, {run} lacks {_listed([i for i in ids if i not in found])} of {corpus} that it tests "
                "under another seed: folds failed. Run it again until all are there."
            )
        predicted.append([found[i] for i in ids])
    speakers, truth = zip(*(described[i] for i in ids), strict=True)
    return Recognised(run, corpus, labels, tuple(ids), speakers, np.array(truth), np.array(predicted))


def check_alike(a: Recognised, b: Recognised) -> None:
    """Raises TimnetError where the two are not about the same utterances with the same labels, speakers and emotions."""
    for what in ("corpus", "labels"):
        if getattr(a, what) != getattr(b, what):
            raise TimnetError(
                f"{a.run} and {b.run} cannot be compared: the {what} of {a.run} is {getattr(a, what)!r}, that of {b.run} "
                f"{getattr(b, what)!r}. Compare runs of one corpus with one set of emotions."
            )
    if a.utterance_id != b.utterance_id:
        of_a, of_b = set(a.utterance_id), set(b.utterance_id)
        parts = [
            f"{lacking.run} lacks {_listed(sorted(ids))}"
            for lacking, ids in ((b, of_a - of_b), (a, of_b - of_a))
            if ids
        ]
        raise TimnetError(
            f"{a.run} and {b.run} were not tested on the same utterances of {a.corpus}: {'; '.join(parts)}. Finish the run "
            "whose folds failed, and use protocols that test every utterance."
        )
    for what, plural in (("truth", "true emotions"), ("speaker", "speakers")):
        pairs = zip(a.utterance_id, getattr(a, what), getattr(b, what), strict=True)
        other = [utterance for utterance, of_a, of_b in pairs if of_a != of_b]
        if other:
            raise TimnetError(
                f"{a.run} and {b.run} give {_listed(other)} of {a.corpus} different {plural}: the corpus was changed in "
                "between. Run one of them again."
            )


def _listed(ids: list[str]) -> str:
    more = f" and {len(ids) - 3} more" if len(ids) > 3 else ""
    return f"{len(ids)} utterance{'' if len(ids) == 1 else 's'} ({', '.join(ids[:3])}{more})"
