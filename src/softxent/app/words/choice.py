"""The phrases of the choice of a model, and of its comparison with others."""

PHRASES = {
    "MODEL": ("MODEL", "模型"),
    "train model": (
        "linear, network, or auto (default): a linear model and networks of 32 and 128 units "
        "are fitted on folds of the training rows; the lowest log-loss on the rows left out wins",
        "linear（线性）、network（网络）或 auto（默认）：在训练数据上做交叉验证，"
        "比较线性模型和 32、128 个单元的网络，取留出数据上对数损失最低者",
    ),
    "train hidden": (
        "units of the hidden layers of a network, e.g. 64,32, which a tenth of the rows stops early; 0: linear",
        "指定网络各隐藏层的单元数，例如 64,32，并留出十分之一的数据用于提前停止；0 表示线性模型",
    ),
    "train alpha": (
        "α of the penalty α/2·‖W‖² on the mean loss, or auto (default): a linear model's by folds",
        "平均损失上惩罚项 α/2·‖W‖² 的 α；auto（默认）：线性模型用交叉验证选取",
    ),
    "train lr": (
        "learning rate of Adam, for networks (default 0.005; with --hidden 0.001)",
        "训练网络时 Adam 的学习率（默认 0.005；指定 --hidden 时 0.001）",
    ),
    "rows line without validation": (
        "{train} rows to train on, {test} to test",
        "训练 {train} 行，测试 {test} 行",
    ),
    "chosen by folds": (
        "Chosen by log-loss in {folds}-fold validation on the training rows",
        "在训练数据上做 {folds} 折交叉验证，按对数损失选择",
    ),
    "chosen by rows": (
        "Chosen by log-loss on {rows} validation rows",
        "按 {rows} 行验证数据上的对数损失选择",
    ),
    "linear at": ("linear, α = {alpha}", "线性，α = {alpha}"),
    "network at": ("network of {units} units, {epochs} epochs", "{units} 个单元的网络，{epochs} 轮"),
    "chosen": ("← chosen", "← 选中"),
    "simpler kept": (
        "A network's advantage is within its standard error: the linear model is kept.",
        "网络的优势在一个标准误之内，因此保留线性模型。",
    ),
    "training step": ("step {number}", "第 {number} 步"),
    "log-loss so far": ("log-loss {loss:.4f}", "对数损失 {loss:.4f}"),
    "choice stopped": (
        "stopped by Ctrl-C while models were tried; the best so far is trained",
        "按 Ctrl-C 停止了模型比较；改用目前最好的一个来训练",
    ),
    "nothing to choose by": (
        "too few rows to choose α by: {alpha} is taken",
        "行数太少，无法选取 α：取 {alpha}",
    ),
    "train compare": (
        "also fit scikit-learn's models on the same rows and features, and say which is best",
        "再用同样的数据和特征训练 scikit-learn 的几个模型，并说明哪个最好",
    ),
    "compared": (
        "Beside scikit-learn's models, on the same {rows} test rows and features",
        "与 scikit-learn 的模型相比：同样的 {rows} 行测试数据、同样的特征",
    ),
    "in seconds": ("seconds", "秒"),
    "best": ("best", "最好"),
    "tie": ("tie", "不分上下"),
    "worse": ("worse", "较差"),
    "ours is best": (
        "softxent has the lowest log-loss. A tie is a difference within two standard errors.",
        "softxent 的对数损失最低。差距在两个标准误之内算不分上下。",
    ),
    "ours ties": (
        "{name} has the lowest log-loss, but softxent is within two standard errors of it: a tie.",
        "{name} 的对数损失最低，但 softxent 与它的差距在两个标准误之内：不分上下。",
    ),
    "other is best": (
        "{name} is better on this table, by more than two standard errors: take it.",
        "在这张表上 {name} 更好，差距超过两个标准误：请用它。",
    ),
    "nothing to compare on": (
        "--compare is asked for, but there are no test rows to compare models on: leave {option} out",
        "用了 --compare，但没有可供比较的测试数据：请去掉 {option}",
    ),
    "model option": (
        "--model is {got}, but must be auto, linear or network",
        "--model 是 {got}，应为 auto、linear 或 network",
    ),
    "model and hidden": (
        "--model is {got}, but --hidden is {hidden}: leave one of them out",
        "--model 是 {got}，而 --hidden 是 {hidden}：请去掉其中一个",
    ),
}
