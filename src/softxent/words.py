"""Every word that `softxent explain` and the command say, in English and in Chinese, side by side."""

from __future__ import annotations

import os
from collections.abc import Mapping

LANGUAGES = ("en", "zh")


def language(environment: Mapping[str, str] = os.environ) -> str:
    """`zh` or `en`: the first of LC_ALL, LC_MESSAGES and LANG that is set decides, as in POSIX.

    >>> language({"LC_ALL": "", "LANG": "zh_CN.UTF-8"}), language({"LC_ALL": "C", "LANG": "zh_CN.UTF-8"})
    ('zh', 'en')
    """
    names = [environment.get(name, "") for name in ("LC_ALL", "LC_MESSAGES", "LANG")]
    return "zh" if next(filter(None, names), "").startswith("zh") else "en"


def say(lang: str, phrase: str, **values: object) -> str:
    """The phrase in that language.

    >>> say("zh", "classes hidden", hidden=40, classes=50)
    '共 50 类，这里略去 40 类；完整的数字见 to_dict() 或 --json。'
    """
    return PHRASES[phrase][LANGUAGES.index(lang)].format(**values)


class Mistake(ValueError):
    """A mistake of the user's: in English where Python shows it, in the user's language where the command does.

    >>> Mistake("target range", got=7, classes=3, last=2)
    Mistake('target is 7, but scores has 3 classes (0 … 2)')
    """

    def __init__(self, phrase: str, **values: object) -> None:
        self.phrase, self.values = phrase, values
        super().__init__(self.say("en"))

    def say(self, lang: str) -> str:
        return say(lang, self.phrase, **self.values)


PHRASES = {
    # The story ------------------------------------------------------------------------------------------------------
    "story": (
        "{classes} scores, target: class {target} (classes are counted from 0)",
        "{classes} 个分数，目标：类别 {target}（类别从 0 数起）",
    ),
    "story of names": ("{classes} scores, target: {target}", "{classes} 个分数，目标：{target}"),
    "target assumed": (
        "No target was given: the class with the largest score is taken.",
        "没有给出目标，取分数最大的一类。",
    ),
    "truncated": (
        "As in the article, numbers are truncated, not rounded, to three digits.",
        "与教程一致：数字截断（不是四舍五入）到小数点后三位。",
    ),
    "class": ("class", "类别"),
    "score": ("score {s}", "分数 {s}"),
    "classes hidden": (
        "{hidden} of the {classes} classes are not shown here; all are in to_dict() and --json.",
        "共 {classes} 类，这里略去 {hidden} 类；完整的数字见 to_dict() 或 --json。",
    ),
    "layer": ("The linear layer", "线性层"),
    "layer shape": (
        "W has {classes} rows (classes) and {features} columns (features).",
        "W 有 {classes} 行（类别）、{features} 列（特征）。",
    ),
    "softmax": ("From scores to probabilities", "从分数到概率"),
    "shift": (
        "Subtracting the largest, {m}, changes no p, and exp cannot overflow.",
        "先减去最大值 m = {m}：概率不变，exp 也不会溢出。",
    ),
    "masked": ("−∞ is a mask: that class has probability 0 and gradient 0.", "−∞ 表示屏蔽：该类的概率为 0，梯度为 0。"),
    "undefined": (
        "No softmax: a score is NaN or +∞, or all are −∞. The story ends here.",
        "这组分数没有 softmax：含有 NaN 或 +∞，或全部为 −∞。推导到此为止。",
    ),
    "sampling": ("Hard max and soft max", "硬最大与软最大"),
    "hard max": ("hard max", "硬最大"),
    "soft max": ("soft max p", "软最大 p"),
    "draws": ("drawn", "抽中次数"),
    "sampling note": (
        "The hard max always takes the largest score. The soft max draws class j with\n"
        "probability p_j: here {draws} times (sample, seed {seed}).",
        "硬最大总是取分数最大的一类；软最大以概率 p_j 抽取第 j 类：\n这里抽了 {draws} 次（sample，随机种子 {seed}）。",
    ),
    "loss": ("The loss: how surprising is the target?", "损失：目标有多出人意料？"),
    "nats": ("nats", "奈特（nat）"),
    "loss masked": (
        "The target is masked: its probability is 0, so the loss is ∞.",
        "目标被屏蔽，概率为 0，因此损失为 ∞。",
    ),
    "jacobian": ("The derivative of softmax: two cases", "softmax 的导数：两种情形"),
    "jacobian marks": (
        "[ ] on the diagonal, i = j; the rest off it. ▸ the row that the loss needs",
        "[ ] 在对角线上，i = j；其余在对角线外。▸ 损失要用的那一行",
    ),
    "jacobian formula": (
        "∂p_j/∂z_i = p_j(1 − p_j) if i = j,  −p_j·p_i if i ≠ j",
        "∂p_j/∂z_i = p_j(1 − p_j)（i = j），−p_j·p_i（i ≠ j）",
    ),
    "jacobian hidden": (
        "{shown} × {shown} of {classes} × {classes} entries are shown: the target and the most probable.",
        "共 {classes} × {classes} 项，这里只列 {shown} × {shown} 项：目标和概率最大的几类。",
    ),
    "chain rule": ("The chain rule, back to the scores: p − y", "链式法则，一直传回分数：p − y"),
    "chain note": (
        "Row y times −1/p_y = {factor}: p_y cancels, and p − y is left.",
        "第 y 行乘以 −1/p_y = {factor}：p_y 约去，只剩下 p − y。",
    ),
    "chain by zero": (
        "p_y is 0 in float64: −1/p_y cannot be computed, but p − y needs no division.",
        "p_y 在 float64 里为 0，−1/p_y 无法计算；而 p − y 不需要除法。",
    ),
    "gradient": ("gradient", "梯度"),
    "product": ("× (−1/p_y)", "× (−1/p_y)"),
    "check": ("Is it right? A finite-difference check", "对不对？用有限差分检验"),
    "finite difference": ("finite difference", "有限差分"),
    "difference": ("apart by", "相差"),
    "largest difference": (
        "Moving one score at a time by h = {h} agrees to within {worst}.",
        "每次只移动一个分数 h = {h}，两者最多相差 {worst}。",
    ),
    "no check": (
        "No loss was finite on both sides, so there is nothing to compare.",
        "两侧没有有限的损失值，无从比较。",
    ),
    "unmoved": (
        "nan: a score too large for h = {h} to change it, or an infinite loss.",
        "nan：分数太大，加上 h = {h} 也不变；或者损失为无穷大。",
    ),
    "step": ("One gradient step", "走一步梯度下降"),
    "before": ("p before", "之前的 p"),
    "after": ("p after", "之后的 p"),
    "score after": ("{s} after", "之后的 {s}"),
    "loss fell": ("loss {before} → {after}: it fell by {fall}.", "损失 {before} → {after}：下降了 {fall}。"),
    "loss stayed": ("loss {before} → {after}.", "损失 {before} → {after}。"),
    "layer gradients": ("Back through the linear layer", "继续传回线性层"),
    "layer hidden": (
        "{rows} × {columns} of {classes} × {features} entries are shown; all are in to_dict() and --json.",
        "共 {classes} × {features} 项，这里只列 {rows} × {columns} 项；完整的数字见 to_dict() 或 --json。",
    ),
    # Mistakes -------------------------------------------------------------------------------------------------------
    "scores numbers": (
        "scores is {got}, but must be one row of real numbers",
        "scores 是 {got}，应为一行实数",
    ),
    "scores shape": (
        "scores has shape {got}, but must be (V,): one row, one score a class",
        "scores 的形状是 {got}，应为 (V,)：一行，每类一个分数",
    ),
    "scores count": (
        "scores has {got} classes, but must have 1 … {most}: the Jacobian has classes × classes numbers",
        "scores 有 {got} 类，应为 1 … {most} 类：雅可比矩阵的大小是类别数的平方",
    ),
    "target type": (
        "target is {got}, but must be an integer or one of the labels",
        "target 是 {got}，应为整数或 labels 中的一个名字",
    ),
    "target name": (
        "target is {got}, but must be an index (0 … {last}) or one of the labels: {labels}",
        "target 是 {got}，应为下标（0 … {last}）或 labels 中的一个名字：{labels}",
    ),
    "target nameless": (
        "target is {got}, but must be an index (0 … {last}); for a name, give labels too",
        "target 是 {got}，应为下标（0 … {last}）；要用名字，请同时给出 labels",
    ),
    "target range": (
        "target is {got}, but scores has {classes} classes (0 … {last})",
        "target 是 {got}，但 scores 只有 {classes} 类（0 … {last}）",
    ),
    "temperature": (
        "temperature is {got}, but must be a finite number above 0",
        "temperature 是 {got}，应为大于 0 的有限数",
    ),
    "labels count": (
        "labels has {got} names, but scores has {classes} classes",
        "labels 有 {got} 个名字，但 scores 有 {classes} 类",
    ),
    "labels twice": (
        "labels[{index}] is {got} again, but must be a name of its own for each class",
        "labels[{index}] 又是 {got}，应为每类一个不同的名字",
    ),
    "layer numbers": (
        "{name} is {got}, but must be an array of real numbers",
        "{name} 是 {got}，应为实数数组",
    ),
    "layer shapes": (
        "x, W, b have shapes {x}, {W}, {b}, but must have (D,), (V, D), (V,): the scores are W x + b",
        "x、W、b 的形状是 {x}、{W}、{b}，应为 (D,)、(V, D)、(V,)：分数是 W x + b",
    ),
    # The command ----------------------------------------------------------------------------------------------------
    "error": ("error: {message}", "错误：{message}"),
    "usage": ("Usage: ", "用法："),
    "arguments": ("Arguments", "参数"),
    "options": ("Options", "选项"),
    "commands": ("Commands", "命令"),
    "[OPTIONS]": ("[OPTIONS]", "[选项]"),
    "COMMAND": ("COMMAND", "命令"),
    "[SCORE]...": ("[SCORE]...", "[分数]..."),
    "INDEX|NAME": ("INDEX|NAME", "下标|名字"),
    "FILE.npz": ("FILE.npz", "文件.npz"),
    "option help": ("show this help", "显示本帮助"),
    "option lang": (
        "the language of every word; by default from LC_ALL, LC_MESSAGES or LANG",
        "所有文字的语言；默认取自 LC_ALL、LC_MESSAGES 或 LANG",
    ),
    "about softxent": (
        "Softmax, cross-entropy and its gradient p − y, done exactly.",
        "精确地计算 softmax、交叉熵和它的梯度 p − y。",
    ),
    "about explain": (
        "Every step from scores to probabilities, loss and gradient, with its numbers,\n"
        "computed by the same code that trains models.",
        "从分数到概率、损失和梯度，逐步给出每个数。\n计算用的就是训练模型的那份代码。",
    ),
    "explain scores": (
        "one score a class, e.g. 1 5 3; -inf is a mask; left out with --layer",
        "每类一个分数，例如 1 5 3；-inf 表示屏蔽；使用 --layer 时不写",
    ),
    "explain target": (
        "the right class: its index from 0, or its name from --labels; by default the largest score's",
        "正确的类别：从 0 数起的下标，或 --labels 中的名字；\n默认取分数最大的一类",
    ),
    "explain labels": ("the names of the classes, with commas between", "各类的名字，用逗号隔开"),
    "explain temperature": (
        "divides the scores: > 1 flattens p, < 1 sharpens it (default 1)",
        "分数先除以 T：大于 1 使 p 更平，小于 1 使 p 更尖；\n默认 1",
    ),
    "explain layer": (
        "x, W and b in a NumPy file: the scores are W x + b, and the gradient goes on to W, b and x",
        "存有 x、W、b 的 NumPy 文件：分数是 W x + b，\n梯度继续传到 W、b 和 x",
    ),
    "explain style": (
        "article: numbers truncated to three digits, as in the tutorial; exact: six digits (default)",
        "article：像教程那样截断到三位；exact：六位小数（默认）",
    ),
    "explain json": ("every number in full, as JSON", "以 JSON 输出全部数字，不舍入"),
    "example": ("Example: {command}", "例如：{command}"),
    "no such option": ("there is no option {got}", "没有 {got} 这个选项"),
    "no such command": (
        "there is no command {got}, but there is {commands}",
        "没有 {got} 这个命令，可用的命令：{commands}",
    ),
    "no value": ("{option} came without a value", "{option} 后面缺少值"),
    "value given": ("{option} takes no value", "{option} 后面不带值"),
    "bad usage": ("{message}", "命令行有误：{message}"),
    "lang": ("lang is {got}, but must be en or zh", "lang 是 {got}，应为 en 或 zh"),
    "style": ("style is {got}, but must be exact or article", "style 是 {got}，应为 exact 或 article"),
    "style of json": (
        "style is article, but --json gives every number in full: choose one",
        "style 是 article，但 --json 输出完整的数字：两者只能选一",
    ),
    "number": ("{name} is {got}, but must be a number", "{name} 是 {got}，应为一个数"),
    "scores missing": (
        "scores is empty, but must have at least one number, e.g. softxent explain 1 5 3",
        "没有给出 scores，应至少有一个数，例如 softxent explain 1 5 3",
    ),
    "scores and layer": (
        "scores has {got} numbers, but must have none beside --layer, whose scores are W x + b",
        "scores 有 {got} 个数，但使用 --layer 时不应给出：分数就是 W x + b",
    ),
    "layer file": (
        "layer is {got}, but must be a NumPy .npz file with x, W and b: {why}",
        "layer 是 {got}，应为含有 x、W、b 的 NumPy .npz 文件：{why}",
    ),
    "no such file": ("there is no such file", "没有这个文件"),
    "unreadable": ("NumPy cannot read it", "NumPy 无法读取"),
    "layer missing": ("it has no {names}", "其中没有 {names}"),
    "missing package": (
        'the command needs {package}, which is not installed: pip install "softxent[cli]"',
        '命令行需要 {package}，但没有安装：pip install "softxent[cli]"',
    ),
    "our mistake": (
        "softxent failed, and the mistake is ours: {what}. Please report it with the command that you typed.",
        "softxent 出错了，这是我们的问题：{what}。请把所用的命令一并报告给我们。",
    ),
}
