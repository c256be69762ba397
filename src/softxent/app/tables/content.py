"""What a file is: by its content, and by its ending where the content leaves it open."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path

from softxent.app.tables.dialect import decoded, delimiter
from softxent.app.words import Mistake, Phrase

ENDINGS = {
    "CSV": (".csv", ".tsv", ".tab", ".txt"),
    "Parquet": (".parquet", ".pq"),
    "Arrow": (".arrow", ".feather", ".ipc", ".arrows"),
    "Excel": (".xlsx", ".xlsm"),
    "JSON": (".jsonl", ".ndjson", ".json"),
    "NumPy": (".npz",),
    "svmlight": (".svmlight", ".libsvm", ".svm"),
}
TEXT = ("CSV", "JSON", "svmlight")
PACKED = (".gz", ".bz2", ".xz", ".zst", ".zip")
MAGIC = {
    b"PAR1": "Parquet",
    b"ARROW1": "Arrow",
    b"\xff\xff\xff\xff": "Arrow",  # its streams begin so, without a name
}
CUT = "cut archive"  # what reads it says so
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
SAMPLE = 1 << 16

# How files that are not read become ones that are
CONVERT = {
    ".xls": "pandas.read_excel(FILE)",
    ".ods": "pandas.read_excel(FILE)",
    ".dta": "pandas.read_stata(FILE)",
    ".sav": "pandas.read_spss(FILE)",
    ".sas7bdat": "pandas.read_sas(FILE)",
    ".xpt": "pandas.read_sas(FILE)",
    ".pkl": "pandas.read_pickle(FILE)",
    ".pickle": "pandas.read_pickle(FILE)",
    ".h5": "pandas.read_hdf(FILE)",
    ".hdf5": "pandas.read_hdf(FILE)",
    ".orc": "pandas.read_orc(FILE)",
    ".xml": "pandas.read_xml(FILE)",
    ".html": "pandas.read_html(FILE)[0]",
    ".htm": "pandas.read_html(FILE)[0]",
    ".arff": "pandas.DataFrame(scipy.io.arff.loadarff(FILE)[0])",
    ".npy": "pandas.DataFrame(numpy.load(FILE))",
}


def kind_of(name: str, path: Path, ending: str) -> str:
    """Returns CSV, Parquet …; raises if the file is no table that can be read, or not what its ending says."""
    if path.stat().st_size == 0:
        raise Mistake("empty file", got=repr(name))
    said = next((kind for kind, endings in ENDINGS.items() if ending in endings), None)
    found = _found(path)
    if found == "text" and _is_page(path):
        raise Mistake("web page", got=repr(name))
    if said is None:
        kind = _kind_of_text(path) if found == "text" and ending not in CONVERT else found
        if kind in ENDINGS:
            return kind
        raise _not_read(name, ending)
    if (found == CUT and said in ("Excel", "NumPy")) or found == said or (found == "text" and said in TEXT):
        return said
    if found in ENDINGS:
        raise Mistake("another kind", got=repr(name), said=said, found=found, ending=ENDINGS[found][0])
    raise Mistake(
        {"text": "text file", "old Excel": "old Excel file"}.get(found, "binary file"), got=repr(name), said=said
    )


def _not_read(name: str, ending: str) -> Mistake:
    known = " ".join(each for endings in ENDINGS.values() for each in endings)
    if ending not in CONVERT:
        return Mistake("ending", got=repr(name), known=known)
    line = f"{CONVERT[ending].replace('FILE', repr(name))}.to_parquet({Path(name).stem + '.parquet'!r})"
    return Mistake("convert", got=repr(name), known=known, how=Phrase("in Python", line=line))


def _found(path: Path) -> str:
    with open(path, "rb") as stream:
        start = stream.read(SAMPLE)
    for magic, kind in MAGIC.items():
        if start.startswith(magic):
            return kind
    if start.startswith(b"PK\x03\x04"):
        return _archive(path)
    if start.startswith(b"\xd0\xcf\x11\xe0"):
        return "old Excel"
    binary = start.startswith((b"%PDF", b"\x93NUMPY")) or (b"\0" in start and not start.startswith(UTF_16))
    return "binary" if binary else "text"


def _archive(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile:
        return CUT
    if any(name.startswith("xl/") for name in names):
        return "Excel"
    return "NumPy" if names and all(name.endswith(".npy") for name in names) else "zip"


def _lines(path: Path) -> list[str]:
    with open(path, "rb") as stream:
        text = decoded(stream.read(SAMPLE))[0]
    return text.splitlines(keepends=True)


def _is_page(path: Path) -> bool:
    """Whether it is a web page, as a download that failed often is."""
    with open(path, "rb") as stream:
        return bool(re.match(rb"\s*(<!doctype html|<html)", stream.read(512).lower()))


def _kind_of_text(path: Path) -> str:
    lines = [line for line in _lines(path) if line.strip()][:20]
    if not lines:
        return "CSV"  # which says that it is empty
    if re.match(r"\s*[\[{]", lines[0]) and _is_json(lines[0]):
        return "JSON"
    if all(re.match(r"[-+.\w,]+(\s+\d+:[-+.\w]+)+\s*(#.*)?$", line) for line in lines):
        return "svmlight"
    return "CSV" if delimiter(lines) else "text"


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return line.strip() in ("[", "[{")  # written over several lines
    return True
