"""Elements against ASE's data (another transcription of the same paper), the CRC Handbook and rules
of the periodic table; pair names."""

import importlib.resources

import numpy as np
import pytest

from qc_jax.chem import elements
from qc_jax.errors import InputError


def test_symbols_names_radii_and_masses_are_those_of_ase():
    data = pytest.importorskip("ase.data")
    for number in range(1, elements.MAX_ATOMIC_NUMBER + 1):
        ours = elements.element(number)
        assert ours.atomic_number == number
        assert ours.symbol == data.chemical_symbols[number]
        assert ours.name == data.atomic_names[number]
        assert ours.covalent_radius_ang == pytest.approx(data.covalent_radii[number])
        assert ours.mass_amu == pytest.approx(data.atomic_masses[number], rel=1e-9)


ALL = range(1, elements.MAX_ATOMIC_NUMBER + 1)

# CRC Handbook of Chemistry and Physics, 86th edition (2005), page 9-77: Z = 1 to 94, 0 for none.
CRC = """
2.20 0 0.98 1.57 2.04 2.55 3.04 3.44 3.98 0 0.93 1.31 1.61 1.90 2.19 2.58 3.16 0
0.82 1.00 1.36 1.54 1.63 1.66 1.55 1.83 1.88 1.91 1.90 1.65 1.81 2.01 2.18 2.55 2.96 0
0.82 0.95 1.22 1.33 1.6 2.16 2.10 2.2 2.28 2.20 1.93 1.69 1.78 1.96 2.05 2.1 2.66 2.60
0.79 0.89 1.10 1.12 1.13 1.14 0 1.17 0 1.20 0 1.22 1.23 1.24 1.25 0
1.0 1.3 1.5 1.7 1.9 2.2 2.2 2.2 2.4 1.9 1.8 1.8 1.9 2.0 2.2 0
0.7 0.9 1.1 1.3 1.5 1.7 1.3 1.3
"""
# Where it has Pauling's first values, a single decimal, and Allred's revision another; Kr and Tc.
NOT_CRC = {
    **{"Kr": 3.00, "Tc": 1.9, "Lu": 1.27, "W": 2.36, "Pt": 2.28, "Au": 2.54, "Hg": 2.00},
    **{"Tl": 1.62, "Pb": 2.33, "Bi": 2.02, "U": 1.38, "Np": 1.36, "Pu": 1.28},
}


def test_electronegativities_are_those_of_the_crc_handbook_or_a_later_revision():
    crc = [float(value) for value in CRC.split()]
    assert len(crc) == 94
    for number, value in enumerate(crc, start=1):
        ours = elements.element(number)
        expected = NOT_CRC.get(ours.symbol, value or None)
        assert ours.electronegativity == expected, ours.symbol
        assert ours.symbol not in NOT_CRC or value != expected


def test_periods_end_with_the_noble_gases():
    noble = [2, 10, 18, 36, 54, 86]
    for number in ALL:
        assert elements.element(number).period == 1 + sum(number > last for last in noble)
        assert (elements.element(number).group == 18) == (number in noble)


def test_groups_are_the_columns_of_the_table():
    """Lighter neighbours in a column stand 8, 18 or 32 numbers before."""
    columns = {
        **{1: "H Li Na K Rb Cs Fr", 2: "Be Mg Ca Sr Ba Ra", 3: "Sc Y Lu", 4: "Ti Zr Hf"},
        **{5: "V Nb Ta", 6: "Cr Mo W", 7: "Mn Tc Re", 8: "Fe Ru Os", 9: "Co Rh Ir"},
        **{10: "Ni Pd Pt", 11: "Cu Ag Au", 12: "Zn Cd Hg", 13: "B Al Ga In Tl"},
        **{14: "C Si Ge Sn Pb", 15: "N P As Sb Bi", 16: "O S Se Te Po", 17: "F Cl Br I At"},
        18: "He Ne Ar Kr Xe Rn",
    }
    expected = {symbol: group for group, column in columns.items() for symbol in column.split()}
    got = {elements.element(z).symbol: elements.element(z).group for z in ALL}
    assert {symbol: group for symbol, group in got.items() if group is not None} == expected
    assert [z for z in ALL if elements.element(z).group is None] == [*range(57, 71), *range(89, 97)]


def test_metals():
    others = "H He B C N O F Ne Si P S Cl Ar Ge As Se Br Kr Sb Te I Xe At Rn"
    got = [elements.element(z).symbol for z in ALL if not elements.element(z).metal]
    assert got == others.split()


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


def test_digits_for_a_symbol_are_told_which_it_is():
    with pytest.raises(InputError, match=r"symbol '47'; expected H to Cm, .*; 47 is 'Ag'$"):
        elements.element("47")
    with pytest.raises(InputError, match=r"symbol '970'; expected H to Cm, written like 'Ag'$"):
        elements.element("970")


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
