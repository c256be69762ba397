"""Kernels compiled ahead for a GPU that need not be there, and what their machine code says.

A launch is recorded where Triton would make it, with Triton's own view of its arguments: what is compiled is what would
run.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, compile, make_backend
from triton.runtime.jit import JITFunction, create_function_from_signature

from benchmarks.machine_code import Code, lanes_in_loops, tool


class Chip(NamedTuple):
    target: GPUTarget
    shared: int  # bytes a program may have

    @property
    def is_nvidia(self) -> bool:
        return bool(self.target.backend == "cuda")


CHIPS = {
    "sm_80": Chip(GPUTarget("cuda", 80, 32), 163 * 1024),
    "sm_90": Chip(GPUTarget("cuda", 90, 32), 227 * 1024),
    "sm_100": Chip(GPUTarget("cuda", 100, 32), 227 * 1024),
    "gfx942": Chip(GPUTarget("hip", "gfx942", 64), 64 * 1024),
}
MOST_THREADS = 1024  # a program, on every chip

# Cycles that a quarter of a multiprocessor is busy with an instruction of 32 threads: CUDA C++ Programming Guide,
# throughput of native arithmetic instructions, compute capability 9.0
PIPES = {
    "float64": (2, r"D(FMA|ADD|MUL|SETP)"),
    "special": (8, r"MUFU|F2F|F2I|I2F"),
    "integer": (2, r"IADD3?|LOP3|SHF|LEA|[IF]SETP|F?SEL|[IF]MNMX|FMNMX|PRMT|IABS|IMAD|VI\w+|PLOP3|F2FP|POPC|FLO"),
    "shuffle": (4, r"SHFL"),
}


@dataclass(frozen=True)
class Launch:
    """A kernel as Triton was asked to launch it."""

    kernel: Any
    arguments: tuple[Any, ...]
    grid: tuple[int, ...]
    named: dict[str, Any]

    def but(self, **named: Any) -> Launch:
        return replace(self, named={**self.named, **named})

    @property
    def programs(self) -> int:
        return self.grid[0] * (self.grid[1] if len(self.grid) > 1 else 1)

    @property
    def block(self) -> int:
        """Elements that a program takes at once."""
        return int(self.named.get("ROWS", 1) * self.named.get("BLOCK", 1))

    @property
    def strip(self) -> int:
        """Of these, those that an operation takes."""
        return self.block // int(self.named.get("STRIPS", 1))

    def compiled(self, chip: Chip) -> Compiled:
        backend = make_backend(chip.target)
        named = {**self.named, "debug": self.kernel.debug}
        bind = create_function_from_signature(self.kernel.signature, self.kernel.params, backend)
        bound, special, options = bind(*self.arguments, **named)
        options, signature, constants, attributes = self.kernel._pack_args(backend, named, bound, special, options)
        source = ASTSource(self.kernel, signature, constants, attributes)
        binary = compile(source, target=chip.target, options=options.__dict__)
        return Compiled(self, chip, binary.metadata, dict(binary.asm))


@contextmanager
def recorded() -> Iterator[list[Launch]]:
    """Collects launches instead of making them."""
    launches: list[Launch] = []

    def record(kernel: Any, *arguments: Any, grid: Sequence[int], warmup: bool = False, **named: Any) -> None:
        launches.append(Launch(kernel, arguments, tuple(grid), named))

    run, JITFunction.run = JITFunction.run, record
    try:
        yield launches
    finally:
        JITFunction.run = run


@dataclass
class Compiled:
    launch: Launch
    chip: Chip
    metadata: Any
    asm: dict[str, Any]

    @property
    def threads(self) -> int:
        return int(self.metadata.num_warps * self.metadata.warp_size)

    @property
    def ctas(self) -> int:
        return int(getattr(self.metadata, "num_ctas", 1))

    @cached_property
    def listing(self) -> str:
        if not self.chip.is_nvidia:
            return str(self.asm["amdgcn"])
        with TemporaryDirectory() as folder:
            cubin = Path(folder) / "kernel.cubin"
            cubin.write_bytes(self.asm["cubin"])
            return tool("nvdisasm", "-g", "-c", cubin) + tool("cuobjdump", "-res-usage", cubin)

    @property
    def amd_code(self) -> str:
        """The kernel's, without the functions that report an assertion."""
        return self.listing.split(f"\n{self.launch.kernel.__name__}:", 1)[1].split("\n.Lfunc_end", 1)[0]

    @cached_property
    def code(self) -> Code:
        return Code.of(self.listing)

    def number(self, nvidia: str, amd: str) -> int:
        found = re.search(nvidia if self.chip.is_nvidia else amd, self.listing)
        assert found, f"no {nvidia} in what the tools print"
        return int(found[1])

    @property
    def registers(self) -> int:
        return self.number(r"REG:(\d+)", r"\.vgpr_count: *(\d+)")

    @property
    def spills(self) -> int:
        """Instructions that move registers to memory or back.

        On AMD vector registers, and scalar ones that a loop moves to or from a lane of a vector register: that is no
        memory, and before or behind a loop it is an instruction a row.
        """
        if not self.chip.is_nvidia:
            return self.number("", r"\.vgpr_spill_count: *(\d+)") + lanes_in_loops(self.amd_code)
        return sum(re.match(r"LDL|STL", each.name) is not None for each in self.code.instructions)

    def an_element(self, elements: int, pattern: str = "") -> float:
        """Instructions with such a name, per element of a launch over so many."""
        chosen = Counter(loops for each, loops in self.code if re.match(pattern, each.name))
        return chosen[True] / self.elements_of(True, elements) + chosen[False] / self.elements_of(False, elements)

    def elements_of(self, in_loop: bool, elements: int) -> float:
        """Those that a thread takes with an instruction."""
        n = self.launch.block if in_loop else elements / self.launch.programs
        return n / (self.threads * self.ctas)

    def cycles(self, elements: int) -> tuple[float, str]:
        """Issue slots an element, or what the busiest pipe needs if that is more; and its name."""
        busy = {"issue": self.an_element(elements)}
        for pipe, (cycles, pattern) in PIPES.items():
            busy[pipe] = cycles * self.an_element(elements, rf"({pattern})(\.|$)")
        pipe = max(busy, key=busy.__getitem__)
        return busy[pipe], pipe

    def bytes_moved(self, elements: int) -> float:
        """An element, with memory, by the kernel's own loads and stores; what the caches spare is not known."""
        of_program, total = max(self.launch.block, elements / self.launch.programs), 0.0  # masked lanes move nothing
        for line, in_loop in self.ir:
            if found := re.search(r"tt\.(?:load|store) .* : (?:tensor<(.*)x)?!tt\.ptr<[a-z]+(\d+)>", line):
                n = prod(map(int, found[1].split("x"))) if found[1] else 1
                total += (
                    int(found[2]) / 8 * n / (self.launch.block if in_loop and n >= self.launch.strip else of_program)
                )
        return total

    def of_blocks(self, kind: str) -> int:
        """Operations of Triton's on whole strips of numbers of this kind, where a strip is more than a number a row."""
        found = re.findall(rf"(?:arith|math)\.\w+ .*tensor<([\dx]+)x{kind}>", self.asm["ttir"])
        sizes = [prod(map(int, shape.split("x"))) for shape in found]
        return sum(n >= self.launch.strip > self.launch.named.get("ROWS", 1) for n in sizes)

    @cached_property
    def ir(self) -> list[tuple[str, bool]]:
        """The lines of Triton's own code, and whether each is in a loop."""
        lines, loop = [], ""
        for line in self.asm["ttir"].splitlines():
            indent = line[: len(line) - len(line.lstrip())]
            if "scf.for" in line and not loop:
                loop = indent
            elif loop and line.startswith(loop + "}"):
                loop = ""
            lines.append((line, bool(loop)))
        return lines

    def fused_unasked(self) -> list[str]:
        """Where float32 operations are fused on NVIDIA, but the source has no tl.fma.

        What LLVM made one of from several places has line 0 and is left out: contraction would show at others too.
        """
        files = dict(re.findall(r'\.file\s+(\d+) "[^"]*?([^/"]+)"', self.asm["ptx"]))
        fused, at = set(), ("", "0", "")
        for text in self.asm["ptx"].splitlines():
            if found := re.match(r"\s*\.loc\s+(\d+) (\d+) (\d+)", text):
                at = (files[found[1]], found[2], found[3])
            elif "fma.rn.f32" in text and at[1] != "0":
                fused.add(":".join(at))
        return sorted(fused - self.places(r"math\.fma .*f32"))

    def places(self, pattern: str) -> set[str]:
        """Of such operations of Triton's in the source: file, line and column."""
        names = dict(re.findall(r"^(#loc\d*) = loc\((.*)\)$", self.asm["ttir"], re.MULTILINE))

        def place(text: str) -> str:
            while name := re.match(r'(?:callsite\(|"[^"]*"\()?(#loc\d*)', text):  # of a function, before its caller
                text = names[name[1]]
            file, line, column = re.findall(r'([^/"]+)":(\d+):(\d+)', text)[0]
            return f"{file}:{line}:{column}"

        return {place(text) for text in re.findall(rf"{pattern}.* loc\((#loc\d*)\)", self.asm["ttir"])}

    def loads_strips(self) -> bool:
        """Whether it loads logits at all: where the parts of rows are summed up, what follows may need none."""
        pointers = re.findall(r"tt\.load .* : tensor<([\dx]+)x!tt\.ptr", self.asm["ttir"])
        return any(prod(map(int, shape.split("x"))) >= self.launch.strip for shape in pointers)

    def wide_accesses(self, kind: str) -> int:
        """Bytes a program moves by 128-bit loads (LDG) or stores (STG), in one visit of each place in the code."""
        if self.chip.is_nvidia:
            n = sum(each.name.startswith(kind) and ".128" in each.name for each, _ in self.code)
        else:
            word = {"LDG": "load", "STG": "store"}[kind]
            n = len(re.findall(rf"\b(?:global|buffer)_{word}_(?:dwordx4|b128)\b", self.amd_code))
        return 16 * n * self.threads * self.ctas

    def by_line(self, elements: int) -> list[tuple[float, str, Counter[str]]]:
        """Instructions an element of each source line, most first."""
        lines: dict[str, Any] = {}
        for each, loops in self.code:
            lines.setdefault(each.line, Counter())[each.name.split(".")[0]] += 1 / self.elements_of(loops, elements)
        return sorted(((sum(names.values()), line, names) for line, names in lines.items()), reverse=True)
