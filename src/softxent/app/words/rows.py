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
    # export -----------------------------------------------------------------------------------------------------------
    "about export": (
        "The model of a run as ONNX: the columns of the table go in by name, the label\n"
        "and the probabilities come out. It needs the package onnx.",
        "把训练好的模型导出为 ONNX：按列名输入表中各列，输出标签和概率。\n需要安装 onnx。",
    ),
    "FILE.onnx": ("FILE.onnx", "文件.onnx"),
    "export file": ("where to write", "写到哪个文件"),
    "onnx ending": (
        "FILE.onnx is {got}, but must end in .onnx",
        "输出文件是 {got}，扩展名应为 .onnx",
    ),
    "exported": ("Written to {file}. It takes, for each row:", "已写入 {file}。每一行的输入："),
    "onnx input 11": ("{name}: float64, NaN where missing", "{name}：float64，缺失为 NaN"),
    "onnx input 7": (
        "{name}: int64, microseconds since 1970, -2^63 where missing",
        "{name}：int64，自 1970 年起的微秒数，缺失为 -2^63",
    ),
    "onnx input 8": ("{name}: string, empty where missing", "{name}：字符串，缺失为空串"),
    "onnx outputs": (
        "and returns label, and probabilities of {classes} classes as float64.\n"
        "softxent.load(RUN).onnx_inputs(table) makes these inputs.",
        "输出 label 和 probabilities（{classes} 类的概率，float64）。\n"
        "softxent.load(模型目录).onnx_inputs(表) 可生成这些输入。",
    ),
    "onnx runtime only": (
        "Text is split into characters by an operator of ONNX Runtime's own (com.microsoft Tokenizer):\n"
        "other runtimes may lack it.",
        "文本按字符切分，用的是 ONNX Runtime 自带的算子（com.microsoft Tokenizer），其他运行时可能没有。",
    ),
    # explain ----------------------------------------------------------------------------------------------------------
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
