"""What a machine does to commands: full disks, closed pipes, files that cannot be read; and what is never lost."""

import builtins
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from softxent.app.run import FILES

SAVED = Path(__file__).parent / "data" / "saved_by_0.1"
TRAIN = "train animals.csv --target label --model linear --alpha 0.1 --out new"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(SAVED, ".", dirs_exist_ok=True)


def shell(command):
    """Runs `softxent` in a shell with real pipes; the exit code is that of softxent, behind `; echo $?`."""
    command = command.replace("softxent", f"{sys.executable} -m softxent")
    environment = {**os.environ, "LC_ALL": "C"}
    done = subprocess.run(["/bin/bash", "-c", command], capture_output=True, env=environment, encoding="utf-8")
    return done.returncode, done.stdout, done.stderr


# Pipes and disks ------------------------------------------------------------------------------------------------------

FULL = "error: standard output cannot be written: No space left on device\n"


def test_full_disk_of_a_process():
    """Python writes what it still holds when it ends, which no test within this process sees."""
    assert shell("softxent explain 1 2 > /dev/full") == (2, "", FULL)


def test_training_is_saved_whatever_reads_what_it_prints():
    assert shell(f"set -o pipefail; softxent {TRAIN} | head -n 1 > first") == (0, "", "")
    assert sorted(os.listdir("new")) == sorted(FILES)


def test_head_has_read_enough():
    head, *rows = Path("animals.csv").read_text("utf-8").splitlines()
    Path("many.csv").write_text("\n".join([head, *rows * 400]), "utf-8")  # several batches
    line = "set -o pipefail; softxent predict run many.csv --proba | head -c 5"
    assert shell(line) == (0, "label", "")


@pytest.fixture
def full(softxent, monkeypatch):
    """Runs a command line whose output goes to a full disk: its exit code, and what it complained of."""

    def command(*words):
        with open("/dev/full", "w") as disk:
            monkeypatch.setattr(sys, "stdout", disk)
            code, _, err = softxent(*words)
            os.dup2(os.open(os.devnull, os.O_WRONLY), disk.fileno())  # for what it still holds
        return code, err

    return command


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("predict", "run", "animals.csv"), (2, FULL)),
        (("--help",), (2, FULL)),
        (("explain", "1", "2", "--lang", "zh"), (2, "错误：无法写到标准输出：No space left on device\n")),
        (
            ("predict", "run", "animals.csv", "--out", "/dev/full"),
            (2, "error: '/dev/full' cannot be written: No space left on device\n"),
        ),
    ],
)
def test_full_disk(full, words, expected):
    assert full(*words) == expected


def test_training_is_saved_though_what_it_prints_is_not(full):
    assert full(*TRAIN.split()) == (2, f"note: the run is saved in new all the same\n{FULL}")
    assert sorted(os.listdir("new")) == sorted(FILES)


def test_closed_streams(softxent, monkeypatch):
    """As >&- and 2>&- leave them."""
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert softxent("explain", "1", "2")[0] == 0
    assert softxent("explain", "x")[0] == 2


# Files ----------------------------------------------------------------------------------------------------------------


def refused(monkeypatch, name, error):
    """Makes the system refuse to open a file; tests may run as root, whom permissions do not stop."""
    real = builtins.open

    def opened(file, *arguments, **options):
        if str(file).endswith(name):
            raise error
        return real(file, *arguments, **options)

    monkeypatch.setattr(builtins, "open", opened)


@pytest.mark.parametrize("name", ["model.skops", "schema.json"])
@pytest.mark.parametrize(
    ("lang", "message"),
    [
        ("en", "error: 'run/{}' cannot be read: Permission denied\n"),
        ("zh", "错误：'run/{}' 无法读取：Permission denied\n"),
    ],
)
def test_unreadable_run_is_not_called_damaged(softxent, monkeypatch, name, lang, message):
    refused(monkeypatch, name, PermissionError(13, "Permission denied", f"run/{name}"))
    assert softxent("predict", "run", "animals.csv", "--lang", lang) == (2, "", message.format(name))


@pytest.mark.parametrize(
    ("error", "en", "zh"),
    [
        (
            OSError(5, "Input/output error", "a file"),
            "the system says Input/output error: 'a file'",
            "系统报告 Input/output error: 'a file'",
        ),
        (OSError(24, "Too many open files"), "the system says Too many open files", "系统报告 Too many open files"),
        (
            MemoryError(),
            "there is not enough memory: use fewer rows or columns, or a larger machine",
            "内存不足：请减少行或列，或换内存更大的机器",
        ),
    ],
)
def test_errors_of_the_system_are_not_ours(softxent, monkeypatch, error, en, zh):
    def fail(*_):
        raise error

    monkeypatch.setattr("softxent.app.run.Run.log_proba", fail)
    assert softxent("predict", "run", "animals.csv", "--out", "p.csv") == (2, "", f"error: {en}\n")
    assert softxent("predict", "run", "animals.csv", "--lang", "zh", "--out", "p.csv") == (2, "", f"错误：{zh}\n")
    assert not list(Path().glob("p.csv*"))


# What was there before ------------------------------------------------------------------------------------------------

EXISTS = {
    "en": "error: {} is {!r}, which exists already: name another file, or add --force to replace it\n",
    "zh": "错误：{} 是 {!r}，而这个文件已经存在：请换一个文件名，或加上 --force 覆盖它\n",
}


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--out", ["predict", "run", "animals.csv"]),
        ("--html", ["explain", "1", "2"]),
        ("--html", ["explain", "--model", "run", "--data", "animals.csv", "--row", "1"]),
    ],
)
@pytest.mark.parametrize("name", ["mine.txt", "run/schema.json", "link.txt"])
def test_files_stay_without_force(softxent, option, words, name):
    Path("mine.txt").write_text("mine")
    os.symlink("mine.txt", "link.txt")
    before = Path(name).read_bytes()
    if "run" in words and name.startswith("run/"):
        expected = f"error: {option} is {name!r}, but must not be a file that is read ({name!r})\n"
        assert softxent(*words, option, name, "--force") == (2, "", expected)
        return
    for lang, message in EXISTS.items():
        assert softxent(*words, option, name, "--lang", lang) == (2, "", message.format(option, name))
    assert Path(name).read_bytes() == before
    assert softxent(*words, option, name, "--force")[0] == 0
    assert Path(name).read_bytes() != before


def test_empty_file_may_be_written_to(softxent):
    """As mktemp makes it."""
    Path("p.csv").touch()
    assert softxent("predict", "run", "animals.csv", "--out", "p.csv") == (0, "", "")
    assert softxent("predict", "run", "animals.csv", "--out", "-")[1] == Path("p.csv").read_text("utf-8")


def test_folder_with_a_schema_of_the_user_is_no_run(softxent):
    os.mkdir("theirs")
    Path("theirs/schema.json").write_text('{"type": "object"}')
    words = TRAIN.split()[:-1]
    expected = (
        "error: 'theirs' is a folder with other things in it: name a new folder, or one that softxent train saved "
    )
    assert softxent(*words, "theirs") == (2, "", expected + "before\n")
    assert os.listdir("theirs") == ["schema.json"]


# Runs -----------------------------------------------------------------------------------------------------------------


def table(name, shift=0):
    os.makedirs(Path(name).parent, exist_ok=True)
    pairs = [((i + shift) % 7, i * 3 % 8) for i in range(56)]
    Path(name).write_text("x,v,y,z\n" + "".join(f"{x},{v},{'ab'[x + v > 6]},{'cd'[x > v]}\n" for x, v in pairs))
    return name


def trained(softxent, *words):
    code, _, err = softxent("train", "--model", "linear", "--alpha", "0.1", *words, "--json")
    return code, err


def test_two_tables_of_one_name_have_a_run_each(softxent):
    one, two = table("one/train.csv"), table("two/train.csv", 3)
    assert trained(softxent, one, "--target", "y") == (0, "")
    first = Path("runs/train/model.skops").read_bytes()
    note = (
        "note: runs/train holds another model (one/train.csv, target y), which stays: this one goes to runs/train-{}\n"
    )
    for _ in range(2):  # the second time it replaces its own
        assert trained(softxent, two, "--target", "y") == (0, note.format(2))
    assert sorted(os.listdir("runs")) == ["train", "train-2"]
    assert Path("runs/train/model.skops").read_bytes() == first
    assert trained(softxent, one, "--target", "z") == (0, note.format(3))
    assert trained(softxent, os.path.abspath(one), "--target", "y", "--alpha", "1") == (0, "")
    assert trained(softxent, two, "--target", "y", "--force") == (0, "")
    assert Path("runs/train/model.skops").read_bytes() != first


def test_run_of_another_table_in_a_named_folder(softxent):
    one, two = table("one/train.csv"), table("two/train.csv", 3)
    assert trained(softxent, one, "--target", "y", "--out", "mine") == (0, "")
    en = "error: 'mine' holds another model (one/train.csv, target y): name another folder, or add --force to replace "
    zh = "错误：'mine' 里是另一个模型（one/train.csv，目标 y）：请换一个目录，或加上 --force 覆盖它\n"
    words = ("train", two, "--target", "y", "--out", "mine")
    assert softxent(*words) == (2, "", en + "it\n")
    assert softxent(*words, "--lang", "zh") == (2, "", zh)
    assert softxent(*words, "--force")[0] == 0


def test_project_that_was_moved_knows_its_table(softxent, monkeypatch):
    table("here/t.csv")
    monkeypatch.chdir("here")
    assert trained(softxent, "t.csv", "--target", "y") == (0, "")
    os.rename("../here", "../there")
    monkeypatch.chdir("../there")
    assert trained(softxent, "t.csv", "--target", "y") == (0, "")
    assert os.listdir("runs") == ["t"]
