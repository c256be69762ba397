"""python -m benchmarks.gpu_check: compiles the Triton kernels for GPUs, which need not be there, and checks them.

Each of CASES is called as a user's tensors would be, on tensors without memory, and every kernel that it would launch
is compiled for each chip. In the table: registers of a thread and programs that a multiprocessor holds at once;
128-bit accesses; bytes an element as the kernel itself loads and stores them; instructions an element, of them on
float64, and the cycles of the busiest pipe; and the time that follows on an H200 (4.3 TB/s copied; 132 multiprocessors
of 128 lanes at 1.755 GHz), at least, as a ratio to a copy or a read of the logits. Nothing here is measured.
"""

from __future__ import annotations

import argparse
import fnmatch
import math
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product
from typing import Any

BANDWIDTH, SLOTS = 4.3e12, 132 * 128 * 1.755e9  # an H200's: bytes and instructions of a thread, a second
REGISTERS, MOST_WARPS, MOST_PROGRAMS = 65536, 64, 32  # of a multiprocessor, sm_90

OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "label_smoothing": {"label_smoothing": 0.1},
    "class_weight": {"weighted": True},
    "temperature": {"temperature": 0.7},
    "softcap": {"softcap": 30.0},
    "z_loss": {"z_loss": 1e-4},
    "probabilities": {"probabilities": True},
    "all": {"label_smoothing": 0.1, "weighted": True, "temperature": 0.7, "softcap": 30.0, "z_loss": 1e-4},
    "all, probabilities": {"probabilities": True, "label_smoothing": 0.1, "weighted": True, "temperature": 0.7,
                           "softcap": 30.0, "z_loss": 1e-4},
}  # fmt: skip
IN_DOUBLE = ("softcap", "temperature", "probabilities", "all", "all, probabilities")  # each element, as they round once
WORK = ("loss + gradient", "loss", "gradient", "softmax", "log_softmax", "logsumexp", "statistics", "sample")
CHUNK = (2048, 131072)  # of a last layer with 16-bit inputs: logits in float32, gradients in 16 bits
SHAPES = (  # with the class axis
    ((4_000_000, 10), 1),
    ((524288, 100), 1),
    ((65536, 1000), 1),
    ((8192, 8192), 1),
    ((8192, 32000), 1),
    ((16384, 50257), 1),
    ((4096, 131072), 1),
    ((8, 1048576), 1),
    ((64, 21, 512, 512), 1),
    ((16, 150, 512, 512), 1),
    ((4, 32000, 2048), 1),
)
SIZES = {"float32": 4, "bfloat16": 2, "float64": 8}


@dataclass(frozen=True)
class Case:
    """A call: what is computed, of which logits, with which options."""

    work: str
    shape: tuple[int, ...]
    axis: int = 1
    dtype: str = "float32"
    options: str = "plain"

    @property
    def label(self) -> str:
        of_options = "" if self.options == "plain" else f", {self.options}"
        return f"{self.work}, {' × '.join(map(str, self.shape))}, {self.dtype}{of_options}"

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    def launches(self, chip: Any) -> list[Any]:
        """Those that the call makes on such a chip, on tensors without memory."""
        from unittest.mock import patch

        import torch

        from benchmarks.compiled import recorded
        from softxent.options import LossOptions
        from softxent.torch.calls import COMPUTED_IN, Call
        from softxent.torch.checks import BY_LOGITS
        from softxent.torch.devices import cuda, layout

        given = dict(OPTIONS[self.options])
        weighted, probabilities = given.pop("weighted", False), given.pop("probabilities", False)
        with torch.device("meta"):
            x = torch.empty(self.shape, dtype=getattr(torch, self.dtype))
            rows = [n for k, n in enumerate(self.shape) if k != self.axis]
            target = torch.empty_like(x) if probabilities else torch.empty(rows, dtype=torch.int64)
            w = torch.empty(self.shape[self.axis], dtype=x.dtype) if weighted else None
            one, uniform = torch.empty((), dtype=x.dtype), torch.empty(rows, dtype=torch.float64)
        call = Call(self.axis, LossOptions(**given), COMPUTED_IN[x.dtype], "nan", BY_LOGITS["input"])
        T = call.options.temperature
        calls = {
            "loss + gradient": lambda: cuda.loss(x, target, w, call, x),
            "loss": lambda: cuda.loss(x, target, w, call),
            "gradient": lambda: cuda.gradient(x, target, w, one, call),
            "softmax": lambda: cuda.softmax(x, self.axis, T, "input"),
            "log_softmax": lambda: cuda.log_softmax(x, self.axis, T, "input"),
            "logsumexp": lambda: cuda.logsumexp(x, self.axis, "input"),
            "statistics": lambda: cuda.statistics(x, target, call),
            "chunk": lambda: cuda.loss(x, target, w, call, torch.empty_like(x, dtype=torch.bfloat16), one),
            "chunk's statistics": lambda: cuda.gradient_of_statistics(
                x, torch.empty_like(x, dtype=torch.bfloat16), target, *[uniform] * 4, call.options
            ),
            "sample": lambda: cuda.drawn(x, self.axis, T, uniform),
        }
        with (
            patch.object(layout, "warp_of", lambda device: chip.target.warp_size),
            patch.object(layout, "NVIDIA", chip.is_nvidia),
            recorded() as launches,
        ):
            calls[self.work]()
        return launches


def cases() -> list[Case]:
    """Every way to take a row in every dtype; every option that a work takes, in the dtypes whose code differs."""
    few, _, block, turn, parts, plane = ways = [SHAPES[k] for k in (0, 1, 3, 6, 7, 8)]
    found = [
        Case(work, *shape, dtype) for work in ("loss + gradient", "softmax") for shape, dtype in product(SHAPES, SIZES)
    ]
    for work in WORK:
        if work not in ("loss + gradient", "softmax"):
            found += [Case(work, *shape, dtype) for shape, dtype in product(ways, ("float32", "bfloat16"))]
            found += [Case(work, *shape, "float64") for shape in (few, block, turn)]
    for options in list(OPTIONS)[1:]:
        found += [Case("loss + gradient", *shape, options=options) for shape in ways]
        found += [Case("loss + gradient", *block, dtype, options) for dtype in ("bfloat16", "float64")]
        found += [Case(work, *turn, options=options) for work in ("loss", "gradient")]
        found += [Case("loss + gradient", *shape, options=options) for shape in SHAPES[-2:]]
    for work, shape in product(("softmax", "log_softmax", "statistics", "sample"), (few, block, turn, parts)):
        found.append(Case(work, *shape, options="temperature"))
    found += [Case("chunk", CHUNK, options=options) for options in OPTIONS]
    return [*found, Case("loss + gradient", *plane, "float64", "all"), Case("chunk's statistics", CHUNK)]


QUICK = [
    *(Case("loss + gradient", *shape) for shape in SHAPES[:-1]),
    *(Case("loss + gradient", *shape, "bfloat16") for shape in (SHAPES[2], SHAPES[3], SHAPES[6])),
    Case("loss + gradient", (8192, 8192), dtype="float64"),
    Case("loss + gradient", (8192, 8192), options="label_smoothing"),
    Case("loss + gradient", (4096, 131072), options="all, probabilities"),
    Case("softmax", (8192, 8192)),
    Case("log_softmax", (4096, 131072)),
    Case("statistics", (8192, 8192)),
    Case("sample", (4096, 131072)),
    Case("chunk", CHUNK),
    Case("chunk's statistics", CHUNK),
]


# Checks ---------------------------------------------------------------------------------------------------------------


def faults(case: Case, made: Any) -> list[str]:
    """What is wrong with a compiled kernel."""
    from benchmarks.compiled import MOST_THREADS

    found = []
    if made.spills:
        found.append(f"{made.spills} spills of registers to memory (of {made.registers} a thread)")
    if made.metadata.shared > made.chip.shared:
        found.append(f"{made.metadata.shared} bytes of shared memory, but the chip has {made.chip.shared}")
    if made.threads > MOST_THREADS:
        found.append(f"{made.threads} threads a program, but a chip takes {MOST_THREADS}")
    if made.metadata.enable_fp_fusion:
        found.append("the compiler may contract a·b + c: enable_fp_fusion is on")
    if made.chip.is_nvidia and (fused := made.fused_unasked()):
        found.append(f"float32 operations are fused where the source does not ask for it: {', '.join(fused)}")
    if not in_double(case, made) and (wide := made.of_blocks("f64")):
        found.append(f"{wide} operations in float64 on each element of {case.dtype}")
    return found + narrow(case, made)


def in_double(case: Case, made: Any) -> bool:
    """Whether elements are computed in float64 on purpose; what there is one of a row always is.

    sample adds up the part or strip that is drawn from in float64, one of many of its row.
    """
    return case.dtype == "float64" or case.options in IN_DOUBLE or made.launch.kernel.__name__.startswith("sample")


def narrow(case: Case, made: Any) -> list[str]:
    """Loads or stores of less than 128 bits where each row begins at a multiple of them."""
    size = SIZES[case.dtype]
    block = made.launch.block * size
    if case.axis != len(case.shape) - 1 or case.shape[-1] * size % 16 or block < 16 * made.threads * made.ctas:
        return []
    kinds = {"LDG": "loads"} if made.loads_strips() else {}
    if writes(case) == size and made.launch.kernel.__name__ != "sums_kernel":
        kinds["STG"] = "stores"
    return [f"{kinds[kind]} of less than 128 bits" for kind in kinds if made.wide_accesses(kind) < block]


def writes(case: Case) -> int:
    """Bytes an element."""
    if case.work.startswith("chunk"):
        return 2
    return SIZES[case.dtype] if case.work in ("loss + gradient", "gradient", "softmax", "log_softmax") else 0


# The table ------------------------------------------------------------------------------------------------------------

COLUMNS = (
    "chip", "call: kernel", "rows × block", "warps", "registers", "at once", "spills", "shared", "bytes", "128 bits",
    "instructions", "float64", "busiest", "× limit",
)  # fmt: skip


def line(case: Case, made: Any) -> list[str]:
    """The cells from the third on."""
    launch = made.launch
    block = f"{launch.named.get('ROWS', 1)} × {launch.named.get('BLOCK', 1)}"
    block += "" if launch.named.get("ONE_BLOCK", True) else " in turn"
    block += f", {launch.named['PARTS']} parts" if launch.named.get("PARTS", 1) > 1 else ""
    wide = "".join(word for kind, word in (("LDG", "load "), ("STG", "store")) if made.wide_accesses(kind))
    cells = [block, made.metadata.num_warps, made.registers]
    bytes_moved = made.bytes_moved(case.elements)
    if not made.chip.is_nvidia:
        return [*map(str, cells), "–", str(made.spills), str(made.metadata.shared), f"{bytes_moved:.1f}", wide, *"––––"]
    warps = made.metadata.num_warps
    held = REGISTERS // (32 * warps * (-(-made.registers // 8) * 8))
    held = min(held, MOST_WARPS // warps, MOST_PROGRAMS)
    cycles, pipe = made.cycles(case.elements)
    limit = (SIZES[case.dtype] + writes(case)) / BANDWIDTH
    ratio = max(bytes_moved / BANDWIDTH, cycles / SLOTS) / limit
    cells += [held, made.spills, made.metadata.shared, f"{bytes_moved:.1f}", wide]
    cells += [f"{made.an_element(case.elements):.1f}", f"{made.an_element(case.elements, 'D(FMA|ADD|MUL|SETP)'):.1f}"]
    return [*map(str, cells), f"{cycles:.1f} {pipe}", f"{ratio:.2f}"]


def examined(job: tuple[Case, str, dict[str, int], bool]) -> list[tuple[list[str], list[str], list[str]]]:
    """For each kernel of a case on a chip: its line of the table, its faults, and where its instructions go."""
    from benchmarks.compiled import CHIPS

    case, name, changed, by_line = job
    found = []
    for launch in case.launches(CHIPS[name]):
        label = [name, f"{case.label}: {launch.kernel.__name__}"]
        try:
            made = launch.but(**changed).compiled(CHIPS[name])
        except Exception as error:  # of several kinds; what is wrong is said by the one that began it
            while error.__cause__:
                error = error.__cause__
            first, *_, last = str(error).strip().splitlines() * 2
            found.append((label, [f"does not compile: {first} … {last.strip()}"], []))
            continue
        where = made.by_line(case.elements) if by_line and made.chip.is_nvidia else []
        found.append((label + line(case, made), faults(case, made), [counted(*each) for each in where]))
    return found


def counted(instructions: float, at: str, names: Any) -> str:
    return f"{instructions:6.1f}  {at:24}  {', '.join(f'{name} {n:.1f}' for name, n in names.most_common(6))}"


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu_check", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the main cases, for sm_90 alone")
    parser.add_argument("--cases", default="*", metavar="PATTERN", help="only cases like this: '*131072*bfloat16*'")
    parser.add_argument("--chips", nargs="+", metavar="CHIP", help="sm_80, sm_90, sm_100, gfx942 (default: all)")
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=INTEGER", help="unlike launch.py: num_warps=8")
    parser.add_argument("--lines", action="store_true", help="print the instructions an element of each source line")
    args = parser.parse_args(argv)
    chips = args.chips or (["sm_90"] if args.quick else ["sm_80", "sm_90", "sm_100", "gfx942"])
    wanted = [case for case in (QUICK if args.quick else cases()) if fnmatch.fnmatch(case.label, args.cases)]
    changed = {name: int(value) for name, value in (each.split("=") for each in args.set)}
    jobs = [(case, chip, changed, args.lines) for case in wanted for chip in chips]
    if not jobs:
        raise SystemExit(f"--cases {args.cases!r} matches none")

    failed = 0
    print("  ".join(COLUMNS))
    with ProcessPoolExecutor() as pool:
        for kernels in pool.map(examined, jobs):
            for cells, wrong, where in kernels:
                print("  ".join(cells), *(f"    {text}" for text in where), sep="\n")
                for fault in wrong:
                    print(f"    FAILS: {cells[0]}, {cells[1]}: {fault}")
                failed += len(wrong)
            sys.stdout.flush()
    print(f"{len(jobs)} cases, {failed} faults")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
