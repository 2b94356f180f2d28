"""`choose` names what came and the choices."""

import numpy as np
import pytest

from qc_jax.errors import NUMBER, InputError, choose, expect_fields, plain


def test_a_known_name_passes():
    choose("fruit", "pear", {"apple": 1, "pear": 2})


def test_an_unknown_name_is_told_with_all_the_choices():
    with pytest.raises(InputError, match=r"^unknown fruit 'fig'; choose one of: apple, pear$"):
        choose("fruit", "fig", ["pear", "apple"])


def test_an_empty_name_among_the_choices_is_seen():
    with pytest.raises(InputError, match=r"choose one of: '', quick$"):
        choose("preset", "slow", ("", "quick"))


def test_a_bad_input_is_a_value_error():
    assert issubclass(InputError, ValueError)


def test_messages_show_values_as_python_does():
    for value in ("eV", np.str_("eV"), b"eV", np.bytes_(b"eV"), np.array("eV")):
        assert repr(plain(value)) == "'eV'"
    assert repr(plain(np.float64(0.5))) == "0.5" and repr(plain(np.int32(3))) == "3"
    assert plain([1, 2]) == [1, 2] and plain(None) is None
    with pytest.raises(InputError, match=r"^unknown unit 'au'; choose one of: eV, Å$"):
        choose("unit", np.str_("au"), np.array(["eV", "Å"]))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([], r"f: expected fields and their values, got \[\]"),
        ({}, "f: expected a field 'a', got none"),
        ({"a": "x", "b": []}, "f: a: expected a number, got 'x'"),
        ({"a": 1}, "f: expected a field 'b', got a"),
        ({"a": 1, "b": {}}, "f: b: expected a list, got {}"),
        ({"a": None, "b": ["x", 3]}, r"f: b: \[1\]: expected text, got 3"),
        ({"a": 1, "b": [], "c": {"x": 1.5}}, "f: c: x: expected a whole number, got 1.5"),
    ],
)
def test_json_that_is_built_otherwise(value, said):
    kind = {"a": NUMBER, "b": [str], "c?": {...: int}}
    expect_fields("f", {"a": 1.5, "b": ["x"], "c": {"x": 1}, "d": 0}, kind)
    with pytest.raises(InputError, match=f"^{said}$"):
        expect_fields("f", value, kind)
