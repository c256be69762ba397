"""The features of each column as ONNX operators: what scikit-learn's and skrub's fitted transformers compute.

A block is a tensor, rows × features, with the names of its features.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from softxent.app.exporting.graph import MICROSOFT, Graph
from softxent.app.owners import MARK

NAT = np.iinfo(np.int64).min  # what NumPy makes of a missing date
DAY = 86_400_000_000  # microseconds
STRANGE = "\uffff"  # in place of every character that no n-gram has


class Block(NamedTuple):
    tensor: str
    names: list[str]


def numbers(graph: Graph, columns: Sequence[str], names: Sequence[str], steps: Any) -> Block:
    """x → (x − mean) / scale of each column, then what is missing filled in, and marked."""
    inputs = [graph.column(graph.input(column, "double")) for column in columns]
    x = graph.add("Concat", *inputs, axis=1) if len(inputs) > 1 else inputs[0]
    return _imputed(graph, graph.add("Div", *_centred(graph, x, steps[0])), names, steps[1])


def dates(graph: Graph, columns: Sequence[str], steps: Any) -> Block:
    """Year, month, day … of microseconds since 1970, in float32 as skrub has them, then as numbers."""
    blocks = []
    for column in columns:
        encoder = next(step for step in steps[0].all_processing_steps_[column] if hasattr(step, "extracted_features_"))
        blocks.append(_parts(graph, column, encoder.extracted_features_))
    joined = ordered(graph, blocks, [str(name) for name in steps[0].get_feature_names_out()])
    centred, scale = _centred(graph, joined.tensor, steps[1], np.float32)
    x = graph.rounded(graph.add("Div", graph.rounded(centred), scale))
    return _imputed(graph, x, joined.names, steps[2])


def category(graph: Graph, column: str, encoder: Any) -> Block:
    """1 where the value is the category's, 0 elsewhere; "" is missing, and an unknown value is none of them."""
    x = graph.input(column, "string")
    known = list(encoder.categories_[0])
    dropped = None if encoder.drop_idx_ is None else encoder.drop_idx_[0]
    kept = [value for k, value in enumerate(known) if k != dropped]
    texts = ["" if value is None or value != value else str(value) for value in kept]
    hits = graph.add("Equal", graph.column(x), graph.constant([texts]))
    return Block(graph.cast(hits, "double"), [str(name) for name in encoder.get_feature_names_out([column])])


def text(graph: Graph, column: str, encoder: Any) -> Block:
    """TF-IDF of the n-grams of characters of each word, and its SVD.

    scikit-learn puts a blank before and after each word and takes n-grams within it. Those are the n-grams of the whole
    text that have no blank inside, with a blank before and after it; no other n-gram is in the vocabulary.
    """
    vectorizer = encoder.vectorizer_
    least, most = vectorizer.ngram_range
    grams = sorted(vectorizer.vocabulary_.items(), key=lambda entry: (len(entry[0]), entry[1]))
    lengths = [len(gram) for gram, _ in grams]
    blank = graph.constant([" "])
    padded = graph.add("StringConcat", graph.add("StringConcat", blank, graph.input(column, "string")), blank)
    characters = graph.add(
        "Tokenizer", padded, domain=MICROSOFT, mark=0, mincharnum=1, pad_value=STRANGE, tokenexp="[\\s\\S]"
    )
    lower = _lower_case({character for gram, _ in grams for character in gram})
    characters = graph.add(
        "LabelEncoder",
        characters,
        domain="ai.onnx.ml",
        keys_strings=list(lower),
        values_strings=list(lower.values()),
        default_string=STRANGE,
    )
    starts = [sum(length * lengths.count(length) for length in range(1, n)) for n in range(1, most + 1)]
    tf = graph.add(
        "TfIdfVectorizer",
        characters,
        mode="TF",
        min_gram_length=least,
        max_gram_length=most,
        max_skip_count=0,
        ngram_counts=starts,
        ngram_indexes=[index for _, index in grams],
        pool_strings=[character for gram, _ in grams for character in gram],
    )
    x = graph.add("Mul", graph.cast(tf, "double"), graph.constant(vectorizer.idf_, np.float64))
    norm = graph.add("ReduceL2", x, graph.constant([1], np.int64), keepdims=1)
    norm = graph.add("Max", norm, graph.constant(1e-300))  # a text without n-grams stays 0
    x = graph.rounded(graph.add("Div", x, norm))
    if hasattr(encoder, "tsvd_"):
        x = graph.rounded(graph.add("MatMul", x, graph.constant(encoder.tsvd_.components_.T, np.float64)))
    else:
        first = graph.constant(np.arange(encoder.n_components_))
        x = graph.add("Gather", x, first, axis=1)
    x = graph.rounded(graph.add("Div", x, graph.constant(float(encoder.scaling_factor_))))
    return Block(x, [str(name) for name in encoder.all_outputs_])


def ordered(graph: Graph, blocks: Sequence[Block], names: Sequence[str]) -> Block:
    """Joins blocks, their features in the order of the names."""
    tensor = graph.add("Concat", *(block.tensor for block in blocks), axis=1) if len(blocks) > 1 else blocks[0].tensor
    found = [name for block in blocks for name in block.names]
    if found != list(names):
        tensor = graph.add("Gather", tensor, graph.constant([found.index(name) for name in names], np.int64), axis=1)
    return Block(tensor, list(names))


def _centred(graph: Graph, x: str, scaler: Any, dtype: Any = np.float64) -> tuple[str, str]:
    """Returns x − mean and scale, the constants in the precision that the scaler computes in."""
    mean, scale = (graph.constant(value.astype(dtype), np.float64) for value in (scaler.mean_, scaler.scale_))
    return graph.add("Sub", x, mean), scale


def _imputed(graph: Graph, x: str, names: Sequence[str], imputer: Any) -> Block:
    missing = graph.add("IsNaN", x)
    filled = graph.add("Where", missing, graph.constant(np.nan_to_num(imputer.statistics_), np.float64), x)
    marked = imputer.indicator_.features_
    if not len(marked):
        return Block(filled, list(names))
    marks = graph.cast(graph.add("Gather", missing, graph.constant(marked, np.int64), axis=1), "double")
    return Block(graph.add("Concat", filled, marks, axis=1), [*names, *(MARK + names[k] for k in marked)])


def _parts(graph: Graph, column: str, parts: Sequence[str]) -> Block:
    """The parts of a date, by civil_from_days of Hinnant, "chrono-Compatible Low-Level Date Algorithms"."""
    us = graph.input(column, "int64")
    missing = graph.add("Equal", us, graph.constant(NAT))

    def n(value: int) -> str:
        return graph.constant(value, np.int64)

    def add(a: str, b: str) -> str:
        return graph.add("Add", a, b)

    def sub(a: str, b: str) -> str:
        return graph.add("Sub", a, b)

    def mul(a: str, k: int) -> str:
        return graph.add("Mul", a, n(k))

    def div(a: str, k: int) -> str:
        return graph.add("Div", a, n(k))

    us = graph.add("Where", missing, n(0), us)
    shifted = add(us, n(719_468 * DAY))  # from 1 March of the year 0: no negative number to divide
    z = div(shifted, DAY)
    era = div(z, 146_097)
    doe = sub(z, mul(era, 146_097))
    leaps = sub(add(sub(doe, div(doe, 1460)), div(doe, 36_524)), div(doe, 146_096))
    yoe = div(leaps, 365)
    doy = sub(doe, sub(add(mul(yoe, 365), div(yoe, 4)), div(yoe, 100)))
    mp = div(add(mul(doy, 5), n(2)), 153)
    early = graph.cast(graph.add("Greater", mp, n(9)), "int64")  # January, February: of the next year
    found = {
        "year": add(add(yoe, mul(era, 400)), early),
        "month": sub(add(mp, n(3)), mul(early, 12)),
        "day": add(sub(doy, div(add(mul(mp, 153), n(2)), 5)), n(1)),
        "hour": div(sub(shifted, mul(z, DAY)), 3_600_000_000),
        "total_seconds": graph.add("Div", graph.cast(us, "double"), graph.constant(1e6)),
    }
    nan = graph.constant(np.nan)
    made = [graph.add("Where", missing, nan, graph.rounded(graph.cast(found[part], "double"))) for part in parts]
    tensor = graph.add("Concat", *map(graph.column, made), axis=1)
    return Block(tensor, [f"{column}_{part}" for part in parts])


def _lower_case(known: set[str]) -> dict[str, str]:
    """Returns every character that is one of the known ones in lower case; each white space is a blank."""
    found = {}
    for character in map(chr, range(sys.maxunicode + 1)):
        lower = " " if character.isspace() else character.lower()
        if lower in known and not 0xD800 <= ord(character) < 0xE000:  # half of a pair is no text
            found[character] = lower
    return found
