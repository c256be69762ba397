"""Threads: the same bits for any number of them, from many at once, and after fork()."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import softxent as sx
from tests.cases import SHAPES

PATIENCE = 60  # seconds until what should never hang is said to hang
COUNTS = [2, 3, 8]
FORKS = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork()")
FORK_WARNS = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")

# Beyond those shapes: enough rows for every thread, and rows long enough to be split
LARGE = [
    ((1200, 300), 1),
    ((40000, 10), 1),
    ((3, 100_000), 1),
    ((1, 300_000), 1),
    ((2, 21, 90, 90), 1),
    ((500, 999), 0),
]


@pytest.fixture(autouse=True)
def threads() -> Iterator[int]:
    count = sx.get_num_threads()
    yield count
    sx.set_num_threads(count)


def problem(shape: tuple[int, ...], axis: int, dtype: Any = np.float32) -> tuple[Any, Any, Any, int]:
    rng = np.random.default_rng([*shape, axis])
    logits = (20 * rng.standard_normal(shape)).astype(dtype)
    rows = shape[:axis] + shape[axis + 1 :]
    target = rng.integers(shape[axis], size=rows)
    target[rng.random(rows) < 0.1] = -100
    return logits, target, rng.random(shape[axis]), axis


def everything(logits: Any, target: Any, weight: Any, axis: int) -> bytes:
    """The bits of all that softxent computes."""
    results = (
        sx.softmax(logits, axis),
        sx.log_softmax(logits, axis),
        sx.logsumexp(logits, axis),
        sx.cross_entropy(logits, target, axis=axis),
        *sx.cross_entropy_and_grad(logits, target, axis=axis),
        *sx.cross_entropy_and_grad(logits, target, axis=axis, reduction="none", class_weight=weight, softcap=30.0),
        *sx.cross_entropy_and_grad(logits, target, axis=axis, label_smoothing=0.1, z_loss=0.01),
        *sx.sample(logits, axis=axis, rng=0, return_log_prob=True),
    )
    return b"".join(np.ascontiguousarray(result).tobytes() for result in results)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize(("shape", "axis"), SHAPES + LARGE)
def test_same_bits_for_any_number_of_threads(shape: tuple[int, ...], axis: int, dtype: Any) -> None:
    work = problem(shape, axis, dtype)
    sx.set_num_threads(1)
    alone = everything(*work)
    for count in COUNTS:
        sx.set_num_threads(count)
        assert everything(*work) == alone


def test_number_of_threads_may_change_at_any_time() -> None:
    work = problem((1200, 300), 1)
    expected = everything(*work)
    for count in [1, 2, 8, 2, 5, 1, 16, 3] * 5:
        sx.set_num_threads(count)
        assert sx.get_num_threads() == count
        assert everything(*work) == expected


@pytest.mark.parametrize(
    ("count", "error", "text"),
    [
        (0, ValueError, "count is 0, but must be between 1 and 1024"),
        (-1, ValueError, "count is -1, but must be between 1 and 1024"),
        (1025, ValueError, "count is 1025, but must be between 1 and 1024"),
        (2**40, ValueError, f"count is {2**40}, but must be between 1 and 1024"),
        (2.0, TypeError, "count is 2.0, but must be an integer"),
        ("2", TypeError, "count is '2', but must be an integer"),
        (None, TypeError, "count is None, but must be an integer"),
    ],
)
def test_bad_number_of_threads(count: Any, error: type[Exception], text: str, threads: int) -> None:
    with pytest.raises(error) as raised:
        sx.set_num_threads(count)
    assert str(raised.value) == text
    assert sx.get_num_threads() == threads


def test_number_of_threads_is_any_integer() -> None:
    sx.set_num_threads(np.int32(3))  # type: ignore[arg-type]
    assert sx.get_num_threads() == 3


def available() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@pytest.mark.parametrize(
    ("given", "count"),
    [("1", 1), ("3", 3), ("4,2", 4), ("100000", 1024), ("99999999999999999999", 1024)]
    + [(text, available()) for text in ("", "0", "-2", "many")]
    + [(None, available())],
)
def test_omp_num_threads(given: str | None, count: int) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    if given is not None:
        environment["OMP_NUM_THREADS"] = given
    command = [sys.executable, "-c", "import softxent; print(softxent.get_num_threads())"]
    done = subprocess.run(command, env=environment, capture_output=True, check=True, encoding="utf-8")
    assert int(done.stdout) == count


# How many threads there are more after a job for 3, and whether it came out the same. Once `limited`, the process has
# no room for another thread's stack.
HIRED = """
import os, resource, sys, threading
import numpy as np
import softxent as sx

logits, target = np.random.default_rng(0).standard_normal((600, 300)), np.zeros(600, int)
sx.set_num_threads(1)
threading.Thread(target=threading.Event().wait, daemon=True).start()  # a sanitizer starts its own with the first
_, expected = sx.cross_entropy_and_grad(logits, target)
out = np.empty_like(logits)
sx.cross_entropy_and_grad(logits, target, out=out)
if sys.argv[1] == "limited":
    size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + 2**20, resource.RLIM_INFINITY))
before = len(os.listdir("/proc/self/task"))
sx.set_num_threads(3)
sx.cross_entropy_and_grad(logits, target, out=out)
print(len(os.listdir("/proc/self/task")) - before, (out == expected).all())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@pytest.mark.parametrize(("room", "hired"), [("free", 2), ("limited", 0)])
def test_runs_with_the_threads_that_there_are(room: str, hired: int) -> None:
    if room == "limited" and "san" in os.environ.get("LD_PRELOAD", ""):
        pytest.skip("a sanitizer needs more memory")
    command = [sys.executable, "-c", HIRED, room]
    done = subprocess.run(command, capture_output=True, check=True, encoding="utf-8")
    assert done.stdout.split() == [str(hired), "True"]


# How many threads there are more after a call that may use argv[1] of the 4
LIMITED = """
import os, sys, threading
import numpy as np
import softxent as sx
from softxent.kernels import _cpu

logits, lse = np.random.default_rng(0).standard_normal((600, 300)), np.empty(600)
threading.Thread(target=threading.Event().wait, daemon=True).start()  # a sanitizer starts its own with the first
before = len(os.listdir("/proc/self/task"))
sx.set_num_threads(4)
_cpu.logsumexp(logits, 1, lse, threads=int(sys.argv[1]))
print(len(os.listdir("/proc/self/task")) - before, (lse == sx.logsumexp(logits)).all(), sx.get_num_threads())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@pytest.mark.parametrize(("threads", "hired"), [(0, 3), (1, 0), (2, 1), (9, 3), (-1, 3)])
def test_a_call_may_be_bounded_alone(threads: int, hired: int) -> None:
    command = [sys.executable, "-c", LIMITED, str(threads)]
    done = subprocess.run(command, capture_output=True, check=True, encoding="utf-8")
    assert done.stdout.split() == [str(hired), "True", "4"]


# The processors that a worker may use, of those that the process or the calling thread is confined to: `when` says if
# before the first call or after it. And whether the caller still may use all of its own.
AWAY = """
import os, sys, threading
import numpy as np
import softxent as sx

mine, when = {int(sys.argv[1])}, sys.argv[2]
threading.Thread(target=threading.Event().wait, daemon=True).start()  # a sanitizer starts its own with the first
before = set(os.listdir("/proc/self/task"))
sx.set_num_threads(2)
if when == "first":
    os.sched_setaffinity(0, mine)
for _ in range(50):
    sx.logsumexp(np.zeros((600, 300)))
os.sched_setaffinity(0, mine)
sx.logsumexp(np.zeros((600, 300)))
(worker,) = set(os.listdir("/proc/self/task")) - before
print(os.sched_getaffinity(int(worker)) == mine, os.sched_getaffinity(0) == mine)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@pytest.mark.parametrize(("when", "shares"), [("first", "True"), ("later", "False")])
def test_workers_leave_the_callers_processor_to_it(when: str, shares: str) -> None:
    """But for a process that has one only."""
    one = min(os.sched_getaffinity(0))
    if len(os.sched_getaffinity(0)) == 1:
        pytest.skip("needs 2 processors")
    done = subprocess.run(
        [sys.executable, "-c", AWAY, str(one), when], capture_output=True, check=True, encoding="utf-8"
    )
    assert done.stdout.split() == [shares, "True"]


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@pytest.mark.parametrize("shape", [(7, 131072), (20_000, 10)])
def test_sleeping_workers_are_woken(shape: tuple[int, int]) -> None:
    """Each works for some of the jobs that come after a pause."""
    logits = np.zeros(shape, np.float32)
    sx.set_num_threads(2)
    sx.softmax(logits)

    def worked() -> list[int]:  # ns, of each thread but this
        tasks = sorted(set(os.listdir("/proc/self/task")) - {str(threading.get_native_id())})
        return [int(Path(f"/proc/self/task/{task}/schedstat").read_text().split()[0]) for task in tasks]

    time.sleep(0.1)  # asleep
    before = worked()
    for _ in range(100):
        sx.softmax(logits)
        if worked() != before:
            return
        time.sleep(0.01)
    pytest.fail("no worker did anything")


# Many at once -----------------------------------------------------------------------------------------------------


def test_many_python_threads_at_once() -> None:
    sx.set_num_threads(2)
    work = [problem(shape, axis) for shape, axis in (SHAPES + LARGE) * 3]
    expected = [everything(*each) for each in work]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda each: everything(*each), work)) == expected


def test_number_of_threads_may_change_while_they_run() -> None:
    work = problem((1200, 300), 1)
    expected = everything(*work)
    stop = threading.Event()

    def change() -> None:
        while not stop.is_set():
            for count in (1, 2, 7, 3):
                sx.set_num_threads(count)

    changing = threading.Thread(target=change)
    changing.start()
    try:
        assert all(everything(*work) == expected for _ in range(20))
    finally:
        stop.set()
        changing.join()


def test_other_python_threads_go_on_meanwhile() -> None:
    logits = np.zeros((1000, 5000), np.float32)
    turns, over = 0, threading.Event()

    def count() -> None:
        nonlocal turns
        while not over.is_set():
            turns += 1
            time.sleep(0)  # lets the GIL go

    other = threading.Thread(target=count)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000)  # nobody has to let the GIL go: this thread does so only in the kernel
    try:
        other.start()
        before = turns
        for _ in range(1000):
            sx.logsumexp(logits)
            if turns > before:
                break
        after = turns
    finally:
        over.set()
        sys.setswitchinterval(interval)
        other.join()
    assert after > before


# The end of Python ------------------------------------------------------------------------------------------------

# Daemon threads that are inside softxent when Python ends, with the GIL or without it
ENDING = """
import sys, threading, time
import numpy as np
import softxent as sx

logits, target = np.zeros((int(sys.argv[2]), 1000), np.float32), np.zeros(int(sys.argv[2]), int)
functions = {
    "softmax": lambda: sx.softmax(logits),
    "cross_entropy": lambda: sx.cross_entropy_and_grad(logits, target),
    "sample": lambda: sx.sample(logits),
}

def compute():
    while True:
        functions[sys.argv[1]]()

for _ in range(3):
    threading.Thread(target=compute, daemon=True).start()
time.sleep(0.2)
"""


@pytest.mark.parametrize("function", ["softmax", "cross_entropy", "sample"])
@pytest.mark.parametrize("rows", [1, 20, 2000])
def test_daemon_threads_end_quietly_with_python(function: str, rows: int) -> None:
    command = [sys.executable, "-c", ENDING, function, str(rows)]
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE, encoding="utf-8")
    assert (done.returncode, done.stderr) == (0, "")


# fork() -----------------------------------------------------------------------------------------------------------


def in_child(compute: Callable[[], bytes]) -> bytes:
    """What a forked child computes; a child that hangs is killed."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(ours)
            with os.fdopen(theirs, "wb") as pipe:
                pipe.write(compute())
        finally:
            os._exit(0)
    os.close(theirs)
    timer = threading.Timer(PATIENCE, os.kill, (child, signal.SIGKILL))
    timer.start()
    with os.fdopen(ours, "rb") as pipe:
        written = pipe.read()
    os.waitpid(child, 0)
    timer.cancel()
    return written


@FORKS
@FORK_WARNS
@pytest.mark.parametrize("count", [1, 2, 8])
def test_fork_after_use(count: int) -> None:
    sx.set_num_threads(count)
    work = problem((1200, 300), 1)
    expected = everything(*work)
    assert in_child(lambda: everything(*work)) == expected
    assert in_child(lambda: in_child(lambda: everything(*work))) == expected
    assert everything(*work) == expected


@FORKS
@FORK_WARNS
def test_fork_while_another_thread_is_inside() -> None:
    sx.set_num_threads(3)
    work, (logits, target, *_) = problem((300, 300), 1), problem((2000, 1000), 1)
    expected = everything(*work)
    stop = threading.Event()

    def compute() -> None:
        while not stop.is_set():
            sx.cross_entropy_and_grad(logits, target)

    other = threading.Thread(target=compute)
    other.start()
    try:
        for _ in range(20):
            assert in_child(lambda: everything(*work)) == expected
            time.sleep(0.003)
    finally:
        stop.set()
        other.join()


def everything_of(shape: tuple[int, ...], axis: int) -> bytes:
    return everything(*problem(shape, axis))


@FORKS
@FORK_WARNS
def test_multiprocessing_by_fork() -> None:
    sx.set_num_threads(2)
    expected = [everything_of(*each) for each in LARGE[:3]]
    with multiprocessing.get_context("fork").Pool(3) as pool:
        assert pool.starmap_async(everything_of, LARGE[:3]).get(PATIENCE) == expected
