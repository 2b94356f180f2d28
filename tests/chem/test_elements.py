"""Elements against ASE's data (another transcription of the same paper), and pair names."""

import importlib.resources

import numpy as np
import pytest

from qc_jax.chem import elements
from qc_jax.errors import InputError


def test_symbols_names_and_radii_are_those_of_ase():
    data = pytest.importorskip("ase.data")
    for number in range(1, elements.MAX_ATOMIC_NUMBER + 1):
        ours = elements.element(number)
        assert ours.atomic_number == number
        assert ours.symbol == data.chemical_symbols[number]
        assert ours.name == data.atomic_names[number]
        assert ours.covalent_radius_ang == pytest.approx(data.covalent_radii[number])


def test_the_file_ends_where_the_constant_says():
    text = importlib.resources.files("qc_jax.chem").joinpath("elements.csv").read_text()
    assert len(text.splitlines()) == 1 + elements.MAX_ATOMIC_NUMBER


def test_an_element_by_symbol_and_by_number_is_the_same():
    assert elements.element("Ag") is elements.element(47)
    assert elements.element(np.int32(47)) is elements.element("Ag")


@pytest.mark.parametrize("key", ["Xx", "ag", "AG", "", "47", " Ag", "Bk", 0, -1, 97, 1000])
def test_unknown_elements_are_named(key):
    with pytest.raises(InputError, match=f"unknown element .*{key}.*expected H to Cm"):
        elements.element(key)


def test_the_73_elements_of_gfn2():
    symbols = elements.GFN2_SYMBOLS
    assert len(symbols) == len(set(symbols)) == 73
    assert symbols[:2] == ("H", "He") and symbols[-1] == "Rn"
    assert {"La", "Lu"} < set(symbols)
    assert not {"Ce", "Yb", "Fr", "Ra", "Th"} & set(symbols)
    assert len(elements.pair_names(symbols)) == 2701


def test_pair_names_are_alphabetical():
    assert elements.pair_name("Al", "Ag") == elements.pair_name(47, 13) == "Ag_Al"
    assert elements.pair_name("H", "H") == "H_H"
    assert elements.pair_names(["O", "H", "C", "H"]) == ["C_C", "C_H", "C_O", "H_H", "H_O", "O_O"]
    with pytest.raises(InputError, match="'Zz'"):
        elements.pair_name("H", "Zz")
