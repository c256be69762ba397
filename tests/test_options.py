"""The one list of options, and what is made from it: numbers, signatures, docstrings, the README's tables."""

import inspect
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

import softxent as sx
from softxent.options import DEFAULT, FIELDS, LossOptions, Options, markdown, takes_options
from tests.cases import BFLOAT16, FLOAT32
from tests.test_errors import raises

ROOT = Path(__file__).parents[1]
DIVISORS = ["temperature", "softcap", "normalizer"]
LEAST = 2.2250738585072014e-308  # the smallest normal number

# Numbers --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "half",
    [
        0.5,
        Fraction(1, 2),
        FLOAT32.type(0.5),
        np.float16(0.5),
        BFLOAT16.type(0.5),
        np.array(0.5),
        np.array(0.5, FLOAT32),
        torch.tensor(0.5),
        torch.tensor(0.5, dtype=torch.bfloat16),
    ],
)
@pytest.mark.parametrize("name", ["label_smoothing", "z_loss", *DIVISORS])
def test_numbers_become_pythons(name, half):
    options = LossOptions(**{name: half})
    assert type(getattr(options, name)) is float
    assert options == LossOptions(**{name: 0.5})
    assert sx.cross_entropy([1.0, 2.0], 1, **{name: half}) == sx.cross_entropy([1.0, 2.0], 1, **{name: 0.5})


@pytest.mark.parametrize("one", [1, np.int64(1), np.uint8(1), np.array(1), torch.tensor(1)])
def test_integers_become_pythons(one):
    assert type(LossOptions(ignore_index=one).ignore_index) is int
    assert type(LossOptions(temperature=one).temperature) is float
    assert sx.cross_entropy([[1.0, 2.0]], [1], ignore_index=one) == 0
    assert sx.statistics([[1.0, 2.0]], [1], ignore_index=one).rank == -1


@pytest.mark.parametrize("array", [np.array(0.5), torch.tensor(0.5)])
def test_what_is_changed_in_place_later_changes_nothing(array):
    options = LossOptions(temperature=array)
    array *= 2
    assert options.temperature == 0.5
    before, after = (sx.cross_entropy([1.0, 2.0], 1, temperature=t) for t in (0.5, array))
    assert before != after


def test_equal_and_hashable():
    a, b = LossOptions(temperature=np.array(2.0)), LossOptions(temperature=2)
    assert a == b
    assert hash(a) == hash(b)
    assert len({a, b, LossOptions(), DEFAULT}) == 2
    for name, value in (("ignore_index", 1), ("reduction", "sum"), ("softcap", 5), ("normalizer", 2)):
        assert replace(DEFAULT, **{name: value}) != DEFAULT
    w = np.ones(3)
    assert LossOptions(class_weight=w) == LossOptions(class_weight=w)
    assert LossOptions(class_weight=w) != LossOptions(class_weight=w.copy())
    assert DEFAULT != 0


# Errors ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in FIELDS if FIELDS[name].type.startswith("float")])
def test_a_number_that_requires_grad_is_refused(name):
    number = torch.tensor(0.5, requires_grad=True)
    text = f"{name} requires grad, but softxent has no derivative for it; pass {name}.detach()"
    with raises(ValueError, text):
        LossOptions(**{name: number})
    assert getattr(LossOptions(**{name: number.detach()}), name) == 0.5


@pytest.mark.parametrize("name", DIVISORS)
def test_a_divisor_whose_inverse_overflows_is_refused(name):
    with raises(ValueError, f"{name} is 5e-324, but must be at least {LEAST}"):
        LossOptions(**{name: 5e-324})
    loss, grad = sx.cross_entropy_and_grad([3.0, 2.0], 0, **{name: LEAST})
    assert not np.isnan(loss)
    assert not np.isnan(grad).any()


@pytest.mark.parametrize("f", [sx.softmax, sx.log_softmax, sx.sample])
def test_temperature_is_checked_alike_everywhere(f):
    with raises(ValueError, f"temperature is 1e-310, but must be at least {LEAST}"):
        f([1.0, 2.0], temperature=1e-310)
    for g in (sx.log_prob, sx.statistics):
        with raises(ValueError, f"temperature is 1e-310, but must be at least {LEAST}"):
            g([1.0, 2.0], 0, temperature=1e-310)


@pytest.mark.parametrize(
    ("options", "kind", "text"),
    [
        (
            {"temperature": 10**400},
            ValueError,
            "temperature is an integer of 1329 bits, but must be a finite number above 0",
        ),
        (
            {"temperature": 10**5000},
            ValueError,
            "temperature is an integer of 16610 bits, but must be a finite number above 0",
        ),
        ({"temperature": 1j}, ValueError, "temperature is 1j, but must be a finite number above 0"),
        (
            {"temperature": np.array("hot")},
            ValueError,
            "temperature is array('hot', dtype='<U3'), but must be a finite number above 0",
        ),
        ({"temperature": b"1"}, ValueError, "temperature is b'1', but must be a finite number above 0"),
        ({"temperature": [1]}, ValueError, "temperature is [1], but must be a finite number above 0"),
        (
            {"temperature": torch.ones(1)},
            ValueError,
            "temperature is tensor([1.]), but must be a finite number above 0",
        ),
        ({"ignore_index": True}, TypeError, "ignore_index is True, but must be an integer"),
        ({"ignore_index": 2**63}, ValueError, "ignore_index is 9223372036854775808, but must be an int64"),
        ({"ignore_index": -(2**63) - 1}, ValueError, "ignore_index is -9223372036854775809, but must be an int64"),
        ({"ignore_index": 10**5000}, ValueError, "ignore_index is an integer of 16610 bits, but must be an int64"),
        (
            {"reduction": np.zeros(3)},
            ValueError,
            "reduction is of shape (3,), but must be one of 'none', 'sum', 'mean'",
        ),
    ],
)
def test_errors(options, kind, text):
    with raises(kind, text):
        LossOptions(**options)
    if "reduction" not in options:
        for f in (sx.cross_entropy, sx.statistics, sx.log_prob):
            with raises(kind, text):
                f([1.0, 2.0], 0, **options)


@pytest.mark.parametrize("value", [-(2**63), 2**63 - 1])
def test_any_int64_may_be_ignored(value):
    assert sx.cross_entropy([[1.0, 2.0]], [value], ignore_index=value) == 0
    assert sx.log_prob([[1.0, 2.0]], [value], ignore_index=value) == 0


# What is made from the fields -----------------------------------------------------------------------------------------


def test_the_typed_dict_is_the_fields():
    spelled = inspect.get_annotations(Options)
    assert list(spelled) == list(FIELDS)
    assert {name: hint.__forward_arg__ for name, hint in spelled.items()} == {n: f.type for n, f in FIELDS.items()}
    assert not Options.__required_keys__


@pytest.mark.parametrize("f", [sx.cross_entropy, sx.cross_entropy_and_grad])
def test_signatures_list_the_options(f):
    listed = inspect.signature(f).parameters
    assert list(listed)[-len(FIELDS) :] == list(FIELDS)
    for name, field in FIELDS.items():
        assert listed[name].kind is inspect.Parameter.KEYWORD_ONLY
        assert listed[name].default == field.default
        assert f"{name:<15}  {field.metadata['meaning']['en']}" in f.__doc__.splitlines()
    assert "options" not in listed


def test_options_of_another_convention():
    @takes_options
    def loss(input, weight=None, reduction="mean", **options):
        """{options}"""

    assert list(inspect.signature(loss).parameters) == [
        *("input", "weight", "reduction"),
        *(name for name in FIELDS if name not in ("class_weight", "reduction")),
    ]
    assert "class_weight" not in loss.__doc__


@pytest.mark.parametrize(("file", "language"), [("README.md", "en"), ("README.zh.md", "zh")])
def test_the_readmes_have_the_table(file, language):
    assert f"\n\n{markdown(language)}\n\n" in (ROOT / file).read_text("utf-8")


def test_every_option_has_a_meaning_and_fits_a_line():
    for field in FIELDS.values():
        assert set(field.metadata["meaning"]) == {"en", "zh"}
        assert len(field.metadata["meaning"]["en"]) <= 110
