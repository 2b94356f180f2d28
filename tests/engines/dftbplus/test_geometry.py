"""geo_end.xyz: positions and populations of the last step."""

import pytest

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
