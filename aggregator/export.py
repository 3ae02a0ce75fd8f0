"""Rows of the store as CSV, NDJSON or Parquet, one batch after the other."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, BinaryIO

from aggregator.errors import MissingError

KINDS = ("csv", "ndjson", "parquet")
BATCH = 5_000
"""Rows that are held in memory at a time."""

Row = Mapping[str, Any]


def write(
    rows: Iterable[Row], columns: Sequence[str], kind: str, output: BinaryIO, types: Mapping[str, str]
) -> None:
    """Write rows.

    Args:
        rows: values are text, numbers or None; columns named `…_at` hold times as the store writes them.
        columns: of each row, in order.
        kind: one of `KINDS`. In Parquet columns have types: times are timestamps in UTC.
        output: where to.
        types: SQLite's word for what each column holds; others are text.

    Raises:
        MissingError: Parquet is wanted, and the package that writes it is not installed.
    """
    if kind == "parquet":
        _write_parquet(rows, columns, output, types)
        return
    text = io.TextIOWrapper(output, encoding="utf-8", newline="", write_through=True)
    try:
        if kind == "ndjson":
            text.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            return
        writer = csv.DictWriter(text, columns)
        writer.writeheader()
        for row in rows:
            writer.writerow({name: _cell(value) for name, value in row.items()})
    finally:
        text.detach()


def _cell(value: Any) -> Any:
    """A value that no spreadsheet takes for a formula."""
    return (
        f"'{value}"
        if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r"))
        else value
    )


def _write_parquet(
    rows: Iterable[Row], names: Sequence[str], output: BinaryIO, types: Mapping[str, str]
) -> None:
    try:
        import pyarrow as pa
        from pyarrow.parquet import ParquetWriter
    except ImportError:
        raise MissingError(
            "Parquet is written by pyarrow, which is not installed: pip install 'aggregator[parquet]'"
        ) from None

    schema = pa.schema([(name, _type(name, types, pa)) for name in names])
    with ParquetWriter(output, schema, compression="zstd") as writer:
        for batch in _batches(rows):
            columns = {name: [_value(name, row[name]) for row in batch] for name in names}
            writer.write_table(pa.table(columns, schema=schema))


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    rows = iter(rows)
    while batch := list(islice(rows, BATCH)):
        yield batch


def _type(name: str, types: Mapping[str, str], pa: Any) -> Any:
    if name.endswith("_at"):
        return pa.timestamp("ms", tz="UTC")
    if types.get(name) == "INTEGER":
        return pa.int64()
    return pa.float64() if types.get(name) == "REAL" else pa.string()


def _value(name: str, value: Any) -> Any:
    return datetime.fromisoformat(value) if name.endswith("_at") and value is not None else value
