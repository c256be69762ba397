"""Reads Parquet and Arrow (Feather) files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

from softxent.app.tables.files import File
from softxent.app.tables.rows import BATCH, Rows, Source
from softxent.app.words import Mistake

INDEX = "__index_level_"  # what pandas calls the index that it saves beside the columns


class _Columnar(Source):
    def __init__(self, file: File) -> None:
        super().__init__(file)
        try:
            schema, self._batches = self._open(file.path)
        except (pa.ArrowInvalid, OSError) as error:
            raise self._unreadable(error) from None
        self.names = [name for name in schema.names if not name.startswith(INDEX)]
        self.check_names()

    def batches(self) -> Iterator[Rows]:
        start = 0
        try:
            for batch in self._batches:
                for at in range(0, batch.num_rows, BATCH):
                    yield Rows(self, pa.Table.from_batches([batch.slice(at, BATCH)]), start + at)
                start += batch.num_rows
        except (pa.ArrowInvalid, OSError) as error:
            raise self._unreadable(error) from None

    def _open(self, path: Path) -> tuple[pa.Schema, Iterable[pa.RecordBatch]]:
        raise NotImplementedError

    def _unreadable(self, error: Exception) -> Mistake:
        return Mistake("unreadable file", got=repr(self.path), why=" ".join(str(error).split()))


class Parquet(_Columnar):
    def _open(self, path: Path) -> tuple[pa.Schema, Iterable[pa.RecordBatch]]:
        file = pyarrow.parquet.ParquetFile(path)
        self.about = "Parquet"
        return file.schema_arrow, file.iter_batches(BATCH)


class Arrow(_Columnar):
    def _open(self, path: Path) -> tuple[pa.Schema, Iterable[pa.RecordBatch]]:
        self.about = "Arrow"
        mapped = pa.memory_map(str(path))
        if mapped.read(6) != b"ARROW1":
            mapped.seek(0)
            stream = pa.ipc.open_stream(mapped)
            return stream.schema, stream
        mapped.seek(0)
        file = pa.ipc.open_file(mapped)
        return file.schema, (file.get_batch(i) for i in range(file.num_record_batches))
