"""Reads Parquet and Arrow (Feather) files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from softxent.app.tables.files import File
from softxent.app.tables.rows import BATCH, Rows, Source
from softxent.app.words import Mistake

BUFFER = 1 << 20  # bytes that are read of a column at a time
INDEX = "__index_level_"  # what pandas calls the index that it saves beside the columns


class _Columnar(Source):
    def __init__(self, file: File) -> None:
        super().__init__(file)
        try:
            schema = self._open(file.path)
        except (pa.ArrowInvalid, OSError) as error:
            raise self._unreadable(error) from None
        self.names = [name for name in schema.names if not name.startswith(INDEX)]
        self.check_names()

    def batches(self) -> Iterator[Rows]:
        return self._rows(self._batches())

    def _rows(self, batches: Iterable[pa.RecordBatch], start: int = 0) -> Iterator[Rows]:
        try:
            for batch in batches:
                for at in range(0, batch.num_rows, BATCH):
                    yield Rows(self, pa.Table.from_batches([batch.slice(at, BATCH)]), start + at)
                start += batch.num_rows
        except (pa.ArrowInvalid, OSError) as error:
            raise self._unreadable(error) from None

    def _open(self, path: Path) -> pa.Schema:
        raise NotImplementedError

    def _batches(self) -> Iterable[pa.RecordBatch]:
        """From the first on, whenever it is called."""
        raise NotImplementedError

    def _unreadable(self, error: Exception) -> Mistake:
        return Mistake("unreadable file", got=repr(self.path), why=" ".join(str(error).split()))


class Parquet(_Columnar):
    def _open(self, path: Path) -> pa.Schema:
        # buffered before they are asked for, all columns of all row groups stay in memory as long as the reader
        self._reader = pyarrow.parquet.ParquetFile(path, pre_buffer=False, buffer_size=BUFFER)
        self.about = "Parquet"
        return self._reader.schema_arrow

    def _batches(self) -> Iterable[pa.RecordBatch]:
        return self._reader.iter_batches(BATCH)

    def group_rows(self) -> list[int]:
        """Returns the number of rows of each row group."""
        metadata = self._reader.metadata
        return [metadata.row_group(k).num_rows for k in range(metadata.num_row_groups)]

    def of_groups(self, groups: range) -> Iterator[Rows]:
        """Yields the rows of these row groups."""
        start = sum(self.group_rows()[: groups.start])
        return self._rows(self._reader.iter_batches(BATCH, list(groups)), start)


class Arrow(_Columnar):
    def _open(self, path: Path) -> pa.Schema:
        self.about = "Arrow"
        with pa.OSFile(str(path)) as file:
            self._streamed = file.read(6) != b"ARROW1"
        return self._reader().schema

    def _reader(self) -> Any:
        return (pa.ipc.open_stream if self._streamed else pa.ipc.open_file)(pa.memory_map(str(self.file.path)))

    def _batches(self) -> Iterable[pa.RecordBatch]:
        reader = self._reader()
        return reader if self._streamed else (reader.get_batch(i) for i in range(reader.num_record_batches))
