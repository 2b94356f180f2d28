"""geo_end.xyz: positions and populations of the last step."""

import itertools

import pytest

from qc_jax.dftb.parameters import covered_symbols, parameters
from qc_jax.engines.dftbplus import geometry
from qc_jax.engines.engine import EngineError

TEXT = """    2
Geometry Step: 4
   Li      0.00000000     -0.00000000     -0.05000000      0.50000000
    F      0.00000000      0.00000000      1.50000000      7.50000000
"""
ROW = TEXT.splitlines()[3]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_two_atoms(newline):
    assert geometry.parse(TEXT.replace("\n", newline)) == geometry.Geometry(
        step=4,
        symbols=["Li", "F"],
        positions=[[0.0, 0.0, -0.05], [0.0, 0.0, 1.5]],
        populations=[0.5, 7.5],
    )


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("    2\n", "    3\n", "geometry: 3 atoms in geo_end.xyz, expected 2"),
        ("    2\n", "", "geometry: geo_end.xyz begins with 'Geometry Step: 4'"),
        (TEXT, "", "geometry: geo_end.xyz begins with ''"),
        (TEXT, "    2", "geometry: no 'Geometry Step' in line 2"),
        ("Geometry Step: 4", "MD iter: 4", "geometry: no 'Geometry Step' in line 2"),
        (ROW, "", "geometry: 1 rows of atoms in geo_end.xyz, expected 2"),
        (ROW, ROW + "\n" + ROW, "geometry: 3 rows of atoms"),
        ("      7.50000000", "", "geometry: 'F 0.00000000 0.00000000 1.50000000' in geo_end.xyz"),
        ("1.50000000", "*" * 16, "numbers: F in geo_end.xyz is too wide for its column"),
        (" Li ", " X  ", "geometry: unknown element symbol 'X'"),
    ],
)
def test_reasons(old, new, reason):
    assert old in TEXT
    with pytest.raises(EngineError) as raised:
        geometry.parse(TEXT.replace(old, new))
    assert reason in str(raised.value)


GEN = (
    "Geometry = GenFormat {{\n2  C\n {kinds}\n  1  1  0E0 0E0 0E0\n  2  {second}  0E0 0E0 1E0\n}}\n"
)


@pytest.mark.parametrize(
    ("symbols", "electrons", "given", "reason"),
    [
        (["Ag", "Al"], [11, 3], None, None),
        (["K", "Cl"], [9, 7], None, None),  # semicore 3s and 3p
        (["Gd", "O"], [3, 6], None, None),  # 4f in the core
        (["Mg", "Zn"], [2, 12], None, None),
        (["Zn", "Zn"], [12, 2], None, None),  # no one's usual order
        (["Al", "Ag"], [11, 3], None, "atom 2 is Ag in geo_end.xyz, but .* make 3 valence"),
        (["O", "C"], [4, 6], None, "atom 1 is O .* make 4 valence electrons"),
        (["C", "O"], [4.5, 5.5], None, "atom 1 is C .* make 4.5 valence electrons"),
        (["Zn", "Mg"], [2, 12], None, "Zn and Mg in geo_end.xyz, but .* are those of Mg and Zn"),
        (["C", "Si"], [4, 4], GEN.format(kinds="C Si", second=2), None),
        (["C", "C"], [4, 4], GEN.format(kinds="C", second=1), None),
        (["Si", "C"], [4, 4], GEN.format(kinds="C Si", second=2), "Si and C .* C and Si in dftb_"),
        (["C", "Si"], [4, 4], GEN.format(kinds="C", second=1), "C and Si .*, C and C in dftb_in"),
    ],
)
def test_elements_are_those_of_the_calculation(symbols, electrons, given, reason):
    if reason is None:
        geometry.check_elements(symbols, electrons, given)
        return
    with pytest.raises(EngineError, match=reason):
        geometry.check_elements(symbols, electrons, given)


def test_every_exchange_of_different_valences_is_seen():
    valences = {symbol: parameters(symbol).valence_electrons for symbol in covered_symbols()}
    for (a, of_a), (b, of_b) in itertools.combinations(valences.items(), 2):
        geometry.check_elements([a, b], [of_a, of_b], None)
        if of_a != of_b:
            with pytest.raises(EngineError):
                geometry.check_elements([b, a], [of_a, of_b], None)
