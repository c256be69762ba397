"""Data as users have it, read in batches of rows: CSV, Parquet, Arrow, NumPy and svmlight files.

    source = open_file("penguins.csv")
    source.names                         the columns, none for svmlight
    for rows in source.batches(): …      `Rows`, whose labels and features the columns of a model's schema describe

A file whose content is not what its ending says is refused.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

from softxent.app.tables.rows import Rows, Source
from softxent.app.words import Mistake

__all__ = ["DIGITS", "Rows", "Source", "digits", "open_file"]

DIGITS = "digits"  # in place of a path

ENDINGS = {
    "CSV": (".csv", ".tsv", ".tab", ".txt"),
    "Parquet": (".parquet", ".pq"),
    "Arrow": (".arrow", ".feather", ".ipc", ".arrows"),
    "NumPy": (".npz",),
    "svmlight": (".svmlight", ".libsvm", ".svm"),
}
MAGIC = {
    b"PAR1": "Parquet",
    b"ARROW1": "Arrow",
    b"\xff\xff\xff\xff": "Arrow",  # its streams begin so, without a name
    b"\x93NUMPY": ".npy",
    b"\x1f\x8b": "gzip",
    b"\xd0\xcf\x11\xe0": "Excel",
    b"%PDF": "PDF",
}
UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def open_file(file: str) -> Source:
    path = Path(file)
    if not path.is_file():
        raise Mistake("no file", got=repr(file))
    said = next((kind for kind, endings in ENDINGS.items() if path.suffix.lower() in endings), None)
    if said is None:
        known = " ".join(ending for endings in ENDINGS.values() for ending in endings)
        raise Mistake("ending", got=repr(file), known=known)
    if path.stat().st_size == 0:
        raise Mistake("empty file", got=repr(file))
    _check_content(path, said)

    if said == "CSV":
        from softxent.app.tables.text import Text

        return Text(path)
    if said in ("Parquet", "Arrow"):
        from softxent.app.tables.columnar import Arrow, Parquet

        return Parquet(path) if said == "Parquet" else Arrow(path)
    from softxent.app.tables.arrays import NumPy, Svmlight

    return NumPy(path) if said == "NumPy" else Svmlight(path)


def digits() -> Source:
    """Returns scikit-learn's digits: 1797 images of 8 × 8 pixels, which need no download."""
    from softxent.app.tables.arrays import Digits

    return Digits(DIGITS)


def _check_content(path: Path, said: str) -> None:
    is_text = said in ("CSV", "svmlight")
    found = _kind(path)
    if found == said or (found == "text" and is_text):
        return
    if found in ENDINGS:
        raise Mistake("another kind", got=repr(str(path)), said=said, found=found, ending=ENDINGS[found][0])
    phrase = {"text": "text file", "Excel": "Excel file", "gzip": "packed file", "zip": "packed file"}
    raise Mistake(phrase.get(found, "binary file"), got=repr(str(path)), said=said)


def _kind(path: Path) -> str:
    with open(path, "rb") as stream:
        start = stream.read(1 << 16)
    for magic, kind in MAGIC.items():
        if start.startswith(magic):
            return kind
    if start.startswith(b"PK\x03\x04"):
        return _archive(path)
    return "binary" if b"\0" in start and not start.startswith(UTF_16) else "text"


def _archive(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile:
        return "NumPy"  # cut short: what reads it says so
    if any(name.startswith("xl/") for name in names):
        return "Excel"
    return "NumPy" if all(name.endswith(".npy") for name in names) else "zip"
