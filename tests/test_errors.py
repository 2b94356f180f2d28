"""`choose` names what came and the choices."""

import pytest

from qc_jax.errors import InputError, choose


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
