"""The phrases on which rows train, validate and test, and on columns that group, order or weigh them."""

PHRASES = {
    "FOLDS": ("FOLDS", "折数"),
    "train test": (
        "a file of test rows; by default a share of DATA is kept for testing",
        "测试数据文件；默认从数据中留出一部分测试",
    ),
    "train cv": (
        "test on every row, in so many folds, e.g. 5: scores are mean ± deviation; the model is trained on all rows",
        "交叉验证的折数，例如 5：每一行都参与测试，分数写成平均值 ± 标准差；\n最后的模型用全部数据训练",
    ),
    "train group": (
        "rows with the same value stay together, e.g. all rows of a patient: no group both trains and tests",
        "此列值相同的行不拆开，例如同一位病人的所有行：\n同一组不会既训练又测试",
    ),
    "train time": (
        "a date or number: the latest rows test, earlier ones train",
        "日期或数值列：用较早的行训练，最晚的行测试",
    ),
    "train weight": (
        "how much each row counts in training and in the scores, a number at least 0",
        "每行在训练和评分中所占的权重，不小于 0",
    ),
    "kind group": ("group", "分组"),
    "kind time": ("time", "时间"),
    "kind weight": ("weight", "权重"),
    "group becomes": ("no feature: its rows stay together", "不作特征：同组的行不拆开"),
    "time becomes": ("no feature: the latest rows test", "不作特征：最晚的行用来测试"),
    "weight becomes": ("no feature: how much a row counts", "不作特征：每行的权重"),
    "groups of parts": (
        "Groups of {name}: {train} to train on, {val} to validate, {test} to test",
        "{name} 的分组：训练 {train} 组，验证 {val} 组，测试 {test} 组",
    ),
    "groups of two parts": (
        "Groups of {name}: {train} to train on, {test} to test",
        "{name} 的分组：训练 {train} 组，测试 {test} 组",
    ),
    "times of parts": (
        "{name}: up to {last} to learn from, from {first} to test on",
        "{name}：{last} 及以前训练，{first} 起测试",
    ),
    "majority of training": (
        "Always saying {name}, the most frequent, would be right in {share} of the rows.",
        "总是回答最多的 {name}，能答对 {share} 的行。",
    ),
    "nothing tested": (
        "Nothing was tested: all rows trained, so how good the model is on others is not known.\n"
        "softxent evaluate tells on other rows with labels, --cv 5 on these.",
        "没有作测试：全部数据都用来训练了，模型在别的数据上有多好，无从得知。\n"
        "可以用 softxent evaluate 在别的带标签的数据上检验，或者用 --cv 5 作交叉验证。",
    ),
    "fact folds": ("folds of cross-validation", "交叉验证折数"),
    "fact split": ("split", "拆分"),
    "fact weight": ("weight of a row", "行的权重"),
    "folds tested": (
        "{folds} folds: {rows} rows, each predicted by a model that has not seen it\n"
        "(mean over the folds ± standard deviation)",
        "{folds} 折交叉验证：共 {rows} 行，每一行都由没见过它的模型预测\n（各折的平均值 ± 标准差）",
    ),
    # Notes ----------------------------------------------------------------------------------------------------------
    "only later": (
        "{names} of {target} is in the latest rows only, unknown to training: {rows} test rows are not scored",
        "{target} 的 {names} 只出现在最晚的行里，训练时无从得知：有 {rows} 行测试数据不计分",
    ),
    "shared groups": (
        "{shared} groups of {name} are in the training rows and in {got}: the scores may be too good",
        "{name} 有 {shared} 组既在训练数据里又在 {got} 里：分数可能偏高",
    ),
    # Mistakes -------------------------------------------------------------------------------------------------------
    "choose one": (
        "{option} and {other} cannot stand together: both say {what}",
        "{option} 和 {other} 不能同时使用：二者都决定{what}",
    ),
    "what to test": ("which rows test", "用哪些行测试"),
    "what to split by": ("which rows must not be parted", "怎样拆分数据"),
    "role twice": ("{option} is {name}, which is {other} already", "{option} 是 {name}，但它已用作 {other}"),
    "no role": (
        "{option} names a column, but {got} has none with a name",
        "{option} 要给出列名，但 {got} 中的列没有名字",
    ),
    "one time": (
        "--time is {name}, which has one value only: nothing is earlier or later",
        "--time 是 {name}，但它只有一个值，分不出先后",
    ),
    "no time": (
        "--time is {name}, which must have dates or numbers, but has {got}",
        "--time 是 {name}，应为日期或数值列，但其中有 {got}",
    ),
    "few groups": (
        "--group is {name}, which has too few groups ({groups}) for each class to train and some rows to test",
        "--group 是 {name}，它的组太少（{groups} 组）：无法让每一类都有行训练、同时又有行测试",
    ),
    "row weight": (
        "--weight is {name}, which has {got} {place}, but must have finite numbers at least 0",
        "--weight 是 {name}，{place}的值是 {got}，应为不小于 0 的有限数",
    ),
    "nothing": ("nothing", "空"),
    "weight missing": (
        "{got} has no column {name}, which gave the weight of each row in training; {near}",
        "{got} 没有 {name} 这一列，而训练时用它作每行的权重；{near}",
    ),
    "no weight trains": (
        "--weight is {name}, which is 0 in all rows that train",
        "--weight 是 {name}，但训练用的行权重全是 0",
    ),
    "no weight tests": (
        "--weight is {name}, which is 0 in all rows that test",
        "--weight 是 {name}，但测试用的行权重全是 0",
    ),
    "one class trains": (
        "{target} is {name} in all {rows} rows that train, but must have at least 2 classes there",
        "{target} 在训练用的 {rows} 行中都是 {name}，应至少有 2 类",
    ),
    "whole at least": ("a whole number at least 2", "不小于 2 的整数"),
}
