"""What is said of the columns of a table, and of files of all kinds."""

PHRASES = {
    # Columns ----------------------------------------------------------------------------------------------------------
    "are numbers": ("numbers", "数值"),
    "are dates": ("dates", "日期"),
    "taken for missing": (
        "column {column}: {read} of {values} values are {kind}; {got} {place} is taken as missing",
        "列 {column}：{values} 个值中有 {read} 个是{kind}；{place}的 {got} 视为缺失",
    ),
    "all taken for missing": (
        "column {column}: {read} of {values} values are {kind}; the other {count} ({shown}; the first {place}) are "
        "taken as missing",
        "列 {column}：{values} 个值中有 {read} 个是{kind}；其余 {count} 个（{shown}，第一处{place}）视为缺失",
    ),
    "both decimals": (
        "column {column}: its numbers fit two readings; {example} is read as {taken}, not as {other}. "
        "If that is wrong: {option}",
        "列 {column}：其中的数有两种读法；{example} 读作 {taken}，而不是 {other}。如果不对，请加 {option}",
    ),
    "both dates": (
        "column {column}: its dates fit two formats; they are read as {format}, not as {other}. "
        "If that is wrong: {option}",
        "列 {column}：其中的日期符合两种写法；按 {format} 读取，而不是 {other}。如果不对，请加 {option}",
    ),
    "mixed numbers": (
        "column {column} has numbers written in several ways, as {first} and {second}: it counts as text. "
        "To have numbers, write all with one unit and one decimal mark",
        "列 {column} 中的数写法不一，例如 {first} 和 {second}，因此当作文本。若要当作数值，请统一单位和小数点",
    ),
    "leading zeros": (
        "column {column} has numbers with zeros in front, as codes have: if they are codes, add {option}",
        "列 {column} 中的数前面带 0，像是编码：如果确实是编码，请加 {option}",
    ),
    "no number": ("no number", "不是数值"),
    "no date": ("no such date as in training", "与训练时的日期写法不同"),
    "unread": (
        "column {column} has {got} {place}, which is {kind}: taken as missing",
        "列 {column} {place}的值 {got} {kind}，视为缺失",
    ),
    "all unread": (
        "column {column} has {count} values that are {kind}, the first {got} {place}: taken as missing",
        "列 {column} 有 {count} 个值{kind}，第一处是{place}的 {got}，都视为缺失",
    ),
    "not as asked": (
        "--column says that {column} is {kind}, but none of its values is: the first is {got}",
        "--column 说 {column} 是{kind}，但没有一个值是：第一个值是 {got}",
    ),
    "column option": (
        "--column is {got}, but must be NAME=KIND, as in {example}; the kinds are {kinds}",
        "--column 是 {got}，应写成 列名=类型，例如 {example}；类型有 {kinds}",
    ),
    "column options": (
        "--column or --drop say two different things of {name}, but must say one",
        "--column 或 --drop 对列 {name} 的说法前后不一，只能有一种",
    ),
    "column is target": (
        "--column is {got}, but {name} is the target, whose values are its classes as they are written",
        "--column 是 {got}，但 {name} 是目标列，它的每个不同的值就是一类",
    ),
    "train column": (
        "what a column is, if it is not found right: number, category, text, date or drop; "
        "number:comma and date:%d/%m/%Y say how it is written (repeat for more columns)",
        "类型识别有误时指定某列的类型：number、category、text、date 或 drop；"
        "number:comma、date:%d/%m/%Y 说明写法（多列则重复使用）",
    ),
    "NAME=KIND": ("NAME=KIND", "列名=类型"),
    "clock becomes": ("hours, standardised", "换算成小时，标准化"),
    "clock with missing becomes": (
        "hours, standardised; missing: the mean, marked",
        "换算成小时，标准化；缺失取均值，并加标记",
    ),
    # Files ------------------------------------------------------------------------------------------------------------
    "no permission": (
        "{got} cannot be opened: you have no permission to read it",
        "{got} 无法打开：没有读取权限",
    ),
    "is a folder": ("{got} is a folder, but must be a file", "{got} 是目录，应为文件"),
    "convert": (
        "{got} is no table that can be read: expected {known}, any of them packed (.gz .bz2 .xz .zst .zip). {how}",
        "{got} 不是能读取的表：应为 {known}，都可以是压缩过的（.gz .bz2 .xz .zst .zip）。{how}",
    ),
    "in Python": ("To convert it in Python: {line}", "可以用 Python 转换：{line}"),
    "web page": (
        "{got} is a web page, no table: perhaps the download failed; fetch the file itself",
        "{got} 是网页，不是表：可能下载出了错，请下载数据文件本身",
    ),
    "old Excel file": (
        "{got} is a workbook of the old Excel (.xls): save it as .xlsx or CSV",
        "{got} 是旧版 Excel 工作簿（.xls）：请另存为 .xlsx 或 CSV",
    ),
    "zip of many": (
        "{got} has {files} tables packed in it, but must have one: unpack it, and name the files or their folder",
        "{got} 中打包了 {files} 个表，应只有一个：请解压，再给出这些文件或所在目录",
    ),
    "no tables": ("the folder {got} has no tables: expected files {known}", "目录 {got} 里没有表：应有 {known} 文件"),
    "columns lacking": (
        "{got} has no {columns}, but {first} has: files that are read as one table must have the same columns",
        "{got} 没有 {columns}，而 {first} 有：作为一张表读取的各个文件，列必须相同",
    ),
    "columns extra": (
        "{got} has {columns}, but {first} has not: files that are read as one table must have the same columns",
        "{got} 有 {columns}，而 {first} 没有：作为一张表读取的各个文件，列必须相同",
    ),
    "empty sheet": ("{got} has nothing in sheet {sheet}", "{got} 的工作表 {sheet} 是空的"),
    "no sheet": ("{got} has no sheet {sheet}: its sheets are {sheets}", "{got} 没有工作表 {sheet}：有 {sheets}"),
    "first sheet": (
        "{got} has {count} sheets ({sheets}): the first, {sheet}, is read. For another: {example}",
        "{got} 有 {count} 个工作表（{sheets}）：读取第一个 {sheet}。要读别的，请写 {example}",
    ),
    "in row of sheet": ("in row {row} of the sheet", "在工作表第 {row} 行"),
    "in file": ("{place} of {name}", "{place}（{name}）"),
    "no record": ("there is no JSON object {place}", "{place}没有 JSON 对象"),
    "no header": (
        "the first line of {got} is data, not names: its columns are called x1 … {last}",
        "{got} 的第一行是数据，不是列名：各列依次叫 x1 … {last}",
    ),
    "ragged without header": (
        "{got} has {fields} fields in line {line}, but must have {expected}, as the first line",
        "{got} 第 {line} 行有 {fields} 个字段，应与第一行一样有 {expected} 个",
    ),
}
