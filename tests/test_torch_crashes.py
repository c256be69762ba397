"""What once ended the process: in a process of its own each ends well, with PyTorch's numbers or with an error."""

import json
import multiprocessing
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system cannot fork")

# A loss times a number --------------------------------------------------------------------------------------------

FACTORS = ["-l", "0.5 * l", "l / 4", "torch.tensor(3.0) * l", "torch.tensor(-2.0, dtype=torch.float64) * l"]
SCALED = {
    f"{factor}, {classes} classes, {dtype}": (
        f"a, b = torch.randn(64, {classes}, generator=g).to(torch.{dtype}), torch.zeros(64).long();"
        f"of = lambda f: grad(lambda x: (lambda l: {factor})(f(x, b)), a);"
        "same(of(S.cross_entropy), of(F.cross_entropy), rtol=1e-2, atol=1e-3)"
    )
    for factor in FACTORS
    for classes in (8, 64, 65, 1000)  # up to 4096 logits, and beyond
    for dtype in ("float32", "float64", "float16")
}  # fmt: skip

# Memory that is elsewhere, or nowhere -----------------------------------------------------------------------------

ON_META = {
    "cross_entropy": "same(S.cross_entropy(x, t), F.cross_entropy(x, t))",
    "cross_entropy of rows": 'same(S.cross_entropy(x, t, reduction="none"), F.cross_entropy(x, t, reduction="none"))',
    "cross_entropy backward": "same(grad(S.cross_entropy, x, t), GRAD)",
    "cross_entropy backward, scaled": "same(grad(lambda x: 2 * S.cross_entropy(x, t), x), 2 * GRAD)",
    "cross_entropy backward of rows": 'same(grad(S.cross_entropy, x, t, reduction="none"), 4 * GRAD)',
    "cross_entropy in place": "same(grad(lambda x: S.cross_entropy(x * 1, t, inplace=True), x), GRAD)",
    "cross_entropy, forward mode": "same(torch.func.jvp(lambda x: S.cross_entropy(x, t), (x,), (x,)), JVP)",
    "cross_entropy, Hessian": "same(torch.func.hessian(lambda x: S.cross_entropy(x, t))(x), HESSIAN)",
    "of a target that is a list": "same(sx.cross_entropy(x, [1, 0, 3, 2], class_weight=[1.0] * 5), LOSS)",
    "cross_entropy_and_grad": "same(sx.cross_entropy_and_grad(x, t)[1], GRAD)",
    "cross_entropy_and_grad, large": "same(sx.cross_entropy_and_grad(HUGE, HUGE_T)[0], F.cross_entropy(HUGE, HUGE_T))",
    "softmax": "same(S.softmax(x, 1), x.softmax(1))",
    "softmax, large": "same(S.softmax(HUGE, 1), HUGE.softmax(1))",
    "softmax backward": "same(grad(S.softmax, x, 1, upstream=x), grad(torch.softmax, x, 1, upstream=x))",
    "softmax of bfloat16, backward": "same(grad(S.softmax, H, 1, upstream=H), SOFTMAX_GRAD, rtol=0.02, atol=0.01)",
    "log_softmax": "same(S.log_softmax(x, 1), x.log_softmax(1))",
    "logsumexp": "same(S.logsumexp(x, 1), x.logsumexp(1))",
    "log_prob": 'same(S.log_prob(x, t), -F.cross_entropy(x, t, reduction="none"))',
    "statistics": "same(S.statistics(x, t).lse, x.logsumexp(1))",
    "sample": "same(S.sample(SURE), t)",
    "sx.sample": "same(sx.sample(SURE, rng=0), t)",
    "sample with log_prob": "same(S.sample(SURE, return_log_prob=True)[1], torch.zeros(4, device='cpu'))",
}  # fmt: skip
BEFORE = """
LOSS, H = F.cross_entropy(x, t), x.bfloat16()
SOFTMAX_GRAD = grad(torch.softmax, H, 1, upstream=H)
HUGE, HUGE_T = torch.randn(1100, 1000, generator=g), torch.zeros(1100).long()
GRAD, JVP = grad(F.cross_entropy, x, t), torch.func.jvp(lambda x: F.cross_entropy(x, t), (x,), (x,))
HESSIAN, SURE = torch.func.hessian(lambda x: F.cross_entropy(x, t))(x), 1e3 * F.one_hot(t, 5).float()
"""
DEFAULT_DEVICE = {
    f"with torch.device: {name}": f"{BEFORE}\nwith torch.device('meta'): {code}" for name, code in ON_META.items()
} | {
    f"set_default_device: {name}": f"{BEFORE}\ntorch.set_default_device('meta'); {ON_META[name]}"
    for name in ("cross_entropy", "cross_entropy backward", "logsumexp", "sample")
}  # fmt: skip

ZEROS = "torch._efficientzerotensor"  # of PyTorch's own autograd: a tensor without memory
WITHOUT_MEMORY = {
    "zeros as logits": f"same(S.cross_entropy({ZEROS}((4, 5)), t), F.cross_entropy(torch.zeros(4, 5), t))",
    "zeros as probabilities": f"same(S.cross_entropy(x, {ZEROS}((4, 5))), torch.tensor(0.0))",
    "zeros as class indices": f"same(S.cross_entropy(x, {ZEROS}((4,), dtype=torch.int64)), F.cross_entropy(x, 0 * t))",
    "zeros as weight": f'same(S.cross_entropy(x, t, {ZEROS}((5,)), reduction="sum"), torch.tensor(0.0))',
    "zeros as upstream gradient": (
        f'same(grad(S.cross_entropy, x, t, reduction="none", upstream={ZEROS}((4,))), torch.zeros(4, 5))'
    ),
    "zeros to softmax": f"same(S.softmax({ZEROS}((4, 5)), 1), torch.full((4, 5), 0.2))",
    "zeros to logsumexp": f"same(S.logsumexp({ZEROS}((4, 5)), 1), torch.full((4,), 5.0).log())",
    "zeros to statistics": f"same(S.statistics({ZEROS}((4, 5)), t).lse, torch.full((4,), 5.0).log())",
    "zeros to sample": f"same(S.sample({ZEROS}((4, 5))).shape, torch.Size([4]))",
    "zeros as target of log_prob": f"same(S.log_prob(x, {ZEROS}((4,), dtype=torch.int64)), x.log_softmax(1)[:, 0])",
    "zeros as upstream gradient of softmax": f"same(grad(S.softmax, x, 1, upstream={ZEROS}((4, 5))), 0 * x)",
}  # fmt: skip

GONE = {
    "logits": ("input", "S.cross_entropy({}(x), t)"),
    "probabilities": ("target", "S.cross_entropy(x, {}(p))"),
    "class indices": ("target", "S.cross_entropy(x, {}(t))"),
    "weight": ("weight", "S.cross_entropy(x, t, {}(w))"),
    "sx logits": ("logits", "sx.cross_entropy({}(x), t)"),
    "class_weight": ("class_weight", "sx.cross_entropy(x, t, class_weight={}(w))"),
    "out": ("out", "sx.cross_entropy_and_grad(x, t, out={}(x))"),
    "softmax": ("input", "S.softmax({}(x), 1)"),
    "log_softmax": ("input", "S.log_softmax({}(x), 1)"),
    "logsumexp": ("input", "S.logsumexp({}(x), 1)"),
    "sx.softmax": ("logits", "sx.softmax({}(x))"),
    "sample": ("input", "S.sample({}(x))"),
    "sx.sample": ("logits", "sx.sample({}(x))"),
    "statistics": ("input", "S.statistics({}(x), t)"),
    "target of statistics": ("target", "S.statistics(x, {}(t))"),
    "target of log_prob": ("target", "S.log_prob(x, {}(t))"),
}
FREED = {
    f"freed {name}": f"refused(lambda: {call.format('freed')}, {argument!r})"
    for name, (argument, call) in GONE.items()
}  # fmt: skip
FAKE = {  # outside their FakeTensorMode: PyTorch computes a fake result, or refuses to mix them with real tensors
    f"fake {name}": f"y = {call.format('fake')}; print('same', type(y[0] if isinstance(y, tuple) else y).__name__)"
    for name, (_, call) in GONE.items()
    if name != "out"
}  # fmt: skip
WRITTEN_OR_READ_LATER = {
    "fake out": "refused(lambda: sx.cross_entropy_and_grad(x, t, out=fake(x)), '')",
    "logits freed before backward": (
        "z = x.clone().requires_grad_() * 1; loss = S.cross_entropy(z, t, reduction='none').sum();"
        "z.untyped_storage().resize_(0); refused(loss.backward, '')"
    ),
}

# Subclasses of Tensor whose memory is another tensor's ----------------------------------------------------------------

ROLES = {
    "logits": "M.cross_entropy({}(x), t)",
    "probabilities": "M.cross_entropy(x, {}(p))",
    "probabilities, of rows": "M.cross_entropy(x, {}(p), reduction='none')",
    "class indices": "M.cross_entropy(x, {}(t))",
    "weight": "M.cross_entropy(x, t, {}(w))",
    "weight and probabilities": "M.cross_entropy(x, p, {}(w))",
    "everything": "M.cross_entropy({0}(x), {0}(t), {0}(w))",
    "the gradient's target": "grad(M.cross_entropy, x, {}(p))",
    "the gradient's weight": "grad(M.cross_entropy, x, t, {}(w))",
    "upstream gradient": "grad(M.cross_entropy, x, t, reduction='none', upstream={}(w[:4]))",
    "upstream gradient of a mean": "grad(M.cross_entropy, x, t, upstream={}(torch.tensor(2.0)))",
    "upstream gradient of softmax": "grad(M.softmax, x, 1, upstream={}(p))",
    "softmax": "M.softmax({}(x), 1)",
    "log_softmax": "M.log_softmax({}(x), 1)",
}
OWN_ROLES = {
    "logsumexp": "S.logsumexp({}(x), 1)",
    "statistics": "S.statistics({}(x), t).lse",
    "target of statistics": "S.statistics(x, {}(t)).log_prob",
    "log_prob": "S.log_prob({}(x), t)",
    "target of log_prob": "S.log_prob(x, {}(t))",
    "sample": "S.sample({}(1e3 * F.one_hot(t, 5).float()))",
    "sx.cross_entropy": "sx.cross_entropy(x, {}(p))",
    "class_weight": "sx.cross_entropy(x, t, class_weight={}(w))",
    "cross_entropy_and_grad": "sx.cross_entropy_and_grad(x, {}(t))[1]",
    "logits of cross_entropy_and_grad": "sx.cross_entropy_and_grad({}(x), t)[1]",
}
SUBCLASSES = {
    f"{kind} as {name}": f"of = lambda M: {call.format(kind)}; same(inner(of(S)), inner(of(F)))"
    for kind in ("Wrapper", "arriving")
    for name, call in ROLES.items()
} | {
    f"{kind} as {name}": f"same(inner({call.format(kind)}), {call.format('')})"
    for kind in ("Wrapper", "arriving")
    for name, call in OWN_ROLES.items()
}  # fmt: skip
DTENSORS = {
    f"DTensor {logits}, {target} {where}, {reduction}": f"""
def of(f):
    a = distributed(x.clone(), {logits!r}).requires_grad_()
    loss = f(a, distributed({target}, {where!r}), reduction={reduction!r})
    loss.sum().backward()
    return whole(loss.detach()), whole(a.grad)
same(of(S.cross_entropy), of(F.cross_entropy))"""
    for logits in ("R", 0, 1)
    for target, where in (("t", "R"), ("t", 0), ("p", logits))
    for reduction in ("mean", "sum", "none")
} | {
    f"DTensor {logits}, {name}": f"""
def of(f):
    a = distributed(x.clone(), {logits!r}).requires_grad_()
    y = f(a, 1)
    y.square().sum().backward()
    return whole(y.detach()), whole(a.grad)
same(of(S.{name}), of(torch.{name}))"""
    for logits in ("R", 0, 1)
    for name in ("softmax", "log_softmax", "logsumexp")
} | {  # where PyTorch refuses to mix them
    "DTensor target of a tensor": "refused(lambda: S.cross_entropy(x, distributed(p, 'R')), '')",
    "DTensor weight of a tensor": "refused(lambda: S.cross_entropy(x, t, distributed(w, 'R')), '')",
}  # fmt: skip

# torch.func, and more axes than the kernel has room for --------------------------------------------------------------

FUNC = {
    "vjp called outside": """
of = lambda M, v: torch.func.vjp(lambda x: M.cross_entropy(x, t), x)[1](v)[0]
same(of(S, torch.tensor(2.0)), of(F, torch.tensor(2.0)))""",
    "vjp of losses called outside": """
of = lambda M: torch.func.vjp(lambda x: M.cross_entropy(x, t, reduction="none"), x)[1](torch.arange(4.0))[0]
same(of(S), of(F))""",
    "vjp called outside, and differentiated": """
def of(M):
    a = x.double().requires_grad_()
    torch.func.vjp(lambda x: M.cross_entropy(x, t), a)[1](torch.ones((), dtype=a.dtype))[0].square().sum().backward()
    return a.grad
same(of(S), of(F))""",
    "vjp of sampling called outside": """
i, vjp = torch.func.vjp(lambda x: S.sample(x, return_log_prob=True)[1], x)
same(vjp(torch.ones(4))[0].sum(1), torch.zeros(4))""",
    "grad of sampling": """
same(torch.func.grad(lambda x: S.sample(x, return_log_prob=True)[1].sum())(x).sum(1), torch.zeros(4))""",
    "jvp of sampling": """
same(torch.func.jvp(lambda x: S.sample(x, return_log_prob=True)[1], (x,), (torch.ones(4, 5),))[1], torch.zeros(4))""",
    "vmap of sampling": """
y = 1e3 * F.one_hot(t, 5).float()
same(torch.func.vmap(S.sample, randomness="different")(y), t)
same(torch.func.vmap(S.sample, randomness="same")(y), t)""",
    "functionalized loss and gradient": """
same(torch.func.functionalize(lambda x: sx.cross_entropy_and_grad(x, t))(x), sx.cross_entropy_and_grad(x, t))""",
    "functionalized sampling": "same(torch.func.functionalize(S.sample)(1e3 * F.one_hot(t, 5).float()), t)",
}
MANY_AXES = {  # PyTorch's own kernels end at 64
    "softmax": "S.softmax(deep(3), 70)",
    "log_softmax": "S.log_softmax(deep(3), -1)",
    "logsumexp": "S.logsumexp(deep(3), 70)",
    "cross_entropy": "S.cross_entropy(deep(3).movedim(70, 1), deep().long())",
    "cross_entropy with probabilities": "S.cross_entropy(deep(3).movedim(70, 1), deep(3).movedim(70, 1))",
    "cross_entropy_and_grad": "sx.cross_entropy_and_grad(deep(3), deep().long())",
    "sample": "S.sample(deep(3))",
    "statistics": "S.statistics(deep(3), deep().long())",
    "log_prob": "S.log_prob(deep(3), deep().long())",
}
TOO_MANY = {
    f"70 axes, {name}": f"""
try:
    {call}
except (ValueError, RuntimeError, TypeError) as error:
    assert "axes" in str(error) or "dim" in str(error), error
print("same")"""
    for name, call in MANY_AXES.items()
}

TABLES = [SCALED, DEFAULT_DEVICE, WITHOUT_MEMORY, FREED, WRITTEN_OR_READ_LATER, SUBCLASSES, DTENSORS, FUNC, TOO_MANY]
CASES = {name: case for table in TABLES for name, case in table.items()}


@pytest.fixture(scope="module")
def ended():
    """Of each case its exit code and what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.torch_in_a_fork"],
        cwd=Path(__file__).parents[1],
        input=json.dumps({**CASES, **FAKE}),
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", CASES)
def test_ends_well(ended, name):
    code, printed = ended[name]
    assert code == 0, printed
    lines = {line for line in printed.splitlines() if not line.startswith("[./gloo/")}  # its INFO
    assert lines in ({"same"}, {"refused"}), printed


@pytest.mark.parametrize("name", FAKE)
def test_fake_tensors_have_no_memory(ended, name):
    """The result is fake as well, or an error; never the numbers of memory that is not there."""
    code, printed = ended[name]
    assert code == 0, printed
    assert re.match(r"same FakeTensor$|\w+(Error|Exception): ", printed), printed
