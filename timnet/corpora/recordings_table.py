"""The table of somebody's own recordings: CSV as spreadsheets write it, or Parquet, read into rows of text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from timnet import user_tables
from timnet.corpora.base import Source
from timnet.errors import CorpusError

REQUIRED = ("path", "emotion")
OPTIONAL = ("speaker", "sentence", "session")
COLUMNS = REQUIRED + OPTIONAL
SUFFIXES = (".csv", ".parquet")


@dataclass(frozen=True)
class Row:
    number: int  # as a spreadsheet counts: the header is row 1
    values: Mapping[str, str]  # every one of COLUMNS, stripped; "" where the table says nothing


def read(
    source: Source, path: str, columns: Mapping[str, str] = MappingProxyType({}), required: Sequence[str] = REQUIRED
) -> tuple[tuple[Row, ...], tuple[str, ...]]:
    """The rows of a table as user_tables.read reads it, and the names of its other columns, which are ignored.

    `columns` says which of COLUMNS have other names in this table, and what they are. Raises CorpusError where it cannot
    be read, lacks a column, has no rows, or is what `timnet predict` wrote.
    """
    where = f"{source.root}/{path}"
    names, lines = user_tables.read(source.read_bytes(path), where, CorpusError)
    _refuse_predictions(names, where)
    names = _renamed(names, columns, where)
    missing = [name for name in required if name not in names]
    if missing:
        raise CorpusError(
            f"{where} has no column {' and no column '.join(missing)}; it has {', '.join(names) or 'no columns'}. "
            f"Needed are {' and '.join(required)}, the path relative to the table's folder; {', '.join(OPTIONAL)} are "
            "optional."
        )
    twice = sorted({name for name in names if name in COLUMNS and names.count(name) > 1})
    if twice:
        raise CorpusError(f"{where} has the column {', '.join(twice)} twice. Remove one of them.")
    rows = []
    for number, cells in lines:
        given = dict(zip(names, cells, strict=False))
        rows.append(Row(number, {name: given.get(name, "") for name in COLUMNS}))
    if not rows:
        raise CorpusError(f"{where} is empty: it has a header and no rows. Give it one row a recording.")
    return tuple(rows), tuple(name for name in names if name and name not in COLUMNS)


def _refuse_predictions(names: Sequence[str], where: str) -> None:
    """Its columns path and emotion are those of a table of recordings, but nobody has heard what it says."""
    if any(name.startswith("p_") and f"sd_{name[2:]}" in names for name in names) and "disagreement" in names:
        raise CorpusError(
            f"{where} is a table of predictions, as `timnet predict` writes them: its emotions are a model's answers and no "
            "labels to train or test with. Move it away; if people have heard and corrected all of them, make a table of "
            f"its columns path and emotion (and {', '.join(OPTIONAL)}, where known)."
        )


def _renamed(names: Sequence[str], columns: Mapping[str, str], where: str) -> list[str]:
    """The names with those of `columns` in place of the table's own; a column that has such a name already is not meant."""
    own = {theirs.strip().lower(): ours for ours, theirs in columns.items()}
    if absent := sorted(own.keys() - set(names)):
        raise CorpusError(f"{where} has no column {' and no column '.join(absent)}; it has {', '.join(names)}.")
    return [own.get(name, f"{name} (not meant)" if name in columns else name) for name in names]
