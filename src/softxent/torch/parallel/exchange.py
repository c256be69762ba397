"""What the ranks of a group tell each other: one all-gather of a frame that each fills, in rank order.

A frame is a header and room for numbers. The header says what a rank calls, with which options, on which classes, so
that ranks that do not agree find out before anything is computed from numbers that do not belong together; it travels
with the numbers. That needs frames of one size on every rank, also of ranks that do not agree: it is that of the calls
before, which the ranks agreed on. A call that needs more sends a header alone, and the numbers once it is agreed on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any
from weakref import WeakKeyDictionary

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.distributed_c10d import _resolve_process_group

from softxent.torch import checks

HEADER = 4  # numbers of 8 bytes: what is called, the first class, the one after the last, and whether it failed
TEXT = 4096  # bytes, in which a rank says what it calls where ranks do not agree
SMALLER = 4  # times as small a call makes smaller frames
ROOM: WeakKeyDictionary[Any, int] = WeakKeyDictionary()  # of a group's frames, in numbers


@dataclass
class Told:
    """What all ranks must say alike, and the classes that are this rank's own."""

    call: str
    alike: dict[str, Any]
    start: int = 0
    stop: int = 0
    total: int = 0
    error: Exception | None = None
    numbers: int = 0  # that it sends
    read: bool = True  # whether headers are; on a GPU that waits for it

    def header(self, room: int) -> list[int]:
        said = json.dumps([self.call, self.alike, self.total, room]).encode()
        digest = int.from_bytes(blake2b(said, digest_size=8).digest(), "big", signed=True)
        return [digest, self.start, self.stop, int(self.error is not None)]

    def text(self) -> str:
        """What is left of too long a text are its numbers."""
        error = None if self.error is None else [type(self.error).__name__, str(self.error)[: TEXT // 4]]
        facts = {"the call": self.call, **self.alike, "vocab_total": self.total}
        return json.dumps({"error": error, "alike": facts, "numbers": self.numbers})


@dataclass
class Group:
    """A process group, as collectives and errors need it."""

    group: Any
    rank: int = field(init=False)
    size: int = field(init=False)

    def __post_init__(self) -> None:
        self.rank, self.size = dist.get_rank(self.group), dist.get_world_size(self.group)

    def __str__(self) -> str:
        name = getattr(self.group, "group_desc", "")
        name = name if name and name != "undefined" else self.group.group_name
        return f"group {name!r} of {self.size} ranks"

    def gather(self, call: str, numbers: Tensor) -> Tensor:
        """Those of all ranks, in rank order."""
        numbers = numbers.contiguous()
        gathered = numbers.new_empty((self.size, *numbers.shape))
        with self.answering(call):
            dist.all_gather(list(gathered.unbind(0)), numbers, group=self.group)
        return gathered

    def add_up(self, call: str, numbers: Tensor) -> None:
        """In place, in the transport's order."""
        with self.answering(call):
            dist.all_reduce(numbers, group=self.group)

    @contextmanager
    def answering(self, call: str) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            raise RuntimeError(f"{call}: {self} did not answer rank {self.rank}: {error}") from error


def group_of(group: Any) -> Any:
    if not (dist.is_available() and dist.is_initialized()):
        raise RuntimeError("torch.distributed is not initialised: call torch.distributed.init_process_group() first")
    group = dist.group.WORLD if group is None else group
    if not isinstance(group, dist.ProcessGroup):
        raise checks.DTypeError(
            f"group is {type(group).__name__}, but must be a process group that this rank is in, or None for all; "
            "of a DeviceMesh pass mesh.get_group()"
        )
    return group


def named(name: str) -> Group:
    """The group of a name, which an operator takes."""
    return Group(_resolve_process_group(name))


# One frame of each rank -----------------------------------------------------------------------------------------------


def exchange(group: Group, told: Told, numbers: Tensor) -> tuple[Tensor, Tensor]:
    """The float64 numbers of all ranks and their first classes, in rank order.

    Ranks that do not agree raise the same error.
    """
    needed = numbers.numel()
    room = ROOM.get(group.group, 0)
    gathered = send(group, told, needed, room, numbers)
    if needed > room or needed * SMALLER < room:
        ROOM[group.group] = needed
    if needed > room:
        return group.gather(told.call, numbers), gathered[:, 1]
    of_all = gathered[:, HEADER : HEADER + needed].view(torch.float64).reshape(group.size, *numbers.shape)
    return of_all, gathered[:, 1]


def send(group: Group, told: Told, needed: int, room: int, numbers: Tensor | None) -> Tensor:
    told.numbers = needed
    device = torch.device("cpu") if numbers is None else numbers.device
    frame = torch.zeros(HEADER + room, dtype=torch.int64, device=device)
    frame[:HEADER] = torch.tensor(told.header(needed), dtype=torch.int64)
    if numbers is not None and needed <= room:
        frame[HEADER : HEADER + needed] = numbers.reshape(-1).view(torch.int64)
    gathered = group.gather(told.call, frame)
    if told.read:
        agree(group, told, gathered[:, :HEADER].tolist(), device)
    return gathered


def fail(group: Group, call: str, error: Exception, device: torch.device) -> None:
    """Tells the ranks, which wait for this one's frame, why it will not come; raises the error they all raise."""
    told = Told(call, {}, error=error)
    room = ROOM.get(group.group, 0)
    numbers = torch.empty(0, dtype=torch.float64, device=device)
    send(group, told, 0, room, numbers)
    raise error


def agree(group: Group, told: Told, headers: list[list[int]], device: torch.device) -> None:
    if len({digest for digest, *_ in headers}) == 1 and not any(failed for *_, failed in headers):
        slices(told, [(start, stop) for _, start, stop, _ in headers], group)
        return
    text = torch.zeros(TEXT, dtype=torch.uint8)
    said = told.text().encode()[:TEXT]
    text[: len(said)] = torch.frombuffer(bytearray(said), dtype=torch.uint8)
    texts = group.gather(told.call, text.to(device)).cpu()
    raise disagreement(group, told, [json.loads(bytes(t.tolist()).rstrip(b"\0")) for t in texts])


# Its errors -----------------------------------------------------------------------------------------------------------

KINDS: dict[str, Callable[[str], Exception]] = {
    kind.__name__: kind
    for kind in (checks.InputError, checks.DTypeError, checks.ClassIndexError, ValueError, TypeError, RuntimeError)
}


def disagreement(group: Group, told: Told, texts: list[dict[str, Any]]) -> Exception:
    """The same error on every rank, which shows what each said."""
    errors = [(rank, *text["error"]) for rank, text in enumerate(texts) if text["error"]]
    if errors:
        _, kind, first = errors[0]
        of = KINDS.get(kind, RuntimeError)
        if len(errors) == len(texts) and len({said for _, _, said in errors}) == 1:
            return of(first)
        return of(f"{group}: " + "; ".join(f"on rank {rank} {said}" for rank, _, said in errors))
    facts: list[dict[str, Any]] = [text["alike"] for text in texts]
    names = list(dict.fromkeys(name for of_rank in facts for name in of_rank))
    differences = []
    for name in names if len({of_rank["the call"] for of_rank in facts}) == 1 else ["the call"]:
        other = next((r for r, of_rank in enumerate(facts) if of_rank.get(name) != facts[0].get(name)), None)
        if other is not None:
            differences.append(
                f"{name} is {facts[0].get(name)} on rank 0, but {facts[other].get(name)} on rank {other}"
            )
    if not differences:  # of a layer whose targets, and so the rows that are ignored, differ
        sent = [text["numbers"] for text in texts]
        other = next(r for r, of_rank in enumerate(sent) if of_rank != sent[0])
        differences = [f"the numbers to send are {sent[0]} on rank 0, but {sent[other]} on rank {other}"]
    return checks.InputError(f"{told.call}: {'; '.join(differences)}: the ranks of {group} must agree")


def slices(told: Told, of_ranks: list[tuple[int, int]], group: Group) -> None:
    """Checks that each class is of one rank."""
    reached, before = 0, None
    for (start, stop), rank in sorted((s, r) for r, s in enumerate(of_ranks) if s[0] < s[1]):
        if start != reached:
            first, last = sorted((start, reached))
            owner = f"both rank {before} and rank {rank}" if start < reached else "no rank"
            raise wrong_slices(told, of_ranks, group, first, min(last, stop) - 1, owner)
        reached, before = stop, rank
    if reached != told.total:
        raise wrong_slices(told, of_ranks, group, reached, told.total - 1, "no rank")


def wrong_slices(
    told: Told, of_ranks: list[tuple[int, int]], group: Group, first: int, last: int, owner: str
) -> Exception:
    held = ", ".join(f"rank {rank} [{start}, {stop})" for rank, (start, stop) in enumerate(of_ranks))
    return checks.InputError(
        f"{told.call}: classes {first} … {last} of {told.total} belong to {owner} of {group}: {held}"
    )
