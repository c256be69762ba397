"""What commands write is whole or not there, and is never one of the files that they read."""

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from softxent.app.outputs import open_saved, settle, whole_file
from softxent.app.run import FILES, Run, Schema
from softxent.app.words import Mistake

SAVED = Path(__file__).parent / "data" / "saved_by_0.1"
NAMES = ("model", "schema")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(SAVED, ".", dirs_exist_ok=True)


# Inputs stay ----------------------------------------------------------------------------------------------------------

LINKS = {
    "the same path": lambda file: file,
    "another path": lambda file: f"../{Path.cwd().name}/{file}",
    "a symbolic link": lambda file: os.symlink(file, "link") or "link",
    "a hard link": lambda file: os.link(file, "link") or "link",
}


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("file", ["animals.csv", "run/model.skops"])
def test_predict_does_not_replace_what_it_reads(softxent, file, link, lang):
    before, out = Path(file).read_bytes(), LINKS[link](file)
    expected = {
        "en": f"error: --out is {out!r}, but must not be a file that is read ({file!r})\n",
        "zh": f"错误：--out 是 {out!r}，不能与要读取的文件（{file!r}）相同\n",
    }
    assert softxent("predict", "run", "animals.csv", "--out", out, "--lang", lang) == (2, "", expected[lang])
    assert Path(file).read_bytes() == before


@pytest.mark.parametrize("option", ["data", "--val"])
def test_train_does_not_replace_what_it_reads(softxent, option):
    shutil.copy("animals.csv", "others.csv")
    data = "animals.csv" if option == "data" else "others.csv"
    os.link("animals.csv", "run/report.html")
    before = Path("animals.csv").read_bytes()
    words = ("train", data, "--val", "animals.csv", "--target", "label", "--out", "run", "--force")
    expected = "error: --out is 'run/report.html', but must not be a file that is read ('animals.csv')\n"
    assert softxent(*words) == (2, "", expected)
    assert Path("animals.csv").read_bytes() == before


# Whole files ----------------------------------------------------------------------------------------------------------


def test_file_is_there_when_it_is_complete():
    Path("out").write_text("old")
    with whole_file("out") as stream:
        stream.write(b"new")
        stream.flush()
        assert Path("out").read_text() == "old"
    assert Path("out").read_text() == "new"


@pytest.mark.parametrize("before", [None, "old"])
def test_file_is_as_it_was_if_writing_fails(before):
    if before:
        Path("out").write_text(before)
    listing = sorted(os.listdir())
    with pytest.raises(ZeroDivisionError), whole_file("out") as stream:
        stream.write(bytes(1 // 0))
    assert sorted(os.listdir()) == listing
    assert not before or Path("out").read_text() == before


def test_file_behind_a_symbolic_link_is_written():
    os.symlink("elsewhere", "out")
    with whole_file("out") as stream:
        stream.write(b"new")
    assert Path("out").is_symlink()
    assert Path("elsewhere").read_text() == "new"


def test_open_pipe_is_written_to():
    """As /dev/stdout is."""
    end, start = os.pipe()
    with whole_file(f"/dev/fd/{start}") as stream:
        stream.write(b"new")
    assert os.read(end, 10) == b"new"
    os.close(start)
    os.close(end)


def test_folder_is_refused_before_anything_is_read(softxent):
    assert softxent("predict", "run", "animals.csv", "--out", "run") == (2, "", f"error: 'run' {CANNOT}\n")
    assert sorted(os.listdir()) == sorted(os.listdir(SAVED))


CANNOT = "cannot be written: Is a directory"


def test_pipe_is_written_to_and_stays(softxent):
    os.mkfifo("pipe")
    read = []
    reader = threading.Thread(target=lambda: read.append(Path("pipe").read_text("utf-8")))
    reader.start()
    assert softxent("predict", "run", "animals.csv", "--proba", "--out", "pipe") == (0, "", "")
    reader.join()
    assert read[0].count("\n") == Path("predictions.csv").read_text("utf-8").count("\n")
    assert Path("pipe").is_fifo()


# Whole folders --------------------------------------------------------------------------------------------------------

# The process ends at its n-th call that changes what is on the disk, as if it were killed there
KILLED = """
import os, sys
from pathlib import Path
from softxent.app.outputs import settle, whole_folder

calls = int(sys.argv[1])
def count(event, arguments):
    global calls
    if event in ("os.rename", "os.mkdir", "os.rmdir", "os.remove") or event == "open" and "w" in str(arguments[1]):
        calls -= 1
        if calls == 0:
            os._exit(9)
sys.addaudithook(count)
folder = Path("folder")
with whole_folder(folder) as new:
    for name in ("model", "schema"):
        (new / name).write_text("new " + name)
settle(folder)
"""


def saved(folder):
    """What of the old or the new files a reader finds."""
    found = []
    for name in NAMES:
        with open_saved(folder, name) as stream:
            found.append(stream.read().decode())
    return found


@pytest.mark.parametrize("exists", [False, True])
def test_killed_at_each_step(exists):
    old, new = ([f"{age} {name}" for name in NAMES] for age in ("old", "new"))
    folder, states, code, calls = Path("folder"), [], None, 0
    while code != 0:
        calls += 1
        shutil.rmtree(folder, ignore_errors=True)
        if exists:
            folder.mkdir()
            for name, text in zip(NAMES, old, strict=True):
                (folder / name).write_text(text)
            (folder / "notes").write_text("mine")
        code = subprocess.run([sys.executable, "-c", KILLED, str(calls)], check=False).returncode
        assert code in (0, 9)
        states.append(saved(folder) if folder.exists() else None)
        if folder.exists():
            settle(folder)
            assert [(folder / name).read_text() for name in NAMES] == states[-1]
            assert {path.name for path in folder.iterdir() if ".saving" not in path.name} - {*NAMES} <= {"notes"}
    before = old if exists else None
    assert states[0] == before
    assert states[-1] == new
    assert states == sorted(states, key=lambda state: state == new)  # old up to one call, and new from it on
    assert all(state in (before, new) for state in states)
    assert calls > 6
    assert not exists or (folder / "notes").read_text() == "mine"


@pytest.mark.parametrize("name", ["model.skops", "metrics.json"])  # the first that is not moved
def test_run_is_the_new_one_before_its_files_are_moved(softxent, name):
    """As a crash leaves it after the rename: every command reads the new files, and the next training moves them."""
    other = Path("other")
    train = ("train", "animals.csv", "--target", "label", "--model", "linear", "--alpha", "0.1")
    assert softxent(*train, "--out", "other")[0] == 0
    expected = softxent("predict", "other", "animals.csv", "--proba")
    os.mkdir("run/.saved")
    for each in FILES[FILES.index(name) :]:
        shutil.copy(other / each, "run/.saved")
    for each in FILES[: FILES.index(name)]:
        shutil.copy(other / each, "run")
    assert softxent("predict", "run", "animals.csv", "--proba") == expected
    assert softxent(*train, "--out", "run")[0] == 0
    assert sorted(os.listdir("run")) == sorted(FILES)


class Disk:
    """A call of the system that fails at its n-th time."""

    def __init__(self, call, at):
        self.call, self.left = call, at

    def __call__(self, *arguments, **options):
        self.left -= 1
        if self.left == 0:
            raise OSError(5, "Input/output error", "a file")
        return self.call(*arguments, **options)


@pytest.mark.parametrize("call", ["rename", "replace", "mkdir", "fsync"])
@pytest.mark.parametrize("folder", ["run", "new"])
def test_disk_that_fails_leaves_one_run_or_the_other(monkeypatch, call, folder):
    run, before, at = Run([1.0], Schema("data", "target", ["a", "b"], [])), contents(folder), 0
    while True:
        at += 1
        disk, now = Disk(getattr(os, call), at), [f'{{\n "at": {at}\n}}', f"report {at}"]
        message = None
        with monkeypatch.context() as patched:
            patched.setattr(os, call, disk)
            try:
                run.save(folder, {"at": at}, lambda path, text=now[1]: path.write_text(text))
            except Mistake as mistake:
                message = str(mistake)
        if disk.left > 0:  # it was not called so often
            break
        stays = message == f"the run could not be saved in {folder!r}: Input/output error. {AS_IT_WAS}"
        assert stays or message in (None, "'a file' cannot be written: Input/output error")
        assert contents(folder) == (before if stays else now)
        before = contents(folder)
    assert at > (call != "replace" or folder == "run")
    assert contents(folder) == now


AS_IT_WAS = "A model that was there before is as it was."


def contents(folder):
    found = []
    for name in ("metrics.json", "report.html"):
        try:
            with open_saved(Path(folder), name) as stream:
                found.append(stream.read().decode())
        except FileNotFoundError:
            found.append(None)
    return found
