"""band.out: levels and occupations, held against detailed.out."""

import numpy as np
import pytest

from qc_jax.engines.dftbplus import band, detailed
from qc_jax.engines.engine import EngineError
from tests.fixtures.dftbplus import make

UNPOLARISED = (make.TREE / "Cl_Mg" / "band.out").read_text()
POLARISED = (make.TREE / "N_O_spin" / "band.out").read_text()


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_unpolarised(newline):
    bands = band.parse(UNPOLARISED.replace("\n", newline))
    assert bands.energies.shape == bands.occupations.shape == (1, 13)
    assert bands.energies[0, [0, 4, 12]].tolist() == [-20.5, -3.125, 30.25]
    assert bands.occupations[0].tolist() == [2, 2, 2, 2, 1] + 8 * [0]


def test_polarised():
    bands = band.parse(POLARISED)
    assert bands.energies.shape == (2, 8)
    assert bands.energies[:, 5].tolist() == [-6, -5]
    assert bands.occupations.sum(axis=1).tolist() == [6, 5]


def test_frontier_levels_are_by_the_occupations():
    """As in the published data and of the engine dftb: at 300 K levels near each other are one."""
    levels, held = np.array([[-9.0, -5.0, -4.8, 1.0]]), np.array([[2.0, 1.959, 0.041, 0.0]])
    assert band.Bands(levels, held).frontier_levels() == (-4.8, -4.8)
    assert band.Bands(levels, np.array([[2.0, 2.0, 0.0, 0.0]])).frontier_levels() == (-5, -4.8)
    two = np.concatenate([levels, levels + 0.5])
    filled = np.array([[1.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]])
    assert band.Bands(two, filled).frontier_levels() == (-5, -4.8)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (POLARISED, "", "bands: no levels in band.out"),
        ("KPT            1  SPIN            2", "KPT 2  SPIN 1", "periodic: k-point 2 in band.out"),
        ("SPIN            2", "SPIN            1", "bands: spin 1 in band.out, expected 2"),
        ("     8     21.0000  0.00000\n", "", "bands: 8 and 7 levels in band.out"),
        (
            "     7     -4.5000  0.00000\n",
            "",
            "bands: unexpected '8     20.0000  0.00000' in line 8",
        ),
        ("-4.5000  0.00000", "-4.5000", "bands: unexpected '7     -4.5000' in line 8 of band.out"),
        (
            "  -4.5000",
            "-94.5000",
            "bands: energies in band.out that do not rise from level to level",
        ),
        ("-4.5000", "*" * 12, "numbers: line 8 of band.out is too wide for its column"),
    ],
)
def test_reasons(old, new, reason):
    assert old in POLARISED
    with pytest.raises(EngineError) as raised:
        band.parse(POLARISED.replace(old, new))
    assert reason in str(raised.value)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("-3.1250  1.00000", "-3.1250  0.90000", "bands: 8.90000 electrons in band.out, 9.00000"),
        ("-8.2500", "-8.2400", "sum to -92.2050 eV, the band energy in detailed.out is -92.2250"),
        ("    13     30.2500  0.00000\n", "", "1 channels of 12 levels in band.out, but 1 of 13"),
    ],
)
def test_of_another_calculation(old, new, reason):
    assert old in UNPOLARISED
    whole = detailed.parse((make.TREE / "Cl_Mg" / "detailed.out").read_text())
    band.check(band.parse(UNPOLARISED), whole)
    with pytest.raises(EngineError) as raised:
        band.check(band.parse(UNPOLARISED.replace(old, new)), whole)
    assert reason in str(raised.value)


def test_channels_that_detailed_out_does_not_have():
    polarised = detailed.parse((make.TREE / "N_O_spin" / "detailed.out").read_text())
    one = band.Bands(np.zeros((1, 8)), np.full((1, 8), 11 / 8))
    with pytest.raises(EngineError, match=r"1 channels of 8 levels in band\.out, but 2 of 8"):
        band.check(one, polarised)
