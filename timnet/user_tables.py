"""Tables that people make: CSV as spreadsheets write it, or Parquet, read as text, so that 007 stays 007."""

import csv
import io
import math
from collections.abc import Iterator

from timnet.errors import TimnetError

_BYTE_ORDER_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_SEPARATORS = ",;\t"


def read(data: bytes, where: str, refuse: type[TimnetError]) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Column names in lower case, and the rows that are not blank, each with its number as a spreadsheet counts.

    CSV is UTF-8, or UTF-16 with its mark, separated by comma, semicolon or tab. Cells are stripped; a row may have fewer
    of them than there are columns. Raises `refuse` where the table cannot be read, `where` says which it is.
    """
    header, lines = _parquet(data, where, refuse) if where.lower().endswith(".parquet") else _csv(data, where, refuse)
    names = [name.strip().lower() for name in header]
    rows = [(number, [cell.strip() for cell in cells]) for number, cells in lines]
    rows = [(number, cells) for number, cells in rows if any(cells)]
    for number, cells in rows:
        if len(cells) > len(names):
            raise refuse(
                f"{where}, row {number} has {len(cells)} cells and the header {len(names)}. Put quotes around a text "
                "that holds the separator."
            )
    return names, rows


def _csv(data: bytes, where: str, refuse: type[TimnetError]) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS.items() if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        row = data[: error.start].count(b"\n") + 1
        raise refuse(
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
        raise refuse(f"{where} cannot be read as CSV: {error}. Save it again from the program that made it.") from error
    if not lines:
        raise refuse(f"{where} is empty. Give it a header and one row a recording.")
    return lines[0], enumerate(lines[1:], start=2 + before)


def _parquet(data: bytes, where: str, refuse: type[TimnetError]) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(pa.BufferReader(data))
    except (pa.ArrowInvalid, OSError) as error:
        raise refuse(f"{where} cannot be read as Parquet: {error}.") from error
    columns = [[_as_text(value) for value in column.to_pylist()] for column in table.columns]
    return table.column_names, enumerate((list(cells) for cells in zip(*columns, strict=True)), start=2)


def _as_text(value: object) -> str:
    if isinstance(value, float):  # pandas makes numbers with empty cells among them floats, and the empty ones nan
        return "" if math.isnan(value) else str(int(value)) if value.is_integer() else repr(value)
    return "" if value is None else str(value)
