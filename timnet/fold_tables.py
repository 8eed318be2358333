"""Folds as tables: how the store keeps them, and how a user gives their own."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from timnet import storage, tables, user_tables
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
    """A split table of the user's, CSV or Parquet as user_tables.read reads it, as tables.FOLDS.

    Needs the columns utterance_id and part (train, validation or test); without a column fold all of it is fold 1.
    Raises SplitError where it is not that.
    """
    where = f"--split-table {path}"
    try:
        system, name = storage.open_at(path)
        with storage.explained(path):
            data = system.cat_file(name)
    except (OSError, ValueError) as error:
        raise SplitError(
            f"{where}: cannot be read ({error}). Wanted is a CSV or Parquet file: a path, file://… or s3://bucket/key."
        ) from error
    names, rows = user_tables.read(data, where, SplitError)
    missing = {"utterance_id", "part"} - set(names)
    if missing:
        raise SplitError(
            f"{where}: has no column {', '.join(sorted(missing))}; received {', '.join(names)}. "
            "It needs utterance_id and part, and may have fold."
        )
    if not rows:
        raise SplitError(f"{where}: has no rows. Give it one row an utterance and fold.")
    numbers, ids, parts = [], [], []
    for number, cells in rows:
        row = {"fold": "1"} | dict(zip(names, cells, strict=False))
        if not row["fold"].isdecimal() or not 1 <= int(row["fold"]) <= len(rows):
            raise SplitError(
                f"{where}, row {number}: fold is a whole number, 1 for the first, received {row['fold']!r}. Folds are "
                "numbered without gaps."
            )
        if not row.get("utterance_id"):
            raise SplitError(f"{where}, row {number}: has no utterance_id.")
        if row.get("part") not in PARTS:
            raise SplitError(f"{where}, row {number}: part is {row.get('part', '')!r}; allowed are {', '.join(PARTS)}.")
        numbers.append(int(row["fold"]))
        ids.append(row["utterance_id"])
        parts.append(row["part"])
    if set(numbers) != set(range(1, max(numbers) + 1)):
        received = ", ".join(map(str, sorted(set(numbers))[:12]))
        raise SplitError(f"{where}: folds are numbered from 1 without gaps, received {received}. Number them so.")
    twice = [key for key, n in Counter(zip(numbers, ids, strict=True)).items() if n > 1]
    if twice:
        raise SplitError(f"{where}: utterance {twice[0][1]!r} is in fold {twice[0][0]} more than once.")
    tested: dict[str, int] = {}
    for fold, utterance, part in zip(numbers, ids, parts, strict=True):
        if part == "test" and (before := tested.setdefault(utterance, fold)) != fold:
            raise SplitError(
                f"{where}: utterance {utterance!r} is tested in fold {before} and in fold {fold}, and pooled scores would "
                "count it twice. Test each utterance in one fold at most; more trainings of the same folds are --seeds."
            )
    return pa.table({"fold": pa.array(numbers, pa.int32()), "utterance_id": ids, "part": parts}, schema=tables.FOLDS)
