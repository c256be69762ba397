"""The phrases of `explain`, in English and Chinese: its story, and its errors."""

from softxent import words

PHRASES = {
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
}

words.PHRASES.update(PHRASES)
