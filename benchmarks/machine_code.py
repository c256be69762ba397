"""What the tools of NVIDIA and LLVM print of a compiled kernel.

Instructions are counted once, or in a loop once an iteration; what a branch jumps over in a loop, or only to call
something, is rare and left out.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import triton.backends.nvidia

TOOLS = Path(triton.backends.nvidia.__file__).parent / "bin"


class Instruction(NamedTuple):
    name: str
    operands: str
    line: str  # of the source
    predicate: str


@dataclass
class Code:
    """The instructions of a kernel, and which of them are repeated or rare."""

    instructions: list[Instruction]
    labels: dict[str, int]  # → the instruction that follows
    loops: list[range] = field(default_factory=list)
    rare: set[int] = field(default_factory=set)

    @staticmethod
    def of(listing: str) -> Code:
        """Of what nvdisasm -g -c prints, up to the kernel's subroutines."""
        code, line = Code([], {}), ""
        for text in listing.splitlines():
            if found := re.search(r'//## File "[^"]*/([^"]+)", line (\d+)', text):
                line = f"{found[1]}:{found[2]}"
            elif found := re.match(r"\s*(\S+):$", text):
                if "__internal" in found[1]:
                    break
                code.labels[found[1]] = len(code.instructions)
            elif found := re.match(r"\s+/\*[0-9a-f]{4,6}\*/\s+(@!?U?P\w+ +)?([A-Z]\w*[\w.]*) *(.*?) ?;", text):
                code.instructions.append(Instruction(found[2], found[3], line, found[1] or ""))
        code.find_loops()
        return code

    def find_loops(self) -> None:
        jumps = []
        for k, each in enumerate(self.instructions):
            if each.name.startswith("BRA") and (found := re.search(r"\.L_\w+", each.operands)):
                jumps.append((k, self.labels[found[0]], bool(each.predicate)))
        self.loops = [range(to, k + 1) for k, to, _ in jumps if to < k]
        for k, to, conditional in jumps:
            moves = any(re.match("LDG|STG", each.name) for each in self.instructions[k + 1 : to])  # masked, not rare
            if conditional and not moves and to > k:
                self.rare |= set(range(k + 1, to))
        edges = {*self.labels.values(), *(k + 1 for k, *_ in jumps)}
        for k, each in enumerate(self.instructions):
            if each.name.startswith("CALL") and ".L_" not in each.operands:  # of sm_80 also a way out of a loop
                self.rare |= set(range(max(e for e in edges if e <= k), k + 1))

    def __iter__(self) -> Iterator[tuple[Instruction, bool]]:
        """Each that is not rare, and whether it is in a loop."""
        for k, each in enumerate(self.instructions):
            if k not in self.rare and each.name != "NOP":
                yield each, any(k in loop for loop in self.loops)


def lanes_in_loops(code: str) -> int:
    """How often a loop moves a spilled scalar register to or from a lane, in what LLVM prints for AMD."""
    keepers = "|".join(re.findall(r"implicit-def: \$vgpr(\d+) : SGPR spill to VGPR lane", code)) or "none"
    in_loop, found = False, 0
    for line in code.splitlines():
        if re.match(r"\.LBB\w+:|; %bb\.\d+:", line):
            in_loop = "Loop" in line
        found += in_loop and re.search(rf"v_(?:writelane_b32 v|readlane_b32 s\d+, v)(?:{keepers})\b", line) is not None
    return found


def tool(name: str, *arguments: Any) -> str:
    return subprocess.run([str(TOOLS / name), *map(str, arguments)], capture_output=True, text=True, check=True).stdout
