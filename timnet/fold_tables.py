"""Folds as tables: how the store keeps them, and how a user gives their own."""

import io
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from timnet import storage, tables
from timnet.errors import SplitError
from timnet.splits import PARTS, Columns, Fold


def to_table(columns: Columns, folds: Sequence[Fold]) -> pa.Table:
    """Folds as tables.FOLDS; fold numbers start at 1, rows that a fold leaves out are not in the table."""
    number: list[int] = []
    ids: list[str] = []
    parts: list[str] = []
    for fold, triple in enumerate(folds, start=1):
        for part, rows in zip(PARTS, triple, strict=True):
            number.extend([fold] * len(rows))
            ids.extend(columns.utterance_id[row] for row in rows)
            parts.extend([part] * len(rows))
    return pa.table({"fold": pa.array(number, pa.int32()), "utterance_id": ids, "part": parts}, schema=tables.FOLDS)


def from_table(columns: Columns, table: pa.Table) -> list[Fold]:
    """The inverse of `to_table`, row numbers sorted; raises SplitError for utterances that the corpus does not have."""
    row = {utterance: i for i, utterance in enumerate(columns.utterance_id)}
    unknown = [u for u in table["utterance_id"].to_pylist() if u not in row]
    if unknown:
        raise SplitError(
            f"The split names {len(unknown)} utterances that {columns.corpus} does not have, such as {unknown[0]!r}; "
            f"its utterances are named like {columns.utterance_id[0]!r}."
        )
    found: dict[int, dict[str, list[int]]] = {}
    for fold, utterance, part in zip(
        *(table[name].to_pylist() for name in ("fold", "utterance_id", "part")), strict=True
    ):
        found.setdefault(fold, {name: [] for name in PARTS})[part].append(row[utterance])
    ordered = (found[fold] for fold in sorted(found))
    rows = [[np.array(sorted(fold[part]), dtype=np.int64) for part in PARTS] for fold in ordered]
    return [(train, validation, test) for train, validation, test in rows]


def read_user_table(path: str) -> pa.Table:
    """A split table of the user's, CSV or Parquet, as tables.FOLDS.

    Needs the columns utterance_id and part (train, validation or test); without a column fold all of it is fold 1.
    """
    import pyarrow.csv
    import pyarrow.parquet

    try:
        system, name = storage.open_at(path)
        with storage.explained(path):
            file = io.BytesIO(system.cat_file(name))
        given = pyarrow.parquet.read_table(file) if path.endswith(".parquet") else pyarrow.csv.read_csv(file)
    except (OSError, pa.ArrowInvalid) as error:
        raise SplitError(f"--split-table {path}: cannot be read as CSV or Parquet ({error}).") from error
    missing = {"utterance_id", "part"} - set(given.column_names)
    if missing:
        raise SplitError(
            f"--split-table {path}: has no column {', '.join(sorted(missing))}; received {', '.join(given.column_names)}. "
            "It needs utterance_id and part, and may have fold."
        )
    fold = given["fold"] if "fold" in given.column_names else pa.array([1] * given.num_rows)
    try:
        table = pa.table(
            [fold.cast(pa.int32()), given["utterance_id"].cast(pa.string()), given["part"].cast(pa.string())],
            schema=tables.FOLDS,
        )
    except pa.ArrowInvalid as error:
        raise SplitError(
            f"--split-table {path}: fold must be a whole number, part and utterance_id text ({error})."
        ) from error
    other = sorted({str(part) for part in table["part"].to_pylist()} - set(PARTS))
    if other:
        raise SplitError(f"--split-table {path}: part is {', '.join(other)}; allowed are {', '.join(PARTS)}.")
    keys = list(zip(table["fold"].to_pylist(), table["utterance_id"].to_pylist(), strict=True))
    if len(set(keys)) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise SplitError(f"--split-table {path}: utterance {twice[1]!r} is in fold {twice[0]} more than once.")
    return table
