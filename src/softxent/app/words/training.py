"""The phrases of `train`, `predict` and `evaluate`, and of `explain` with a model; the errors in a training."""

PHRASES = {
    # Training -------------------------------------------------------------------------------------------------------
    "about train": (
        "Trains a classifier on a table with a column of labels: softmax and\n"
        "cross-entropy on top of zero or more hidden layers.\n"
        "Without DATA: on scikit-learn's digits.",
        "用一张带标签列的表训练分类器：零个或多个隐藏层，顶上是 softmax + 交叉熵。\n"
        "不给数据时，用 scikit-learn 自带的手写数字。",
    ),
    "[DATA]...": ("[DATA]...", "[数据]..."),
    "COLUMN": ("COLUMN", "列名"),
    "A,B": ("A,B", "甲,乙"),
    "FILE": ("FILE", "文件"),
    "DIR": ("DIR", "目录"),
    "RUN": ("RUN", "模型目录"),
    "NEW...": ("NEW...", "新数据..."),
    "TEST...": ("TEST...", "测试数据..."),
    "NUMBER": ("NUMBER", "数"),
    "SHARE": ("SHARE", "比例"),
    "WEIGHTS": ("WEIGHTS", "权重"),
    "train data": (
        "CSV and other text (encoding and delimiter are found), Excel (FILE.xlsx:SHEET), Parquet, Arrow, JSON, "
        ".npz or svmlight, packed or not; - for standard input; several files, or a folder, with the same columns",
        "CSV 等文本（自动识别编码和分隔符）、Excel（文件.xlsx:工作表）、Parquet、Arrow、JSON、.npz 或 svmlight，"
        "压缩过的也行；- 表示标准输入；也可以给出列相同的多个文件或一个目录",
    ),
    "train target": (
        "the column to predict; svmlight has it in its format",
        "要预测的列；svmlight 的格式里已有标签",
    ),
    "train drop": (
        "columns to leave out, with commas between; of a name with commas in it: --drop 'NAME'",
        "不使用的列，用逗号隔开；列名本身含逗号时写 --drop '列名'",
    ),
    "train epochs": (
        "at most so many passes over the rows (default 500; without hidden layers 1000)",
        "最多遍历数据多少遍（默认 500；没有隐藏层时 1000）",
    ),
    "train batch size": (
        "rows in a mini-batch, with hidden layers (default 16 … 200: a twentieth of the rows)",
        "小批量的行数，有隐藏层时用（默认为行数的二十分之一，16 … 200）",
    ),
    "train class weight": (
        "balanced: rare classes count more; or cat=2,dog=1",
        "balanced：少见的类别权重更大；或 猫=2,狗=1",
    ),
    "train val": (
        "a file of validation rows; by default a tenth of the rows that are not tested",
        "验证数据文件；默认取测试之外的十分之一",
    ),
    "train test size": (
        "the share of the rows to test on (default 0.2); 0 trains on all rows and tests nothing",
        "留作测试的比例（默认 0.2）；0 表示全部用来训练，不作测试",
    ),
    "train seed": ("of the split, the first weights and the order of the rows (default 0)", "随机种子（默认 0）"),
    "train out": ("where to save the run (default runs/NAME OF DATA)", "保存到哪里（默认 runs/数据名）"),
    "train force": (
        "replace the run in the folder, even if it is of another table or target",
        "即使目录里是另一张表或另一个目标的模型，也覆盖它",
    ),
    "train json": ("the metrics as JSON instead of the tables", "以 JSON 输出指标，不输出表格"),
    "data": ("{name}: {rows} rows, {columns} columns ({about})", "{name}：{rows} 行，{columns} 列（{about}）"),
    "column": ("column", "列"),
    "kind": ("is", "类型"),
    "treatment": ("becomes", "处理"),
    "missing": ("missing", "缺失"),
    "kind number": ("number", "数值"),
    "kind category": ("category", "类别"),
    "kind date": ("date", "日期"),
    "kind text": ("text", "文本"),
    "kind empty": ("empty", "空"),
    "kind constant": ("constant", "常数"),
    "kind sparse": ("sparse numbers", "稀疏数值"),
    "kind dropped": ("dropped", "已去掉"),
    "number becomes": ("standardised", "标准化"),
    "number with missing becomes": ("standardised; missing: the mean, marked", "标准化；缺失取均值，并加标记"),
    "category becomes": ("0 or 1 for each of {distinct} values", "{distinct} 个值各一个 0/1"),
    "date becomes": ("year, month, day … and seconds", "年、月、日等，以及秒数"),
    "text becomes": ("30 numbers (TF-IDF, SVD)", "30 个数（TF-IDF、SVD）"),
    "empty becomes": ("left out: it has no values", "不使用：没有任何值"),
    "constant becomes": ("left out: it is always the same", "不使用：总是同一个值"),
    "sparse becomes": ("{distinct} features, each over its largest", "{distinct} 个特征，各除以自己的最大值"),
    "dropped becomes": ("left out: --drop", "不使用：--drop"),
    "class rows": ("rows", "行数"),
    "class share": ("share", "比例"),
    "more classes": ("… and {hidden} more", "…… 另有 {hidden} 类"),
    "target line": ("Target {target}: {classes} classes", "目标 {target}：{classes} 类"),
    "majority": (
        "Always saying {name}, the most frequent in training, would be right in {share} of the test rows.",
        "总是回答训练中最多的 {name}，能答对测试数据的 {share}。",
    ),
    "rows line": (
        "{train} rows to train on, {val} to validate, {test} to test",
        "训练 {train} 行，验证 {val} 行，测试 {test} 行",
    ),
    "model line": ("Model: {model}", "模型：{model}"),
    "linear": ("{units}, multinomial logistic regression", "{units}，多类逻辑回归"),
    "network": ("{units}, ReLU between", "{units}，层间为 ReLU"),
    "training": ("Training", "训练"),
    "loss so far": ("loss {loss:.4f}", "损失 {loss:.4f}"),
    "accuracy so far": ("validation accuracy {accuracy:.3f}", "验证准确率 {accuracy:.3f}"),
    "time left": ("at most {time} left", "最多还剩 {time}"),
    "trained": ("{epochs} epochs in {time:.1f} s", "{epochs} 轮，用时 {time:.1f} 秒"),
    "solved": ("{epochs} iterations in {time:.1f} s", "{epochs} 次迭代，用时 {time:.1f} 秒"),
    "best epoch": (
        "epoch {number} was the best on the validation rows, and is kept",
        "验证集上第 {number} 轮最好，保留它",
    ),
    "tested": ("On {rows} test rows", "在 {rows} 行测试数据上"),
    "evaluated": ("On {rows} rows of {name}", "在 {name} 的 {rows} 行上"),
    "model": ("model", "模型"),
    "baseline": ("baseline", "基线"),
    "accuracy": ("accuracy", "准确率"),
    "log-loss": ("log-loss (nats)", "对数损失（nats）"),
    "balanced accuracy": ("balanced accuracy", "平衡准确率"),
    "macro-F1": ("macro-F1", "宏平均 F1"),
    "ROC-AUC": ("ROC-AUC", "ROC-AUC"),
    "top-5 accuracy": ("top-5 accuracy", "前 5 准确率"),
    "interval": ("95 % interval", "95 % 区间"),
    "calibration error": ("calibration error", "校准误差"),
    "Brier score": ("Brier score", "Brier 分数"),
    "next folder": (
        "{taken} holds another model ({data}, target {target}), which stays: this one goes to {folder}",
        "{taken} 里是另一个模型（{data}，目标 {target}），予以保留：这次保存到 {folder}",
    ),
    "saved all the same": ("the run is saved in {folder} all the same", "模型仍已保存到 {folder}"),
    "saved": ("Saved in {folder}: {files}", "已保存到 {folder}：{files}"),
    "look": ("Look at {report}", "请看 {report}"),
    "then": ("Then  {command}", "接着  {command}"),
    "fact model": ("model", "模型"),
    "fact rows": ("rows trained on", "训练行数"),
    "fact alpha": ("penalty α", "惩罚 α"),
    "fact time": ("training time", "训练用时"),
    "seconds": ("{time:.1f} s", "{time:.1f} 秒"),
    "which target": ("Which column shall be predicted? ", "要预测哪一列？"),
    # Notes ----------------------------------------------------------------------------------------------------------
    "note": ("note: {message}", "提示：{message}"),
    "interrupted": (
        "stopped by Ctrl-C after {epochs} epochs; the best model so far is kept",
        "按 Ctrl-C 停在第 {epochs} 轮之后；保留目前最好的模型",
    ),
    "not settled": (
        "the loss had not settled after {epochs} epochs: raise --epochs, or --alpha",
        "{epochs} 轮后损失仍未稳定：请增大 --epochs 或 --alpha",
    ),
    "no labels": (
        "{rows} rows have no {target} and are left out, the first {place}",
        "{rows} 行没有 {target}，不使用，第一处{place}",
    ),
    "ignored columns": (
        "{name} has columns that the model does not use: {columns}",
        "{name} 中有模型不使用的列：{columns}",
    ),
    "unseen value": (
        "column {column} has {got}, which training did not have: it counts as none of the known values",
        "列 {column} 中有训练时没有的 {got}：当作不属于任何已知值",
    ),
    "unseen values": (
        "column {column} has {got}, which training did not have: they count as none of the known values",
        "列 {column} 中有训练时没有的 {got}：当作不属于任何已知值",
    ),
    # predict, evaluate, explain ---------------------------------------------------------------------------------------
    "about predict": (
        "The class of each row of a table, as CSV, with the model of a run.\n"
        "Rows are read and written a batch at a time: the file may be larger than memory.",
        "用训练好的模型给表中每一行分类，输出 CSV。\n分批读写，文件可以比内存大。",
    ),
    "predict run": ("the folder that softxent train saved", "softxent train 保存的目录"),
    "predict data": (
        "a file with the columns of the training data, in any order",
        "与训练数据同样各列的文件，列序不限",
    ),
    "predict proba": ("the probability of each class too", "同时输出每一类的概率"),
    "predict keep": (
        "columns of NEW to write in front of each prediction, such as an id",
        "把新数据的这些列（例如编号）写在每个预测的前面",
    ),
    "predict out": (
        "where to write: .csv, .tsv or .parquet (default: CSV to the terminal)",
        "写到哪个文件：.csv、.tsv 或 .parquet（默认以 CSV 写到终端）",
    ),
    "force": ("replace the file if it exists", "文件若已存在，覆盖它"),
    "about evaluate": (
        "How good the model of a run is on other rows whose labels are known.",
        "用另一份有标签的数据检验模型。",
    ),
    "evaluate data": ("a file like the training data, labels included", "与训练数据同样的文件，包括标签"),
    "evaluate json": ("all metrics as JSON", "以 JSON 输出全部指标"),
    "about report": (
        "Writes the report of a run again, without training: as this version draws it,\n"
        "opening in the language of --lang.",
        "不重新训练，用当前版本重写一份报告，打开时显示 --lang 指定的语言。",
    ),
    "report out": (
        "where to write it (default: report.html in the run)",
        "写到哪个文件（默认：模型目录中的 report.html）",
    ),
    "explain model": (
        "a run of softxent train: explains its prediction for a row",
        "训练好的模型目录：解释它对一行数据的预测",
    ),
    "explain data": ("the file with that row", "这一行所在的文件"),
    "explain row": ("which row of it, counted from 0", "文件中的第几行，从 0 数起"),
    "row story": ("Row {row} of {name}", "{name} 的第 {row} 行"),
    "row predicted": ("The model says {predicted}, with p = {p}.", "模型的回答是 {predicted}，p = {p}。"),
    "row label": ("Its label in the file is {label}.", "文件中的标签是 {label}。"),
    "hidden layers": (
        "Below, x is the last hidden layer: {units} units computed from {features} features.",
        "下文的 x 是最后一个隐藏层：由 {features} 个特征算出的 {units} 个单元。",
    ),
    "features are x": ("Below, x is the {features} features of the row.", "下文的 x 是这一行的 {features} 个特征。"),
    "value": ("value", "值"),
    "feature": ("feature", "特征"),
    "through layers": ("Back through the hidden layers", "继续传回各隐藏层"),
    "hidden layer": ("hidden layer {k}", "隐藏层 {k}"),
    "layer of units": ("layer", "层"),
    "the row": ("The row", "这一行"),
    "columns hidden": (
        "The first {shown} of {columns} columns; all are in --json.",
        "{columns} 列中的前 {shown} 列；全部见 --json。",
    ),
    "units": ("units", "单元"),
    "active": ("of which h > 0", "其中 h > 0"),
    "each feature": ("Down to each feature", "一直传到每个特征"),
    "features hidden": (
        "The {shown} largest of {features} gradients; all are in --json.",
        "{features} 个梯度中最大的 {shown} 个；全部见 --json。",
    ),
    # Mistakes in training ---------------------------------------------------------------------------------------------
    "target not named": (
        "--target is missing: name the column of {got} to predict; {near}",
        "缺少 --target：请指明要预测 {got} 的哪一列；{near}",
    ),
    "target all missing": ("column {target} of {got} has no labels", "{got} 的 {target} 列没有任何标签"),
    "one class": (
        "{target} is {name} in all {rows} rows, but must have at least 2 classes",
        "{target} 在全部 {rows} 行中都是 {name}，应至少有 2 类",
    ),
    "many classes": (
        "{target} has {classes} different values in {rows} rows, but must have classes, with several rows each",
        "{target} 在 {rows} 行中有 {classes} 个不同的值，应为类别，每类有若干行",
    ),
    "few rows": (
        "{got} has {rows} rows with a label, but must have at least {least}: some to train on, some to test",
        "{got} 有 {rows} 行带标签，应至少有 {least} 行：一部分训练，一部分测试",
    ),
    "no features": (
        "{got} has no column to learn from beside {target}",
        "{got} 除 {target} 外没有可以学习的列",
    ),
    "unknown label": (
        "{target} is {name} {place} of {got}, but the classes are {classes}",
        "{got} {place}的 {target} 是 {name}，但类别只有：{classes}",
    ),
    "option number": ("{option} is {got}, but must be {expected}", "{option} 是 {got}，应为{expected}"),
    "whole above 0": ("a whole number above 0", "大于 0 的整数"),
    "whole at least 0": ("a whole number at least 0", "不小于 0 的整数"),
    "a seed": ("a whole number from 0 to 4294967295", "0 到 4294967295 的整数"),
    "above 0": ("a finite number above 0", "大于 0 的有限数"),
    "at least 0": ("a finite number at least 0", "不小于 0 的有限数"),
    "a share": ("a number from 0 to below 1", "不小于 0 且小于 1 的数"),
    "hidden": (
        "--hidden is {got}, but must be units of layers with commas between, as in 64,32",
        "--hidden 是 {got}，应为用逗号隔开的各层单元数，例如 64,32",
    ),
    "class weight": (
        "--class-weight is {got}, but must be balanced, or a weight for each class, as in {example}",
        "--class-weight 是 {got}，应为 balanced 或各类的权重，例如 {example}",
    ),
    "class weights zero": (
        "--class-weight is {got}, but must be above 0 for some class",
        "--class-weight 是 {got}，但至少有一类的权重应大于 0",
    ),
    "diverged": ("training failed: {why}", "训练失败：{why}"),
}
