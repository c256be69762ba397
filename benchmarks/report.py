"""The tables of a result: on the screen with Rich, and in the pages between `<!-- benchmark -->` and its end."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from benchmarks import grid, plane
from benchmarks.contenders import PEERS
from benchmarks.machine import RESULTS, load

ROOT = Path(__file__).parent.parent
PLANES = Path(__file__).parent / "README.md"  # the plane of each machine
READMES = {"en": ROOT / "README.md", "zh": ROOT / "README.zh.md"}

CHINESE = {
    "work": "计算",
    "ours": "本库用时",
    "of the limit": "与极限之比",
    "loss + gradient": "损失 + 梯度",
    "loss only": "仅损失",
    "loss + gradients": "损失 + 梯度",
    "log_prob + entropy + gradients": "log_prob + 熵 + 梯度",
    "last layer": "最后一层",
    "three products": "三次矩阵乘积",
    "four products": "四次矩阵乘积",
    "one product": "一次矩阵乘积",
    "one read": "一次读取",
    "PyTorch's call": "PyTorch 的调用",
    "sample": "采样",
    "one Python call": "一次 Python 调用",
    "forward + backward of loss / 4": "loss / 4 的前向 + 反向",
    "forward + backward": "前向 + 反向",
    "unscaled": "未缩放",
    "rows × classes": "行数 × 类别数",
    "class axis": "类别轴",
    "in place": "原位",
    "into out": "写入 out",
    "copy that allocates": "含分配的复制",
    "copy": "复制",
    "read-only sum": "只读求和",
    "our loss only": "本库仅损失",
    "missed": "未达到",
    "ours slower": "本库较慢",
    "not installed": "未安装",
    "skipped": "未测",
    "failed": "失败",
    "not measured": "未测",
    "threads": "线程",
    "Median of interleaved runs; in brackets the goal.": "交替运行的中位数，括号内为目标。",
    "A peer's ratio is its time over ours.": "各库一栏为其用时与本库用时之比。",
}  # fmt: skip


def say(text: str, lang: str) -> str:
    if lang == "zh":
        for english in sorted(CHINESE, key=len, reverse=True):
            text = text.replace(english, CHINESE[english])
    return text


def duration(seconds: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"


def header(lang: str = "en") -> list[str]:
    return [say(word, lang) for word in ("work", "ours", "of the limit")] + list(PEERS)


def table(result: dict[str, Any], lang: str = "en", spread: bool = False) -> list[list[str]]:
    """A line for each way of ours; lost and missed ratios stay, and say so."""
    return [[say(cell, lang) for cell in line] for row in result.get("rows", []) for line in _lines(row, spread)]


def _lines(row: dict[str, Any], spread: bool) -> list[list[str]]:
    if "not measured" in row:
        return [[row["row"], f"not measured: {row['not measured']}", ""] + ["–"] * len(PEERS)]
    lines = []
    for ours in dict.fromkeys(ratio["of"] for ratio in row["ratios"] if "at most" in ratio):
        label = row["row"] if ours == "softxent" else f"{row['row']}, {ours}"
        timing = row["timings"][ours]
        time = duration(timing["median"])
        if spread:
            time += f" ({duration(timing['q1'])} – {duration(timing['q3'])})"
        limits = "\n".join(_of_limit(ratio) for ratio in row["ratios"] if ratio["of"] == ours)
        lines.append([label, time, limits, *(_of_peer(row, peer, ours) for peer in PEERS)])
    return lines


def _of_limit(ratio: dict[str, Any]) -> str:
    """1.14 × copy (≤ 1.25)."""
    goal = "" if ratio["at most"] is None else f" (≤ {ratio['at most']:g}{'' if ratio['met'] else ', missed'})"
    return f"{ratio['ratio']:.2f} × {ratio['to']}{goal}"


def _of_peer(row: dict[str, Any], peer: str, ours: str) -> str:
    """9.3 × (≥ 8)."""
    if peer in row["absent"]:
        return row["absent"][peer].split(":")[0]
    for ratio in row["ratios"]:
        if ratio["of"] == peer and ratio["to"] == ours:
            notes = [] if ratio["at least"] is None else [f"≥ {ratio['at least']:g}"]
            notes += ["missed"] if ratio["met"] is False else []
            notes += ["ours slower"] if ratio["ratio"] < 1 else []
            return f"{ratio['ratio']:.3g} ×" + (f" ({', '.join(notes)})" if notes else "")
    return "–"


def caption(result: dict[str, Any], lang: str = "en") -> str:
    peers = [f"{name} {version}" for name, version in result["versions"].items() if version and name in NAMED]
    return f"{result['cpu']}, {result['threads']} {say('threads', lang)}, {result['date']}: {', '.join(peers)}."


NAMED = ("softxent", "numpy", "torch", "jax", "scipy")


def show(result: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    found = Table(*header(), title=result.get("title"), caption=caption(result), show_lines=True)
    for line in table(result, spread=True):
        found.add_row(*(_coloured(cell) for cell in line))
    console = Console()
    if not console.is_terminal:
        console = Console(width=180)
    if "rows" in result:
        console.print(found)
    for part, lines in (("grid", grid.table), ("plane", plane.table)):
        if result.get(part):
            head, *body = lines(result[part])
            found = Table(*head, title=TITLES[part])
            for line in body:
                found.add_row(*(cell.replace("**", "") if "**" not in cell else f"[red]{cell[2:]}" for cell in line))
            console.print(found)
    for row in result.get("rows", []):
        for name, reason in row.get("absent", {}).items():
            console.print(f"{row['row']}: {name} {reason}", style="dim", highlight=False, markup=False)


def _coloured(cell: str) -> str:
    def colour(line: str) -> str:
        style = "red" if "missed" in line or "ours slower" in line else "green" if "≤" in line or "≥" in line else ""
        return f"[{style}]{line}[/]" if style else line

    return "\n".join(map(colour, cell.split("\n")))


def markdown(result: dict[str, Any], lang: str = "en") -> str:
    lines = [header(lang), *([_marked(cell, lang) for cell in line] for line in table(result, lang))]
    notes = (
        "Median of interleaved runs; in brackets the goal.",
        "A peer's ratio is its time over ours.",
    )
    return f"{piped(lines)}\n\n{caption(result, lang)} {' '.join(say(note, lang) for note in notes)}"


def piped(lines: list[list[str]]) -> str:
    """A Markdown table: the head, then the lines, numbers to the right."""
    head, *body = lines
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, ["---"] + ["--:"] * (len(head) - 1), *body))


def _marked(cell: str, lang: str) -> str:
    bad = (say("missed", lang), say("ours slower", lang))
    return "<br>".join(f"**{part}**" if any(word in part for word in bad) else part for part in cell.split("\n"))


TITLES = {
    "grid": "Small calls: forward + backward, softxent.torch ÷ eager PyTorch (ours)",
    "plane": "The plane: the largest time an element, and at how many classes",
}


def write_pages(result: dict[str, Any]) -> list[Path]:
    """The tables between the markers of each README, and the plane of every machine in benchmarks/README.md."""
    written = []
    for lang, path in READMES.items():
        small = piped([[say(cell, lang) for cell in line] for line in grid.table(result.get("grid", []))])
        if replace_between(path, "benchmark", markdown(result, lang)) | replace_between(path, "grid", small):
            written.append(path)
    results = [load(path) for path in sorted(RESULTS.glob("*.json"))]
    planes = [f"{caption(each)}\n\n{piped(plane.table(each['plane']))}" for each in results if each.get("plane")]
    return written + [PLANES] * replace_between(PLANES, "plane", "\n\n".join(planes))


def replace_between(path: Path, marker: str, text: str) -> bool:
    if not path.exists():
        return False
    old = path.read_text(encoding="utf-8")
    new, found = re.subn(
        f"(<!-- {marker} -->).*?(<!-- /{marker} -->)", lambda m: f"{m[1]}\n{text}\n{m[2]}", old, flags=re.DOTALL
    )
    if found:
        path.write_text(new, encoding="utf-8")
    return bool(found)
