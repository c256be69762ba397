"""python -m benchmarks: times ours, the peers and the limits; writes the result, its table and its picture."""

from __future__ import annotations

import argparse
import fnmatch
import secrets
import sys
import time
from pathlib import Path

from benchmarks import machine
from benchmarks.rows import ROWS, Row

QUICK_ELEMENTS = 2**17


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rows", default="*", metavar="PATTERN", help="only rows like this: '*1024 × 50257*'")
    parser.add_argument("--list", action="store_true", help="print the rows' names and stop")
    parser.add_argument("--quick", action="store_true", help="small arrays, few rounds, no torch.compile; not saved")
    parser.add_argument("--threads", type=int, default=machine.cores(), help="for everyone (default: all cores)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="the result (default: results/<cpu>.json)")
    parser.add_argument("--readme", action="store_true", help="no timing: READMEs and picture from a result")
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
        print(*report.write_readmes(result), picture.draw(result), sep="\n")
        return

    result = measured(rows, args)
    report.show(result)
    complete = args.rows == "*" and not args.quick
    if args.output or complete:
        path = args.output or machine.RESULTS / f"{machine.slug(result['cpu'])}.json"
        machine.save(path, result)
        print(path)
    if complete and not args.output:
        print(picture.draw(result))


def measured(rows: list[Row], args: argparse.Namespace) -> dict:
    import numpy as np

    import softxent
    from benchmarks.runner import Effort, time_row

    softxent.set_num_threads(args.threads)
    seed = secrets.randbits(32)  # fresh inputs each time; kept, so that a result can be repeated
    rng = np.random.default_rng(seed)
    effort = Effort(rounds=(2, 3), seconds=0.1) if args.quick else Effort()
    skip = {"torch.compile"} if args.quick else set()
    results = []
    for i, row in enumerate(rows, 1):
        print(f"[{i}/{len(rows)}] {row.label} …", end=" ", file=sys.stderr, flush=True)
        start = time.perf_counter()
        results.append(time_row(row, args.threads, effort, skip, rng))
        print(f"{time.perf_counter() - start:.0f} s", file=sys.stderr)
    title = "quick: small arrays, few rounds; these are not the benchmark's numbers" if args.quick else None
    return {**machine.provenance(args.threads), "title": title, "seed": seed, "rows": results}


if __name__ == "__main__":
    main()
