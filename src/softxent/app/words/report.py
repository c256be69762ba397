"""The phrases of the report: a table of its own, since some names have other words there than on a terminal."""

PHRASES = {
    "step by step": ("Row {row} step by step, from scores to p − y", "逐步看第 {row} 行：从分数到 p − y"),
    # Summary --------------------------------------------------------------------------------------------------------
    "predicting": ("Predicting {target}", "预测 {target}"),
    "sections": ("Sections", "目录"),
    "right": (
        "{right} of {rows} test rows are classified correctly. Always answering “{majority}”, the most frequent class "
        "in training, would get {guessed} right.",
        "{rows} 行测试数据中有 {right} 行分类正确。若总是回答训练集中最常见的类别“{majority}”，则有 {guessed} 行正确。",
    ),
    "no better": (
        "The log-loss is not below the baseline's: on these test rows, the probabilities are worth no more than the "
        "class frequencies alone.",
        "对数损失并不低于基线：在这些测试数据上，模型给出的概率不比类别频率本身更有价值。",
    ),
    "accuracy": ("Accuracy", "准确率"),
    "accuracy means": ("test rows whose most probable class is right", "概率最大的类别正确的测试行所占比例"),
    "log-loss": ("Log-loss", "对数损失"),
    "log-loss means": (
        "mean of −ln p of the true class, in nats; 0 is perfect",
        "真实类别的 −ln p 的平均值（单位：奈特），0 为最佳",
    ),
    "calibration error": ("Calibration error", "校准误差"),
    "calibration error means": (
        "how far the accuracy of each of 15 groups of rows is from the probability stated, on average",
        "把数据按概率分成 15 组，各组准确率与所给概率之差的平均值",
    ),
    "baseline is": ("baseline {value}", "基线 {value}"),
    "interval is": ("95 % interval {interval}", "95 % 区间 {interval}"),
    "baseline means": (
        "The baseline ignores the features and always predicts the class frequencies of the training rows. That makes "
        "it well calibrated, and of no use: calibration counts beside a low log-loss.",
        "基线不看特征，总是预测训练集中各类别的频率。它因此校准良好，却毫无用处：只有对数损失也低时，校准才有意义。",
    ),
    # Notes ----------------------------------------------------------------------------------------------------------
    "notes": ("Notes", "提示"),
    "notes mean": (
        "What training had to say about the data and the model, as it did on the terminal.",
        "训练时在终端上给出的提示：关于数据，也关于模型。",
    ),
    # Scores ---------------------------------------------------------------------------------------------------------
    "scores": ("Scores", "各项得分"),
    "score": ("score", "指标"),
    "meaning": ("what it is", "含义"),
    "balanced accuracy means": (
        "mean of the classes' recalls: a rare class counts as much as a frequent one",
        "各类召回率的平均值：少见的类与常见的类同等重要",
    ),
    "macro-F1 means": ("mean of the classes' F1", "各类 F1 的平均值"),
    "ROC-AUC means": (
        "how often a row of a class gets a higher probability of it than a row of another class; 50 % is guessing",
        "属于某类的行比不属于的行得到更高该类概率的频率；50 % 相当于乱猜",
    ),
    "top-5 accuracy means": (
        "test rows whose class is among the five most probable",
        "真实类别在概率最大的五类之中的测试行所占比例",
    ),
    "Brier score means": (
        "mean squared length of p − y; 0 is perfect, 2 the worst",
        "p − y 长度平方的平均值；0 为最佳，2 为最差",
    ),
    "interval means": (
        "With other test rows the scores would differ: in about 95 of 100 such tests, the interval holds the score of "
        "all rows that there could be (bootstrap over the {rows} rows; of a share of the rows, Wilson). The "
        "calibration error has none: see Calibration.",
        "换一批测试数据，得分会有所不同：100 次这样的测试中，约有 95 次区间会包含在所有可能数据上的得分"
        "（对 {rows} 行做自助法；比例用 Wilson 法）。校准误差没有区间，见“校准”。",
    ),
    # Thresholds -----------------------------------------------------------------------------------------------------
    "thresholds": ("Threshold", "判定阈值"),
    "thresholds mean": (
        "The model answers “{positive}”, the rarer class, where its probability is at least 0.5. Another threshold "
        "trades precision for recall; predictions stay as they are.",
        "概率不低于 0.5 时，模型回答较少见的类别“{positive}”。换一个阈值，就是用精确率换召回率；预测本身不受影响。",
    ),
    "threshold axis": ("threshold of the probability of “{positive}” →", "“{positive}”的概率阈值 →"),
    "threshold": ("threshold", "阈值"),
    "as now": ("as now", "当前"),
    "best F1": ("best F1", "F1 最高"),
    "best balanced": ("best balanced accuracy", "平衡准确率最高"),
    "thresholds are seen": (
        "The best thresholds were found on these same rows, so on others they gain less: take the probabilities "
        "(softxent predict --proba), and try a threshold on rows of their own.",
        "最佳阈值就是在这些数据上找到的，用在别的数据上收益会小一些：可用 softxent predict --proba 取得概率，"
        "再在另一份数据上检验阈值。",
    ),
    # Training -------------------------------------------------------------------------------------------------------
    "training": ("Training", "训练过程"),
    "epoch": ("epoch", "轮次"),
    "iteration": ("iteration", "迭代次数"),
    "loss": ("Loss", "损失"),
    "train": ("training {value}", "训练 {value}"),
    "val": ("validation {value}", "验证 {value}"),
    "nats": ("nats", "奈特"),
    "val accuracy": ("Validation accuracy", "验证准确率"),
    "kept": (
        "The model is that of {step_name} {step}, the best on the validation rows.",
        "模型取自{step_name} {step}：它在验证数据上最好。",
    ),
    "at": ("{step_name} {step}:", "{step_name} {step}："),
    "no validation": (
        "All rows but the test rows were trained on, so this is the training loss alone.",
        "除测试数据外全部用于训练，因此这里只有训练损失。",
    ),
    # Choice ---------------------------------------------------------------------------------------------------------
    "choice": ("Choice of the model", "模型的选择"),
    "choice by folds": (
        "Tried in {folds}-fold validation: each of {rows} training rows was judged by models fitted without it.",
        "以 {folds} 折交叉验证比较：{rows} 行训练数据中的每一行，都由没有用它训练的模型来评判。",
    ),
    "choice by rows": ("Tried on {rows} validation rows.", "在 {rows} 行验证数据上比较。"),
    "tried model": ("model", "模型"),
    "tried linear": ("linear, α = {alpha}", "线性模型，α = {alpha}"),
    "tried network": ("network of {units} units, {epochs} epochs", "{units} 个单元的网络，{epochs} 轮"),
    "is chosen": ("chosen", "选中"),
    "simpler is kept": (
        "The advantage of a network is within its standard error, so the linear model is kept: it is simpler.",
        "网络的优势在一个标准误之内，因此保留更简单的线性模型。",
    ),
    "path of alpha": ("Log-loss of the linear model", "线性模型的对数损失"),
    "path of networks": ("Log-loss of the networks", "网络的对数损失"),
    "choice means": (
        "The log-loss is that of rows left out. α is the penalty α/2·‖W‖² on the mean loss: from left to right it gets "
        "weaker. The model was then trained on all training rows, a network for as many epochs as were best here.",
        "对数损失均在留出的数据上计算。α 是加在平均损失上的惩罚项 α/2·‖W‖²，从左到右逐渐减弱。"
        "随后用全部训练数据训练选中的模型；网络的训练轮数取这里最好的一轮。",
    ),
    # Comparison -----------------------------------------------------------------------------------------------------
    "comparison": ("Beside other models", "与其他模型比较"),
    "comparison means": (
        "scikit-learn's models, fitted on the same training rows and features, on the same {rows} test rows. A tie: "
        "the log-loss differs from the best one's by no more than two standard errors of the difference.",
        "scikit-learn 的模型使用同样的训练数据和特征，在同样的 {rows} 行测试数据上比较。"
        "不分上下：对数损失与最好者之差不超过该差值的两个标准误。",
    ),
    "fit seconds": ("seconds", "秒"),
    "verdict": ("verdict", "结论"),
    "is best": ("best", "最好"),
    "is tie": ("tie", "不分上下"),
    "is worse": ("worse", "较差"),
    # Confusion ------------------------------------------------------------------------------------------------------
    "confusion": ("Confusion matrix", "混淆矩阵"),
    "confusion means": (
        "One row for each true class, one column for each predicted class. Blue is right, orange is wrong; the larger "
        "the share of the true class, the stronger the shade.",
        "每行是一个真实类别，每列是一个预测类别。蓝色为正确，橙色为错误；占该真实类别的比例越大，颜色越深。",
    ),
    "true to predicted": ("true ↓  predicted →", "真实 ↓  预测 →"),
    "confusion summary": (
        "Confusion matrix of {classes} classes: {right} of {rows} rows on the diagonal",
        "{classes} 类的混淆矩阵：{rows} 行中有 {right} 行在对角线上",
    ),
    "too many": (
        "With {classes} classes the matrix would not be readable; it is in metrics.json up to {most} classes.",
        "共 {classes} 类，矩阵无法清晰显示（不超过 {most} 类时画出）。",
    ),
    "most confused": ("Most frequent confusions", "最常见的混淆"),
    "no confusion": ("No test row is classified wrongly.", "没有分类错误的测试行。"),
    "true class": ("true class", "真实类别"),
    "predicted class": ("predicted", "预测"),
    "of class": ("of class", "占该类"),
    # Calibration ----------------------------------------------------------------------------------------------------
    "calibration": ("Calibration", "校准"),
    "calibration means": (
        "Test rows are grouped by the probability of their predicted class, in {bins} bins. On the dashed line, the "
        "stated probability is how often the prediction is right. The larger a dot, the more rows it stands for; its "
        "whisker is a 95 % interval (Wilson): where it crosses the line, the distance may be chance.",
        "按预测类别的概率把测试行分成 {bins} 组。落在虚线上表示所给的概率正好等于预测正确的频率。"
        "圆点越大，行数越多；竖线为 95 % 置信区间（Wilson）：竖线与虚线相交时，偏差可能只是偶然。",
    ),
    "within chance": ("Well calibrated, as far as these rows can tell.", "就这些数据而言，校准良好。"),
    "overconfident": ("Overconfident: probabilities are too high.", "过于自信：所给概率偏高。"),
    "underconfident": ("Underconfident: probabilities are too low.", "过于保守：所给概率偏低。"),
    "too high and too low": (
        "Some probabilities are too high, others too low.",
        "有的概率偏高，有的偏低。",
    ),
    "calibration by chance": (
        "The calibration error is {error}. On {rows} rows, chance alone gives even a perfectly calibrated model up to "
        "{chance} (in 95 of 100 cases).",
        "校准误差为 {error}。只有 {rows} 行数据时，即使完美校准的模型，仅因偶然也可能达到 {chance}"
        "（100 次中有 95 次不超过它）。",
    ),
    "stated above": (
        "Ups and downs taken together, the stated probability is {gap} above the accuracy.",
        "高低相抵之后，所给概率平均比准确率高 {gap}。",
    ),
    "stated below": (
        "Ups and downs taken together, the stated probability is {gap} below the accuracy.",
        "高低相抵之后，所给概率平均比准确率低 {gap}。",
    ),
    "stated": ("probability of the predicted class", "预测类别的概率"),
    "reliability summary": (
        "Reliability diagram: accuracy against the probability of the predicted class",
        "可靠性图：准确率与预测类别概率的关系",
    ),
    # Classes --------------------------------------------------------------------------------------------------------
    "classes": ("Classes", "各类别"),
    "balance": (
        "Training had {rows} rows of {classes} classes: from {least} of them (“{rarest}”) to {most} (“{commonest}”).",
        "训练集共 {rows} 行、{classes} 类：最少的“{rarest}”占 {least}，最多的“{commonest}”占 {most}。",
    ),
    "training rows": ("training rows", "训练行数"),
    "test rows": ("test rows", "测试行数"),
    "precision": ("precision", "精确率"),
    "recall": ("recall", "召回率"),
    "f1": ("F1", "F1"),
    "lowest first": ("The lowest F1 comes first.", "按 F1 从低到高排列。"),
    "other classes": ("The other {count} classes", "其余 {count} 类"),
    "per class means": (
        "Precision: of the rows predicted as the class, the share that are of it. Recall: of the rows of the class, "
        "the share predicted as it. F1: their harmonic mean. –: not defined.",
        "精确率：被预测为该类的行中确属该类的比例。召回率：该类的行中被正确预测的比例。F1：两者的调和平均。–：无定义。",
    ),
    # Worst ----------------------------------------------------------------------------------------------------------
    "worst": ("Worst-classified examples", "分类最差的样本"),
    "worst means": (
        "The {count} test rows with the largest loss, −ln p of their true class. p − y is the gradient of that loss "
        "with respect to the scores, which training sends back through the network: negative for the true class, whose "
        "score a step raises, positive for the others. It sums to 0.",
        "真实类别的损失 −ln p 最大的 {count} 个测试行。p − y 是该损失对分数的梯度，训练时由它向网络反向传播："
        "真实类别为负（分数被提高），其他类别为正（分数被降低），总和为 0。",
    ),
    "row": ("Row {row}", "第 {row} 行"),
    "is but": ("is {true}, predicted {predicted}", "实为 {true}，预测为 {predicted}"),
    "is and": ("is {true}, as predicted", "实为 {true}，预测正确"),
    "more features": ("{count} more features", "其余 {count} 个特征"),
    "image": ("Row {row} as an image, {width} × {height} pixels", "第 {row} 行的图像，{width} × {height} 像素"),
    "others": ("{count} others", "其他 {count} 类"),
    # Importance -----------------------------------------------------------------------------------------------------
    "importance": ("What the model goes by", "模型依据什么"),
    "importance means": (
        "How much the log-loss rises once a column's values are shuffled among the {rows} rows (mean of {repeats} "
        "shuffles): the more, the more the model needs it. Columns that tell the same share their importance.",
        "把某一列的值在 {rows} 行之间打乱后，对数损失上升多少（{repeats} 次打乱的平均）：升得越多，模型越依赖它。"
        "内容相近的列会分摊重要性。",
    ),
    "importance of training": (
        "These rows trained the model, for lack of others: the numbers are larger than on new rows.",
        "没有别的数据，用的是训练数据：数值会比在新数据上大。",
    ),
    "importance of few": (
        "Only {rows} rows: a small rise, or one whose interval reaches 0, may be chance.",
        "只有 {rows} 行数据：上升很小或区间含 0 的，可能只是偶然。",
    ),
    "other columns": ("The other {count} columns", "其余 {count} 列"),
    "rise": ("rise of log-loss", "对数损失上升"),
    "coefficients": ("Coefficients", "系数"),
    "coefficients mean": (
        "The model is linear: one standard deviation more of a feature adds this to the score of the class that it "
        "raises most, and to that of the class that it lowers most (relative to the mean over the classes).",
        "模型是线性的：某个特征每增加一个标准差，得分升得最多的类别和降得最多的类别各变化多少（相对于各类的平均）。",
    ),
    "raises": ("raises most", "最有利于"),
    "lowers": ("lowers most", "最不利于"),
    # Columns, reproduction ------------------------------------------------------------------------------------------
    "columns": ("Columns", "数据列"),
    "kind": ("kind", "类型"),
    "treatment": ("what was done with it", "处理方式"),
    "so many columns": ("{count} columns", "{count} 列"),
    "reproduce": ("Make it again", "重新生成"),
    "reproduce means": (
        "This command, on the same data, trains again and writes this report.",
        "对同一份数据运行下面的命令，即可重新训练并生成本报告。",
    ),
    "made by": ("Written by softxent {version}", "由 softxent {version} 生成"),
}
