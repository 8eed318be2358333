"""The table of somebody's own recordings: CSV as spreadsheets write it, or Parquet, read into rows of text."""

import csv
import io
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from timnet.corpora.base import Source
from timnet.errors import CorpusError

REQUIRED = ("path", "emotion")
OPTIONAL = ("speaker", "sentence", "session")
COLUMNS = REQUIRED + OPTIONAL
SUFFIXES = (".csv", ".parquet")

_BYTE_ORDER_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_SEPARATORS = ",;\t"


@dataclass(frozen=True)
class Row:
    number: int  # as a spreadsheet counts: the header is row 1
    values: Mapping[str, str]  # every one of COLUMNS, stripped; "" where the table says nothing


def read(source: Source, path: str) -> tuple[tuple[Row, ...], tuple[str, ...]]:
    """The rows of a table, and the names of its other columns, which are ignored.

    Column names in upper or lower case. CSV is UTF-8, or UTF-16 with its mark, separated by comma, semicolon or tab.
    Raises CorpusError where it cannot be read, lacks a column, or has no rows.
    """
    where = f"{source.root}/{path}"
    data = source.read_bytes(path)
    header, lines = _parquet(data, where) if path.lower().endswith(".parquet") else _csv(data, where)
    names = [name.strip().lower() for name in header]
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise CorpusError(
            f"{where} has no column {' and no column '.join(missing)}; it has {', '.join(names) or 'no columns'}. "
            f"Needed are {' and '.join(REQUIRED)}, the path relative to the table's folder; {', '.join(OPTIONAL)} are "
            "optional."
        )
    twice = sorted({name for name in names if name in COLUMNS and names.count(name) > 1})
    if twice:
        raise CorpusError(f"{where} has the column {', '.join(twice)} twice. Remove one of them.")
    rows = []
    for number, cells in lines:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) > len(names):
            raise CorpusError(
                f"{where}, row {number} has {len(cells)} cells and the header {len(names)}. Put quotes around a text "
                "that holds the separator."
            )
        given = dict(zip(names, (cell.strip() for cell in cells), strict=False))
        rows.append(Row(number, {name: given.get(name, "") for name in COLUMNS}))
    if not rows:
        raise CorpusError(f"{where} is empty: it has a header and no rows. Give it one row a recording.")
    return tuple(rows), tuple(name for name in names if name and name not in COLUMNS)


def _csv(data: bytes, where: str) -> tuple[list[str], Iterable[tuple[int, list[str]]]]:
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS.items() if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        row = data[: error.start].count(b"\n") + 1
        raise CorpusError(
            f"{where} is not {encoding.upper()}: byte 0x{data[error.start]:02x} in row {row}. Save it again as UTF-8, "
            "in Excel as 'CSV UTF-8'."
        ) from error
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    first, _, rest = text.partition("\n")
    if first.lower().startswith("sep="):  # Excel's own line before the header
        separator, text, before = first.strip()[4:] or ",", rest, 1
    else:
        separator, before = max(_SEPARATORS, key=first.count), 0
    try:
        reader = csv.reader(io.StringIO(text), delimiter=separator, strict=True)
        lines = list(reader)
    except (csv.Error, TypeError) as error:
        raise CorpusError(
            f"{where} cannot be read as CSV: {error}. Save it again from the program that made it."
        ) from error
    if not lines:
        raise CorpusError(f"{where} is empty. Give it a header and one row a recording.")
    return lines[0], enumerate(lines[1:], start=2 + before)


def _parquet(data: bytes, where: str) -> tuple[list[str], Iterable[tuple[int, list[str]]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(pa.BufferReader(data))
    except (pa.ArrowInvalid, OSError) as error:
        raise CorpusError(f"{where} cannot be read as Parquet: {error}.") from error
    columns = [[_as_text(value) for value in column.to_pylist()] for column in table.columns]
    return table.column_names, enumerate((list(cells) for cells in zip(*columns, strict=True)), start=2)


def _as_text(value: object) -> str:
    if isinstance(value, float):  # pandas makes numbers with empty cells among them floats, and the empty ones nan
        return "" if math.isnan(value) else f"{value:g}" if not value.is_integer() else str(int(value))
    return "" if value is None else str(value)
