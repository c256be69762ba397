"""python -m benchmarks: times ours, the peers and the limits; writes the result, the pages' tables and the pictures."""

from __future__ import annotations

import argparse
import fnmatch
import secrets
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.rows import ROWS, Row

QUICK_ELEMENTS = 2**17
PARTS = ("rows", "grid", "plane")


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rows", default="*", metavar="PATTERN", help="only rows like this: '*1024 × 50257*'")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="only these parts; printed only")
    parser.add_argument("--list", action="store_true", help="print the rows' names and stop")
    parser.add_argument("--quick", action="store_true", help="small arrays, few rounds, no torch.compile; not saved")
    parser.add_argument("--threads", type=int, default=machine.cores(), help="for everyone (default: all cores)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="the result (default: results/<cpu>.json)")
    parser.add_argument("--readme", action="store_true", help="no timing: pages and pictures from a result")
    return parser.parse_args(argv)


def chosen(pattern: str, quick: bool) -> list[Row]:
    rows = [row for row in ROWS if fnmatch.fnmatch(row.label, pattern)]
    if not rows:
        raise SystemExit(f"--rows {pattern!r} matches no row; --list prints them")
    return [row.shrunk(QUICK_ELEMENTS) for row in rows] if quick else rows


def main(argv: list[str] | None = None) -> None:
    args = arguments(argv)
    rows = chosen(args.rows, args.quick)
    if args.list:
        print(*(row.label for row in rows), sep="\n")
        return
    machine.use_threads(args.threads)

    from benchmarks import picture, report

    if args.readme:
        result = machine.load(args.output or machine.newest())
        print(*report.write_pages(result), *picture.draw_all(result), sep="\n")
        return

    result = measured(rows, args)
    report.show(result)
    complete = args.rows == "*" and not args.quick and set(args.parts) == set(PARTS)
    if args.output or complete:
        path = args.output or machine.RESULTS / f"{machine.slug(result['cpu'])}.json"
        machine.save(path, result)
        print(path)
    if complete and not args.output:
        print(*report.write_pages(result), *picture.draw_all(result), sep="\n")


def measured(rows: list[Row], args: argparse.Namespace) -> dict:
    import numpy as np

    import softxent
    from benchmarks import grid, plane

    softxent.set_num_threads(args.threads)
    seed = secrets.randbits(32)  # fresh inputs each time; kept, so that a result can be repeated
    rng = np.random.default_rng(seed)
    title = "quick: small arrays, few rounds; these are not the benchmark's numbers" if args.quick else None
    result = {**machine.provenance(args.threads), "title": title, "seed": seed}
    if "rows" in args.parts:
        result["rows"] = timed(rows, args, rng)
    if "grid" in args.parts:
        result["grid"] = grid.measured(args.threads, args.quick, rng)
    if "plane" in args.parts:
        result["plane"] = plane.measured(args.threads, args.quick, rng)
    return result


def timed(rows: list[Row], args: argparse.Namespace, rng: Any) -> list[dict]:
    from benchmarks.runner import Effort, time_row

    effort = Effort(rounds=(2, 3), seconds=0.1) if args.quick else Effort()
    skip = {"torch.compile"} if args.quick else set()
    results = []
    for i, row in enumerate(rows, 1):
        print(f"[{i}/{len(rows)}] {row.label} …", end=" ", file=sys.stderr, flush=True)
        start = time.perf_counter()
        results.append(time_row(row, args.threads, effort, skip, rng))
        print(f"{time.perf_counter() - start:.0f} s", file=sys.stderr)
    return results


if __name__ == "__main__":
    main()
