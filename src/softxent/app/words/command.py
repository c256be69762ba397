"""The phrases of the command line and of `softxent explain`: help, and errors in what was typed."""

PHRASES = {
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
    "FILE.html": ("FILE.html", "文件.html"),
    "option help": ("show this help", "显示本帮助"),
    "option lang": (
        "the language of every word; by default from LC_ALL, LC_MESSAGES or LANG",
        "所有文字的语言；默认取自 LC_ALL、LC_MESSAGES 或 LANG",
    ),
    "option version": ("show the version", "显示版本号"),
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
    "explain html": (
        "write the explorer page with these scores to a file, to look at in a browser",
        "把这组分数写进探索页，存为文件，用浏览器打开",
    ),
    "explain json": ("every number in full, as JSON", "以 JSON 输出全部数字，不舍入"),
    "about check": (
        "The doctor: says what is wrong with your own loss and gradient, or that they\n"
        "are right, to how many ULP. It exits with 1 if it finds something.",
        "给你自己写的损失和梯度看病：指出错在哪里，或确认正确、误差多少 ULP。\n发现问题时退出码为 1。",
    ),
    "FILE.npz|MODULE:FUNCTION": ("FILE.npz|MODULE:FUNCTION", "文件.npz|模块:函数"),
    "check subject": (
        "a file with the arrays logits, target, your loss and grad, or one of the two, and class_weight if it has any; "
        "or your function of (logits, target), which is tried on random logits",
        "含有数组 logits、target 以及你的 loss、grad（至少一个）的文件，有类别权重则加上 class_weight；"
        "或者你的函数，参数为 (logits, target)，用随机的 logits 来试",
    ),
    "check axis": ("the axis of the classes (default -1)", "类别所在的轴（默认 -1）"),
    "check ignore index": ("the target of rows that do not count (default -100)", "不计数的行的目标值（默认 -100）"),
    "check label smoothing": ("ε that your loss is meant to have (default 0)", "你的损失所用的标签平滑 ε（默认 0）"),
    "check temperature": ("T that divides the logits (default 1)", "logits 先除以 T（默认 1）"),
    "check softcap": ("c of c·tanh(logits / c) (default: none)", "c·tanh(logits / c) 的 c（默认不用）"),
    "check z loss": ("λ of λ·lse² (default 0)", "λ·lse² 的 λ（默认 0）"),
    "check reduction": (
        "none, sum or mean, as your loss is meant to be (default mean)",
        "你的损失应有的归约方式：none、sum 或 mean（默认 mean）",
    ),
    "check normalizer": ("the divisor of your mean, if it is another", "均值所用的除数，若与默认不同"),
    "check json": ("the diagnosis as JSON", "以 JSON 输出诊断"),
    "check file": (
        "{got} must be a NumPy .npz file with logits, target, and loss or grad: {why}",
        "{got} 应为 NumPy .npz 文件，含有 logits、target，以及 loss 或 grad：{why}",
    ),
    "check module": (
        "{got} must be MODULE:FUNCTION, a function of (logits, target) in a module of this folder: {why}",
        "{got} 应为 模块:函数，即当前目录下某模块中以 (logits, target) 为参数的函数：{why}",
    ),
    "no module": ("importing it failed: {error}", "导入失败：{error}"),
    "no function": ("it has no function {name}", "其中没有函数 {name}"),
    "check raised": ("{got} raised {error} for a batch of {batch}", "{got} 在 {batch} 这一批上抛出了 {error}"),
    "check input": ("{error}", "输入有误：{error}"),
    "batch": (
        "{rows} × {classes}, {dtype}, logits {about} ± {size}",
        "{rows} × {classes}，{dtype}，logits 为 {about} ± {size}",
    ),
    "whole": ("a whole number", "整数"),
    "from 0 to 1": ("a number from 0 to 1", "0 到 1 的数"),
    "a reduction": ("none, sum or mean", "none、sum 或 mean"),
    "about explore": (
        "Opens a page to explore softmax, cross-entropy and p − y by hand: eight screens, offline.",
        "打开探索页，亲手体会 softmax、交叉熵和 p − y：共八屏，不联网。",
    ),
    "page opened": ("{page} is open in the browser.", "已在浏览器中打开 {page}。"),
    "no browser": ("There is no browser here. The page is {page}", "这里没有浏览器。页面文件是 {page}"),
    "page written": ("{page} has these scores: open it in a browser.", "{page} 已写入这组分数，请用浏览器打开。"),
    "page classes": (
        "scores has {got} classes, but the page shows {most} at most",
        "scores 有 {got} 类，但页面最多显示 {most} 类",
    ),
    "page finite": (
        "scores[{index}] is {got}, but the page needs finite numbers",
        "scores[{index}] 是 {got}，但页面只接受有限的数",
    ),
    "page temperature": (
        "temperature is {got:g}, but the page has {least:g} … {most:g}",
        "temperature 是 {got:g}，但页面的范围是 {least:g} … {most:g}",
    ),
    "html of json": (
        "--html writes a page and --json prints numbers: choose one",
        "--html 写页面，--json 输出数字：两者只能选一",
    ),
    "example": ("Example: {command}", "例如：{command}"),
    "no such option": ("there is no option {got}", "没有 {got} 这个选项"),
    "no such option, near": (
        "there is no option {got}; did you mean {near}?",
        "没有 {got} 这个选项；是不是 {near}？",
    ),
    "no such command": (
        "there is no command {got}, but there is {known}",
        "没有 {got} 这个命令，可用的命令：{known}",
    ),
    "no such command, near": (
        "there is no command {got}; did you mean {near}?",
        "没有 {got} 这个命令；是不是 {near}？",
    ),
    "no argument": ("{name} is missing: see --help", "缺少 {name}：请看 --help"),
    "extra argument": ("there is no place for {got}: see --help", "多余的参数 {got}：请看 --help"),
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
    "arrays missing": ("it has no {names}; its arrays: {found}", "其中没有 {names}；它含有的数组：{found}"),
    "missing package": (
        'the command needs {package}, which is not installed: pip install ".[{extras}]" in a clone of softxent',
        '命令行需要 {package}，但没有安装：请在 softxent 的克隆里运行 pip install ".[{extras}]"',
    ),
    "cannot print": ("standard output cannot be written: {why}", "无法写到标准输出：{why}"),
    "system": ("the system says {why}", "系统报告 {why}"),
    "no memory": (
        "there is not enough memory: use fewer rows or columns, or a larger machine",
        "内存不足：请减少行或列，或换内存更大的机器",
    ),
    "our mistake": (
        "softxent failed, and the mistake is ours: {what}. Please report it with the command that you typed.",
        "softxent 出错了，这是我们的问题：{what}。请把所用的命令一并报告给我们。",
    ),
}
