"""The notes of softxent.app.advice."""

PHRASES = {
    "single example": (
        "class {name} has 1 example, so it cannot be tested: add some, merge it with another class, or remove it",
        "类别 {name} 只有 1 个样本，无法测试：请补充样本、并入别的类别或删去",
    ),
    "single examples": (
        "{classes} classes have 1 example each, so they cannot be tested: add some, merge or remove them: {names}",
        "有 {classes} 个类别各只有 1 个样本，无法测试：请补充样本、合并或删去：{names}",
    ),
    "identifier": (
        "column {name} differs in every row: if it only names the row, leave it out with --drop {name}",
        "列 {name} 每行都不同：如果它只是编号，请用 --drop {name} 去掉",
    ),
    "identifiers": (
        "columns {names} differ in every row: those that only name the row can be left out with --drop {drop}",
        "列 {names} 每行都不同：其中只是编号的，请用 --drop {drop} 去掉",
    ),
    "quantity": (
        "{target} has {classes} different numbers in {rows} rows, and each is a class here: if it is a quantity, "
        "put it into bins first, e.g. in pandas: {code}",
        "{target} 在 {rows} 行中有 {classes} 个不同的数，这里把每个数当作一类：如果它是连续的量，"
        "请先分成几档，例如用 pandas：{code}",
    ),
    "many numbers": (
        "{target} has {classes} different numbers in {rows} rows, but must have classes, with several rows each: put "
        "them into bins first, e.g. in pandas: {code}",
        "{target} 在 {rows} 行中有 {classes} 个不同的数，应为类别，每类有若干行：请先分成几档，例如用 pandas：{code}",
    ),
    "same as target": (
        "column {name} says the same as {target}: a likely leak. If it is not known before, leave it out "
        "with --drop {drop}",
        "列 {name} 与 {target} 一一对应，很可能泄露了答案：如果预测时还不知道它，请用 --drop {drop} 去掉",
    ),
    "decisive alone": (
        "column {name} alone tells {target} in {share} of the training rows: a likely leak. If it is not known before, "
        "leave it out with --drop {drop}",
        "单凭列 {name} 就能答对 {share} 训练数据的 {target}，很可能泄露了答案：如果预测时还不知道它，"
        "请用 --drop {drop} 去掉",
    ),
    "many leaks": (
        "each of {columns} columns alone tells {target}, likely leaks: {names}. Leave out with --drop those that are "
        "not known before",
        "有 {columns} 列单凭自己就能答出 {target}，很可能泄露了答案：{names}。预测时还不知道的列，请用 --drop 去掉",
    ),
    "duplicates": (
        "test rows that also train, equal in every column and the label: {rows} of {of}. If they are copies, the "
        "scores are too good",
        "{of} 行测试数据中有 {rows} 行与某一训练行完全相同（包括标签）：如果是重复的数据，分数会偏高",
    ),
    "learned nothing": (
        "{what}: on the very rows that trained it, its log-loss is {loss}, that of class "
        "frequencies alone {baseline} (it is right in {right}, one class for all in {guess}): {remedy}",
        "{what}：即使在训练数据上，对数损失也有 {loss}，而只按类别频率作答是 {baseline}"
        "（答对 {right}，总答同一类答对 {guess}）：{remedy}",
    ),
    "knows nothing": ("the model has learned nothing", "模型什么也没学到"),
    "probabilities worth nothing": ("the model's probabilities are worth nothing", "模型给出的概率毫无价值"),
    "lower lr": ("lower --lr (now {lr})", "请减小 --lr（现为 {lr}）"),
    "no remedy": (
        "the columns may tell nothing about the target",
        "这些列可能与目标无关",
    ),
    "not below baseline": (
        "the log-loss {loss} is not below the baseline's {baseline}: here the probabilities are worth no more than the "
        "class frequencies alone",
        "对数损失 {loss} 不低于基线的 {baseline}：在这些数据上，模型给出的概率不比类别频率本身更有价值",
    ),
}
