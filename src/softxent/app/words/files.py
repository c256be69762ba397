"""The errors in files of data and in saved models."""

PHRASES = {
    # Mistakes in files ------------------------------------------------------------------------------------------------
    "no file": ("there is no file {got}", "没有文件 {got}"),
    "ending": (
        "{got} is no table that can be read: expected {known}, any of them packed (.gz .bz2 .xz .zst .zip), "
        "or text whose lines all have as many fields",
        "{got} 不是能读取的表：应为 {known}，都可以是压缩过的（.gz .bz2 .xz .zst .zip），或各行字段数相同的文本",
    ),
    "empty file": ("{got} is empty", "{got} 是空文件"),
    "no rows": ("{got} has no rows below its header", "{got} 除表头外没有任何行"),
    "another kind": (
        "{got} is {found}, not the {said} that its ending says: rename it to end in {ending}",
        "{got} 其实是 {found}，不是扩展名所说的 {said}：请把扩展名改为 {ending}",
    ),
    "text file": ("{got} is text, not the {said} that its ending says", "{got} 是文本，不是扩展名所说的 {said}"),
    "binary file": ("{got} is not the {said} that its ending says", "{got} 不是扩展名所说的 {said}"),
    "unreadable file": ("{got} cannot be read: {why}", "{got} 无法读取：{why}"),
    "ragged": (
        "{got} has {fields} fields in line {line}, but must have {expected}, as the header",
        "{got} 第 {line} 行有 {fields} 个字段，应与表头一样有 {expected} 个",
    ),
    "column twice": (
        "{got} has two columns {name}, but each must have a name of its own",
        "{got} 有两列都叫 {name}，列名不能重复",
    ),
    "column type": (
        "column {column} is {got}, but must be numbers, text, booleans or dates; leave it out with --drop",
        "列 {column} 的类型是 {got}，应为数值、文本、布尔或日期；可用 --drop 去掉",
    ),
    "array lengths": (
        "{got} must have arrays with a row an example, all of one length, but has {shapes}",
        "{got} 中各数组的行数应相同（每个样本一行），现在是 {shapes}",
    ),
    "no column": ("{got} has no column {name}; {near}", "{got} 没有 {name} 这一列；{near}"),
    "column missing": (
        "{got} has no column {name}, which the model was trained with; {near}",
        "{got} 没有 {name} 这一列，而模型训练时用到了它；{near}",
    ),
    "columns missing": (
        "{got} has no columns {missing}, which the model was trained with; its columns are {columns}",
        "{got} 没有 {missing} 这些列，而模型训练时用到了它们；它的列有：{columns}",
    ),
    "near names": ("did you mean {names}?", "是不是 {names}？"),
    "all names": ("its columns are {names}", "它的列有：{names}"),
    "in line": ("in line {line}", "在第 {line} 行"),
    "in row": ("in row {row} (counted from 0)", "在第 {row} 行（从 0 数起）"),
    "wrong value": (
        "column {column} has {got} {place}, but must have {expected}, as in training",
        "列 {column} {place}的值是 {got}，应与训练时一样为{expected}",
    ),
    "a number": ("a number", "数值"),
    "a date": ("a date written {format}", "写成 {format} 的日期"),
    "large": (
        "column {column} has {got} {place}, but must have numbers in ±1e100; leave the field empty if it is unknown",
        "列 {column} {place}的值是 {got}，应为 ±1e100 以内的数；不知道的值请留空",
    ),
    "sparse width": (
        "{got} has a feature {index}, but the model was trained with {features}",
        "{got} 中有第 {index} 个特征，但模型训练时只有 {features} 个",
    ),
    # Mistakes with runs -----------------------------------------------------------------------------------------------
    "not a run": (
        "{got} is a folder with other things in it: name a new folder, or one that softxent train saved before",
        "{got} 里有别的东西：请换一个新目录，或 softxent train 以前保存的目录",
    ),
    "another model": (
        "{got} holds another model ({data}, target {target}): name another folder, or add --force to replace it",
        "{got} 里是另一个模型（{data}，目标 {target}）：请换一个目录，或加上 --force 覆盖它",
    ),
    "not a folder": ("{got} is a file, but must be a folder", "{got} 是文件，应为目录"),
    "output is input": (
        "{option} is {got}, but must not be a file that is read ({input})",
        "{option} 是 {got}，不能与要读取的文件（{input}）相同",
    ),
    "output ending": (
        "{option} is {got}, but what is written can end in .csv, .tsv or .parquet",
        "{option} 是 {got}，但输出文件的扩展名只能是 .csv、.tsv 或 .parquet",
    ),
    "output exists": (
        "{option} is {got}, which exists already: name another file, or add --force to replace it",
        "{option} 是 {got}，而这个文件已经存在：请换一个文件名，或加上 --force 覆盖它",
    ),
    "cannot write": ("{got} cannot be written: {why}", "{got} 无法写入：{why}"),
    "not saved": (
        "the run could not be saved in {got}: {why}. A model that was there before is as it was.",
        "无法保存到 {got}：{why}。原来在那里的模型没有改动。",
    ),
    "no run": (
        "there is no run {got}: it must be a folder that softxent train saved",
        "没有 {got}：应为 softxent train 保存的目录",
    ),
    "damaged run": ("{got} is damaged: {why}; train again", "{got} 已损坏：{why}；请重新训练"),
    "no content": (
        "{got} was saved by softxent {version}, which kept nothing to make a report of: train on {data} again, or look "
        "at its report.html",
        "{got} 由 softxent {version} 保存，没有存下重写报告所需的内容：请用 {data} 重新训练，或看原有的 report.html",
    ),
    "damaged content": (
        "{got} is damaged: its {file} cannot be read; train again for a new one",
        "{got} 已损坏：其中的 {file} 无法读取；重新训练可得到新的",
    ),
    "newer run": (
        "{got} was made by softxent {version}, which is newer than this one, {ours}: update your clone of softxent, "
        "and pip install it again",
        "{got} 由更新的 softxent {version} 生成，现在用的是 {ours}：请更新 softxent 的克隆，再用 pip 安装一次",
    ),
    "untrusted run": (
        "{got} holds {types}, which no model of softxent train has: it is not loaded, for it may run any code",
        "{got} 中含有 {types}，softxent train 的模型里没有这些：它可能执行任意代码，因此不加载",
    ),
    "row range": (
        "--row is {got}, but {name} has {rows} rows (0 … {last})",
        "--row 是 {got}，但 {name} 只有 {rows} 行（0 … {last}）",
    ),
    "model needs": ("--model needs {option} too", "使用 --model 时还要给出 {option}"),
    "needs model": ("{option} is for a row of data: it needs --model", "{option} 用于数据中的一行：还要给出 --model"),
    "model alone": (
        "--model cannot stand beside {option}: the scores are the model's",
        "--model 不能与 {option} 同用：分数由模型给出",
    ),
}
