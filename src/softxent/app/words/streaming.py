"""The phrases on tables larger than memory, and on clusters."""

PHRASES = {
    "SIZE": ("SIZE", "大小"),
    "ADDRESS": ("ADDRESS", "地址"),
    "train memory": (
        "a larger table is not read into memory: what is held of it stays below this, e.g. 500MB (default 1GB)",
        "更大的表不会整个读入内存：同时留在内存里的部分不超过这个大小，例如 500MB（默认 1GB）",
    ),
    "train dask": (
        "train on a Dask cluster: the address of its scheduler, e.g. tcp://10.0.0.1:8786, or local for one of this "
        "machine's cores",
        "在 Dask 集群上训练：调度器的地址，例如 tcp://10.0.0.1:8786；\nlocal 表示用本机的各个核心",
    ),
    "a size": ("a size of at least 1MB, e.g. 500MB or 2GB", "至少 1MB 的大小，例如 500MB 或 2GB"),
    "reading parts": ("reading", "读取数据"),
    "writing features": ("computing features", "计算特征"),
    "streamed": (
        "The table is larger than --memory: all {rows} rows train, part by part; what has to be chosen or looked at "
        "is so on a sample of {sample} of them",
        "表的大小超过了 --memory：全部 {rows} 行都参与训练，一部分一部分地读；\n"
        "需要选择和查看的，用其中 {sample} 行的样本",
    ),
    "streamed on dask": (
        "Trained on {workers} workers: all {rows} rows train; what has to be chosen or looked at is so on a sample of "
        "{sample} of them",
        "在 {workers} 个 worker 上训练：全部 {rows} 行都参与；\n需要选择和查看的，用其中 {sample} 行的样本",
    ),
    "groups that test": (
        "Groups of {name}: {test} to test on, all others to train on",
        "{name} 的分组：{test} 组测试，其余全部训练",
    ),
    "times that test": (
        "{name}: earlier than {first} to learn from, from {first} to test on",
        "{name}：早于 {first} 的训练，{first} 起测试",
    ),
    "not streamed": (
        "{got} cannot be read part by part, as it must be if it is larger than --memory or on a cluster: "
        "save it as Parquet or CSV",
        "{got} 不能分部分读取，而大于 --memory 的表或集群上的表必须这样读：请另存为 Parquet 或 CSV",
    ),
    "needs memory": (
        "{option} needs the whole table in memory, but {got} takes {size}, above --memory {memory}: raise --memory, or "
        "leave {option} out",
        "{option} 需要把整个表读入内存，但 {got} 约占 {size}，超过了 --memory {memory}：\n"
        "请调大 --memory，或去掉 {option}",
    ),
    "needs no cluster": (
        "{option} needs the whole table in memory, so it cannot be used with --dask: leave one of them out",
        "{option} 需要把整个表读入内存，不能与 --dask 同用：请去掉其中一个",
    ),
    "no space": (
        "The features take {needed}, but {folder} has {free} free: make room, or choose another folder with --out",
        "特征需要 {needed}，但 {folder} 只剩 {free}：请腾出空间，或用 --out 换一个目录",
    ),
    "no scheduler": (
        "No Dask scheduler answers at {got}: {why}. Start one with `dask scheduler`, or use --dask local",
        "{got} 没有 Dask 调度器应答：{why}。请用 dask scheduler 启动，或使用 --dask local",
    ),
    "only on disk": (
        "{got} can be read once only, and by this process; workers of a cluster need files",
        "{got} 只能由本进程读取一次；集群上的 worker 需要文件",
    ),
}
