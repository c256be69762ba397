"""Finds the images among the columns of a table, and draws those of a row."""

from __future__ import annotations

import base64
import math
import re
import struct
import zlib
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

PIXELS = 256 * 256
PIXEL_AT = re.compile(r"(?:pixel|px)\D?(\d+)_(\d+)")  # pixel_7_3, as in scikit-learn's digits
PIXEL = re.compile(r"(?:pixel|px)\D?(\d+)")  # pixel783, as in OpenML's MNIST
COLOURS = {1: 0, 3: 2, 4: 6}  # PNG's colour types, by the number of channels; grey beside alpha is 4


class Image(NamedTuple):
    """An image as a PNG in a data: URL; `ink` on the page if large values are dark, as in scanned writing."""

    width: int
    height: int
    ink: bool
    url: str


class Grid(NamedTuple):
    """The columns that are pixels, and (row, column, channel) of each in an image of that shape."""

    names: list[str]
    places: NDArray[np.int64]
    shape: tuple[int, int, int]
    ink: bool


def images(rows: Sequence[Mapping[str, object]], grid: Grid) -> list[Image] | None:
    """Draws an image of each row, all on one scale; returns None if the columns are not all numbers."""
    given = [[row[name] for name in grid.names] for row in rows]
    if not rows or not all(isinstance(value, Real) for row in given for value in row):
        return None
    values = np.array(given, np.float64)
    low, high = scale(values, ink=grid.ink)
    bright = np.nan_to_num((values - low) / ((high - low) or 1)).clip(0, 1)
    height, width, _ = grid.shape
    result = []
    for row in (bright * 255).round().astype(np.uint8):
        pixels = np.zeros(grid.shape, np.uint8)
        pixels[tuple(grid.places.T)] = row
        if grid.ink:  # black, whose opacity is the value
            pixels = np.concatenate([np.zeros_like(pixels), pixels], axis=2)
        result.append(Image(width, height, grid.ink, png(pixels)))
    return result


def scale(values: NDArray[np.float64], *, ink: bool) -> tuple[float, float]:
    """Returns the values of the ends of the scale: those of 8-bit images or of 0 … 1, if they are no others."""
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    if ink or low < 0:
        return low, high
    return 0.0, 1.0 if high <= 1 else 255.0 if 64 < high <= 255 else high


def png(pixels: NDArray[np.uint8]) -> str:
    """Returns height × width × channels as a PNG (ISO/IEC 15948) in a data: URL.

    >>> png(np.zeros((1, 1, 1), np.uint8))[:32]
    'data:image/png;base64,iVBORw0KGg'
    """
    height, width, channels = pixels.shape
    colour = 4 if channels == 2 else COLOURS[channels]
    lines = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, -1)], axis=1)  # each unfiltered
    head = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(lines.tobytes(), 9)), (b"IEND", b""))
    chunks = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )
    return "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"".join(chunks)).decode()


# Which columns are pixels ---------------------------------------------------------------------------------------------


def grid(names: Sequence[str], shapes: Mapping[str, Sequence[int]]) -> Grid | None:
    """Returns the grid of an array of images, or of columns that are all named as pixels.

    shapes   of one row of each array, by its name: {"X": (28, 28)}, whose columns are X[0] … X[783]
    """
    for name, shape in shapes.items():
        size = (*shape, 1) if len(shape) == 2 else tuple(shape)
        if len(size) == 3 and size[2] in COLOURS and 4 <= size[0] * size[1] <= PIXELS:
            column = re.compile(re.escape(name) + r"\[(\d+)\]")
            of = [(each, int(match[1])) for each in names if (match := column.fullmatch(each))]
            if of:
                at = np.unravel_index([number for _, number in of], size)
                return Grid([each for each, _ in of], np.array(at).T, size, ink=False)
    places = pixels(names)
    if places is None:
        return None
    height, width = (1 + max(place[axis] for place in places) for axis in (0, 1))
    return Grid(list(names), np.array([(*place, 0) for place in places]), (height, width, 1), ink=True)


def pixels(names: Sequence[str]) -> list[tuple[int, int]] | None:
    """Returns (row, column) of each pixel if the names cover at least half of a grid (blank ones may be left out).

    >>> pixels(["pixel_0_0", "pixel_0_1", "pixel_1_0"])
    [(0, 0), (0, 1), (1, 0)]
    >>> pixels(["pixel1", "pixel2", "pixel3", "pixel4"])
    [(0, 0), (0, 1), (1, 0), (1, 1)]
    >>> pixels(["height", "width", "colour", "weight"])
    """
    if not names:
        return None
    if all(matches := [PIXEL_AT.fullmatch(name) for name in names]):
        places = [(int(m[1]), int(m[2])) for m in matches if m]
    elif all(matches := [PIXEL.fullmatch(name) for name in names]):
        numbers = [int(m[1]) for m in matches if m]
        first = min(1, *numbers)  # counted from 0 or from 1
        side = math.isqrt(max(numbers) - first) + 1
        places = [divmod(number - first, side) for number in numbers]
    else:
        return None
    height, width = (1 + max(place[axis] for place in places) for axis in (0, 1))
    return places if 4 <= height * width <= min(2 * len(set(places)), PIXELS) else None
