"""The memory of large results: kept for the next, never for two at once, and given back when asked."""

import io
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import softxent as sx
import softxent.torch as S
from softxent import memory
from tests.cases import BFLOAT16, FLOAT16, FLOAT32, FLOAT64

ROWS, CLASSES = 1100, 1000  # 4.4 MB of float32
Work = tuple[Any, Any]


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    sx.keep_memory(False)
    sx.keep_memory()
    yield
    sx.keep_memory()


def problem(rows: int = ROWS, dtype: Any = FLOAT32, seed: int = 0) -> Work:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((rows, CLASSES), np.float32).astype(dtype), rng.integers(CLASSES, size=rows)


def by_numpy(logits: Any, target: Any) -> Any:
    return sx.cross_entropy_and_grad(logits, target)[1]


def by_torch(logits: Any, target: Any) -> Any:
    x = torch.from_numpy(logits).requires_grad_()
    return torch.autograd.grad(S.cross_entropy(x, torch.from_numpy(target)), x)[0]


def address(x: Any) -> int:
    return x.data_ptr() if isinstance(x, torch.Tensor) else x.ctypes.data


def same(a: Any, b: Any) -> bool:
    return bool((a == b).all())


def copied(x: Any) -> Any:
    return x.clone() if isinstance(x, torch.Tensor) else x.copy()


both = pytest.mark.parametrize("gradient", [by_numpy, by_torch])


@both
def test_the_next_result_takes_the_memory_of_the_last(gradient: Callable[..., Any]) -> None:
    work = problem()
    first = gradient(*work)
    where, expected = address(first), copied(first)
    assert where % 64 == 0
    del first
    second = gradient(*work)
    assert address(second) == where
    assert same(second, expected)


@pytest.mark.parametrize("dtype", [FLOAT16, BFLOAT16, FLOAT32, FLOAT64])
@pytest.mark.parametrize("f", [sx.softmax, sx.log_softmax])
def test_of_every_dtype_and_function(f: Callable[..., Any], dtype: Any) -> None:
    x, _ = problem(2 * ROWS, dtype)
    first = f(x)
    expected, where = first.copy(), address(first)
    assert first.dtype == x.dtype
    del first
    second = f(x)
    assert address(second) == where
    assert same(second, expected)


USES = {
    by_numpy: [
        lambda x: x[5:],
        lambda x: x.T.view(np.int32),
        torch.from_numpy,
        memoryview,
        lambda x: x.reshape(-1),
        lambda x: x.base,
        lambda x: x.base.base,
        lambda x: memoryview(x.base.base)[5:],
    ],
    by_torch: [torch.Tensor.numpy, torch.Tensor.detach, torch.Tensor.untyped_storage, lambda x: x[5:]],
}


@pytest.mark.parametrize(("gradient", "of"), [(gradient, of) for gradient, all_of in USES.items() for of in all_of])
def test_memory_in_use_is_not_taken(gradient: Callable[..., Any], of: Callable[[Any], Any]) -> None:
    work = problem()
    first = gradient(*work)
    expected, where, in_use = copied(first), address(first), of(first)
    del first
    second = gradient(*work)
    assert address(second) != where
    assert same(second, expected)
    del in_use
    assert address(gradient(*work)) == where


@both
def test_two_results_a_step_keep_two_blocks(gradient: Callable[..., Any]) -> None:
    work = problem(), problem(2 * ROWS)
    steps = []
    for _ in range(3):
        results = [gradient(*each) for each in work]
        steps.append({address(result) for result in results})
        del results
    assert steps[0] == steps[1] == steps[2]
    assert len(steps[0]) == 2


@pytest.mark.parametrize("rows", [ROWS * 3, ROWS])
def test_memory_of_another_size_is_given_up(rows: int) -> None:
    by_numpy(*problem(ROWS * 3 if rows == ROWS else ROWS))
    (block,) = map(weakref.ref, memory._free)
    by_numpy(*problem(rows))
    assert block() is None
    assert [len(block) for block in memory._free] == [rows * CLASSES * 4]


@both
def test_nothing_is_kept_when_asked_not_to(gradient: Callable[..., Any]) -> None:
    work = problem()
    result = gradient(*work)
    sx.keep_memory(False)
    expected = copied(result)
    del result
    assert same(gradient(*work), expected)
    assert not memory._free
    gradient(*work).resize_(3) if gradient is by_torch else gradient(*work).resize(3)


@both
def test_what_is_kept_is_bounded(gradient: Callable[..., Any]) -> None:
    """By twice the largest of the last results, however many are dropped at once."""
    work, large = problem(), problem(3 * ROWS)
    size = work[0].nbytes
    results = [gradient(*work) for _ in range(10)]
    assert sx.kept_memory() == 0
    del results
    assert sx.kept_memory() == 2 * size
    results = [gradient(*large), *(gradient(*work) for _ in range(10))]
    del results
    assert sx.kept_memory() <= 6 * size
    for _ in range(memory.RECENT):
        gradient(*work)
    results = [gradient(*work) for _ in range(10)]
    del results
    assert sx.kept_memory() == 2 * size


def test_what_is_kept_is_shown() -> None:
    assert sx.kept_memory is S.kept_memory
    result = by_numpy(*problem())
    assert sx.kept_memory() == 0
    del result
    assert sx.kept_memory() == ROWS * CLASSES * 4
    sx.keep_memory(False)
    assert sx.kept_memory() == 0


def test_small_results_are_left_to_malloc() -> None:
    sx.softmax(problem(10)[0])
    assert not memory._free


@pytest.mark.skipif(not os.path.exists("/proc/self/smaps"), reason="needs /proc")
def test_the_system_may_take_what_is_kept() -> None:
    """Its contents may then be gone; the next result is none the worse for it."""
    work = problem(8 * ROWS)
    expected = by_numpy(*work).copy()
    (block,) = memory._free
    maps = Path("/proc/self/smaps").read_text().splitlines()
    lazy = [int(line.split()[1]) for line in maps if line.startswith("LazyFree")]
    assert sum(lazy) * 1024 >= len(block) / 2
    block[:] = bytes(len(block))
    assert same(by_numpy(*work), expected)


@pytest.mark.parametrize("advice", [-1, None])
def test_a_system_that_takes_no_advice(advice: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no huge pages, and could not take what is kept: so nothing is."""
    for name in ("MADV_HUGEPAGE", "MADV_FREE"):
        if advice is None:
            monkeypatch.delattr(f"mmap.{name}", raising=False)
        else:
            monkeypatch.setattr(f"mmap.{name}", advice, raising=False)
    x, _ = problem()
    assert same(sx.softmax(x), sx.softmax(x.copy()))
    assert not memory._free


@pytest.mark.parametrize("order", ["C", "F", "strided"])
def test_lies_in_memory_as_empty_like_does(order: str) -> None:
    x = np.random.default_rng(0).standard_normal((40, 50, 3, 200), np.float32)
    x = x[::-1].transpose(2, 0, 1, 3) if order == "strided" else np.asarray(x, order=order)  # type: ignore[call-overload]
    p = sx.softmax(x)
    assert p.strides == np.empty_like(x).strides
    assert p.flags.writeable
    assert same(p, sx.softmax(x.copy("C")))


def test_a_gradient_lies_in_memory_as_pytorchs() -> None:
    x = torch.randn(2, 21, 200, 200).contiguous(memory_format=torch.channels_last).requires_grad_()
    t = torch.randint(21, (2, 200, 200))
    y = x.detach().clone().requires_grad_()
    S.cross_entropy(x, t).backward()
    torch.nn.functional.cross_entropy(y, t).backward()
    assert x.grad is not None
    assert y.grad is not None
    assert x.grad.stride() == y.grad.stride() == x.stride()
    torch.testing.assert_close(x.grad, y.grad)


@pytest.mark.parametrize("rows", [10, ROWS])
def test_a_large_tensor_is_as_free_as_a_small_one(rows: int) -> None:
    """It is no view of a hidden one, which autograd would let nobody write to."""
    x, _ = problem(rows)
    log_p = S.log_softmax(torch.from_numpy(x).requires_grad_(), 1)
    log_p[:, :5] = 0
    log_p.exp_()
    with torch.no_grad():
        p = S.softmax(torch.from_numpy(x), 1)
    p.mul_(torch.ones(CLASSES, requires_grad=True)).sum().backward()
    assert p._base is None


def test_a_saved_gradient_takes_its_own_size() -> None:
    by_torch(*problem(ROWS * 3 // 2))
    grad = by_torch(*problem())  # in the larger block
    file = io.BytesIO()
    torch.save(grad, file)
    assert file.tell() < grad.nbytes + 10_000
    file.seek(0)
    assert same(torch.load(file), grad)


@both
def test_threads_never_share_memory(gradient: Callable[..., Any]) -> None:
    work = [problem(seed=seed) for seed in range(4)]
    expected = [copied(gradient(*each)) for each in work]
    wrong = []

    def repeat(k: int) -> None:
        for _ in range(20):
            result = gradient(*work[k])
            if not same(result, expected[k]):
                wrong.append(k)

    threads = [threading.Thread(target=repeat, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork()")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_forked_child_has_memory_of_its_own() -> None:
    x, _ = problem()
    expected = sx.softmax(x).copy()  # the block is free when the child takes it
    child = os.fork()
    if child == 0:
        sx.softmax(-x)
        os._exit(0)
    p = sx.softmax(x)
    assert os.waitpid(child, 0)[1] == 0
    assert same(p, expected)


NO_ROOM = """
import resource
import numpy as np, softxent as sx
x = np.zeros((3000, 10_000), np.float32)
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + 2**26, resource.RLIM_INFINITY))
try:
    sx.softmax(x)
except MemoryError as error:
    print(error)
"""


# Results of 40 MB are dropped where there is room for 60: does NumPy then find room for 50?
STARVED = """
import resource
import numpy as np, softxent as sx
x = np.zeros((1000, 10_000), np.float32)
sx.softmax(x)
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + 60_000_000, resource.RLIM_INFINITY))
for _ in range(3):
    sx.softmax(x)
    np.empty(50_000_000, np.uint8)
print(sx.kept_memory())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_nothing_is_kept_from_others_where_room_is_limited() -> None:
    if "san" in os.environ.get("LD_PRELOAD", ""):
        pytest.skip("a sanitizer needs more memory")
    done = subprocess.run([sys.executable, "-c", STARVED], capture_output=True, encoding="utf-8")
    assert (done.stdout, done.stderr) == ("0\n", "")


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_no_room() -> None:
    if "san" in os.environ.get("LD_PRELOAD", ""):
        pytest.skip("a sanitizer needs more memory")
    done = subprocess.run([sys.executable, "-c", NO_ROOM], capture_output=True, check=True, encoding="utf-8")
    assert done.stdout == "120000000 bytes for the result: Cannot allocate memory\n"
