"""What the folds of a run share: speakers, sentences and identical recordings between train, validation and test."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from timnet.errors import SplitError
from timnet.splits import PARTS, Columns, Fold, Protocol

PAIRS = (("train", "validation"), ("train", "test"), ("validation", "test"))


def audit(protocol: Protocol, columns: Columns, manifest: pa.Table, folds: Sequence[Fold]) -> dict[str, Any]:
    """The overlap audit of a split as JSON (audit.json): counts per class, shared values per pair of parts, baselines.

    Raises SplitError where parts overlap, or where the protocol does not keep apart what it promises.
    """
    recordings = tuple(manifest["audio_sha256"].to_pylist())
    looked_at = {"speaker": columns.speaker, "sentence": columns.sentence, "recording": recordings}
    if any(value is not None for value in columns.session):
        looked_at["session"] = columns.session
    described = []
    for number, fold in enumerate(folds, start=1):
        parts = dict(zip(PARTS, fold, strict=True))
        rows = np.concatenate(fold)
        if len(np.unique(rows)) != len(rows):
            raise SplitError(f"Fold {number} of {columns.corpus} has utterances in more than one part.")
        shared = {name: _shared(values, parts) for name, values in looked_at.items()}
        _keep_promises(protocol, columns, shared, number)
        described.append(
            {
                "fold": number,
                "n": {part: len(rows) for part, rows in parts.items()},
                "class_counts": {part: _class_counts(columns, rows) for part, rows in parts.items()},
                "shared": shared,
                "speakers": {
                    part: sorted({columns.speaker[row] for row in rows} - {None}) for part, rows in parts.items()
                },
            }
        )
    counts = np.bincount(columns.classes, minlength=len(columns.labels))
    return {
        "protocol": protocol.name,
        "description": protocol.folds,
        "keeps_apart": list(protocol.keeps_apart),
        "selection": protocol.selection,
        "folds": described,
        "baselines": {
            "chance_uar": 1 / len(columns.labels),
            "majority_war": float(counts.max() / counts.sum()),
            "majority_label": columns.labels[int(counts.argmax())],
        },
        "identical_recordings": _identical(columns, recordings),
    }


def _shared(values: Sequence[str | None], parts: dict[str, np.ndarray]) -> dict[str, int | None]:
    """Number of distinct values on both sides of each pair of parts; None where an utterance has no value."""
    result: dict[str, int | None] = {}
    for left, right in PAIRS:
        sides = [{values[row] for row in parts[part]} for part in (left, right)]
        result[f"{left}-{right}"] = None if None in sides[0] | sides[1] else len(sides[0] & sides[1])
    return result


def _keep_promises(protocol: Protocol, columns: Columns, shared: dict[str, Any], fold: int) -> None:
    for column in protocol.keeps_apart:
        # The first is what the protocol groups by, validation included.
        pairs = ("train-test", "validation-test", *(["train-validation"] if column == protocol.keeps_apart[0] else []))
        for pair in pairs:
            common = shared[column][pair]
            if common != 0:
                what = "an unknown number of" if common is None else common
                raise SplitError(
                    f"The protocol {protocol.name} promises that no {column} is shared with the {pair.split('-')[1]} part, but "
                    f"fold {fold} of {columns.corpus} shares {what} between {pair.replace('-', ' and ')}. Nothing was trained."
                )


def _class_counts(columns: Columns, rows: np.ndarray) -> dict[str, int]:
    counts = np.bincount(columns.classes[rows], minlength=len(columns.labels))
    return dict(zip(columns.labels, counts.tolist(), strict=True))


def _identical(columns: Columns, recordings: Sequence[str]) -> list[list[str]]:
    same = defaultdict(list)
    for utterance, recording in zip(columns.utterance_id, recordings, strict=True):
        same[recording].append(utterance)
    return sorted(ids for ids in same.values() if len(ids) > 1)
