"""Predictions as others read them: a pyarrow table, CSV and JSON. The columns are those of tables.predicted_schema."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from timnet.predict.recognise import Answer, Prediction
from timnet.trained import Trained, notes
from timnet.trained.words import UNCALIBRATED

if TYPE_CHECKING:
    import pyarrow as pa

BETWEEN_WARNINGS = " | "  # in a cell of a CSV
DIGITS = 6  # of fractions and seconds in text; float32 has seven


def as_table(predictions: Sequence[Prediction], trained: Trained) -> "pa.Table":
    """tables.predicted_schema of the labels; what has to be known about the numbers is in the schema's metadata."""
    import pyarrow as pa

    from timnet import tables

    schema = tables.predicted_schema(trained.labels)
    about = {"model": trained.name, "notes": json.dumps(notes(trained), ensure_ascii=False)}
    return pa.Table.from_pylist(list(_rows(predictions, trained.labels)), schema.with_metadata(about))


def as_csv(predictions: Sequence[Prediction], trained: Trained) -> str:
    """The same rows as `as_table`; what is null there is empty here."""
    from timnet import tables

    out = io.StringIO()
    writer = csv.DictWriter(out, tables.predicted_schema(trained.labels).names, lineterminator="\n")
    writer.writeheader()
    for row in _rows(predictions, trained.labels):
        cells = {name: round(value, DIGITS) if isinstance(value, float) else value for name, value in row.items()}
        writer.writerow({**cells, "warnings": BETWEEN_WARNINGS.join(row["warnings"])})
    return out.getvalue()


def as_json(predictions: Sequence[Prediction], trained: Trained) -> str:
    """One object: `model`, what has to be known about it, and `recordings`, each with its own timeline."""
    model = {
        "name": trained.name,
        "run_id": trained.run_id,
        "corpus": trained.corpus,
        "synthetic": trained.synthetic,
        "labels": list(trained.labels),
        "folds": [one.name for one in trained.folds],
        "missing_folds": list(trained.missing),
        "protocol": dict(trained.protocol),
        "scores": dict(trained.scores),
        "notes": notes(trained),
    }
    recordings = []
    for one in predictions:
        whole = {} if one.whole is None else _stretch(one.whole, trained.labels)
        recordings.append(
            {
                "path": one.path,
                **whole,
                "sample_rate_hz": one.sample_rate_hz,
                "warnings": list(one.warnings),
                "error": one.error,
                "timeline": [_stretch(answer, trained.labels) for answer in one.timeline],
            }
        )
    return json.dumps({"model": model, "recordings": recordings}, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def is_written(data: bytes) -> bool:
    """Whether the content of a file is predictions, in any of the formats."""
    if data.startswith(b"PAR1"):
        return _is_parquet(data)
    text = data.decode("utf-8", "replace")
    first = text.split("\n", 1)[0]
    if first.startswith("Model: "):
        return f"\n! {UNCALIBRATED}\n" in text
    if first == "{":
        return _is_json(text)
    try:
        return _is_header(next(csv.reader([first]), []))
    except csv.Error:
        return False


def _is_parquet(data: bytes) -> bool:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return _is_header(pq.read_schema(pa.BufferReader(data)).names)
    except (pa.ArrowException, OSError):
        return False


def _is_json(text: str) -> bool:
    try:
        found = json.loads(text)
    except ValueError:
        return False
    return list(found) == ["model", "recordings"] and isinstance(found["model"], dict) and "folds" in found["model"]


def _is_header(names: Sequence[str]) -> bool:
    from timnet import tables

    return names == tables.predicted_schema([name[2:] for name in names if name.startswith("p_")]).names


def _stretch(answer: Answer, labels: Sequence[str]) -> dict[str, Any]:
    def of_labels(values: Any) -> dict[str, float]:
        return dict(zip(labels, (round(float(value), DIGITS) for value in values), strict=True))

    return {
        "start_s": round(answer.start_s, DIGITS),
        "end_s": round(answer.end_s, DIGITS),
        "emotion": answer.emotion,
        "probabilities": of_labels(answer.probabilities),
        "sd": of_labels(answer.sd),
        "disagreement": round(answer.disagreement, DIGITS),
        "sound": round(answer.sound, DIGITS),
    }


def _rows(predictions: Sequence[Prediction], labels: Sequence[str]) -> Iterator[dict[str, Any]]:
    for one in predictions:
        rate = {"sample_rate_hz": one.sample_rate_hz}
        of_file = {"path": one.path, "window": None, "warnings": list(one.warnings), "error": one.error}
        yield {**of_file, **({} if one.whole is None else _cells(one.whole, labels) | rate)}
        for number, answer in enumerate(one.timeline, start=1):
            yield {"path": one.path, "window": number, "warnings": [], **_cells(answer, labels), **rate}


def _cells(answer: Answer, labels: Sequence[str]) -> dict[str, Any]:
    return {
        "start_s": answer.start_s,
        "end_s": answer.end_s,
        "emotion": answer.emotion,
        **dict(zip((f"p_{label}" for label in labels), answer.probabilities.tolist(), strict=True)),
        **dict(zip((f"sd_{label}" for label in labels), answer.sd.tolist(), strict=True)),
        "disagreement": answer.disagreement,
        "sound": answer.sound,
    }
