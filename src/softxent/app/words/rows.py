"""The phrases of what pushed a prediction, of `softxent.load` and of `softxent export`."""

PHRASES = {
    "what pushed": ("What pushed this prediction", "是什么推动了这个预测"),
    "pushes by": ("pushes by", "推动"),
    "other columns": ("{count} other columns", "其余 {count} 列"),
    "average row": ("the average training row", "训练数据的平均行"),
    "column lengths": (
        "{name} has columns of different lengths: {got}",
        "{name} 中各列的长度不同：{got}",
    ),
    "rows type": (
        "{name} is {got}, but must be a DataFrame, a dict of columns, or a list of rows",
        "{name} 是 {got}，应为 DataFrame、各列的字典或各行的列表",
    ),
    "row values": (
        "{name} has a row of {got} values, but the model has {expected} columns: {columns}",
        "{name} 中有一行含 {got} 个值，而模型有 {expected} 列：{columns}",
    ),
    "one row": ("row is {got} rows, but must be one", "row 有 {got} 行，应为一行"),
    "coefficients": (
        "Of each column: coefficient × (value − mean of training), of class a less of b,\n"
        "the next most probable one. + speaks for a, − for b; they add up to Σ.",
        "每列的贡献：系数 ×（值 − 训练均值），取类别 a 减去 b（概率第二大的类）。\n"
        "正数支持 a，负数支持 b；相加即得 Σ。",
    ),
    "integrated gradients": (
        "Of each column: integrated gradients from the average training row to this one,\n"
        "of class a less of b, the next most probable one. + speaks for a, − for b;\n"
        "they add up to Σ.",
        "每列的贡献：从训练数据的平均行到这一行的积分梯度，\n"
        "取类别 a 减去 b（概率第二大的类）。正数支持 a，负数支持 b；相加即得 Σ。",
    ),
}
