"""A file with one thing wrong: the row stays, and what disagrees is told with both numbers."""

import numpy as np
import pytest

from qc_jax import canvas
from qc_jax.chem.units import HARTREE_EV
from tests.engines.published.helpers import C_O, H_H, O_TI, arrays, label, meta, read


def found(tmp_path, change, name="C_O") -> list[str]:
    """What is told of the row `name` after the change."""
    content = arrays()
    change(content)
    table = read(tmp_path, content)
    assert table.names.tolist() == ["C_O", "H_H", "O_Ti"]
    return table.provenance["disagreements"].get(name, [])


# What one thing that is wrong with C_O is told as.
@pytest.mark.parametrize(
    ("change", "reasons"),
    [
        (
            label(C_O, "q_maxabs", 0.25),
            ["charges: q_maxabs 0.25 e, in the canvas 0.3 e"],
        ),
        (label(C_O, "q_std", 0.0), ["charges: q_std 0 e, in the canvas 0.3 e"]),
        (label(C_O, "q_absmean", 0.1), ["charges: q_absmean 0.1 e, in the canvas 0.3 e"]),
        (
            label(C_O, "total_charge", 1.0),
            [
                "charges: total_charge 1 e, in the canvas ",
                "charges: total_charge 1 e, in the metadata 0 e",
            ],
        ),
        (
            label(C_O, "dipole_mag_d", 1.0),
            [
                "dipole: size in the canvas 0.635437 Debye, dipole_mag_d 1 Debye",
                "dipole: dipole_mag_d 1 Debye, of the vector 0.635437 Debye",
            ],
        ),
        (
            meta(C_O, "dipole_moment", (0.0, 0.0, -0.25)),
            ["dipole: dipole_z_d 0.635437 Debye, z in the metadata -0.635437 Debye"],
        ),
        (
            meta(C_O, "dipole_moment", (0.0, 0.0, 0.0)),
            [
                "stand-in: dipole_moment exactly 0 of unlike atoms, as for a missing one",
                "dipole: dipole_z_d 0.635437 Debye, z in the metadata 0 Debye",
            ],
        ),
        (label(C_O, "distance_ang", 1.2), ["geometry: distance_ang 1.2 Å, between the positions"]),
        (meta(C_O, "bond_length", 1.2), ["geometry: bond_length 1.2 Å, between the positions"]),
        (meta(C_O, "bond_length", 0.0), ["stand-in: bond_length exactly 0, as for a missing"]),
        (meta(C_O, "num_atoms", 3), ["geometry: num_atoms 3 atoms, expected 2 atoms"]),
        (meta(C_O, "pair_name", "C_N"), ["name: C_O in pair_names, C_N in the metadata"]),
        (
            meta(C_O, "total_energy", -101 / HARTREE_EV),
            ["energy: total_energy_ev -100.5 eV, in the metadata -101 eV"],
        ),
        (meta(C_O, "fermi_level", 0.0), ["stand-in: fermi_level exactly 0, as for a missing"]),
        (label(C_O, "e_g_ev", 8.2), ["levels: e_g_ev 8.2 eV, LUMO − HOMO 8.25 eV"]),
        (label(C_O, "i_ev", 9.0), ["levels: i_ev 9 eV, −HOMO 9.5 eV"]),
        (label(C_O, "a_ev", 1.0), ["levels: a_ev 1 eV, −LUMO 1.25 eV"]),
        (label(C_O, "chi_ev", 5.0), ["levels: chi_ev 5 eV, −(HOMO + LUMO)/2 5.375 eV"]),
        (
            label(C_O, "eta_ev", 4.0),
            ["levels: eta_ev 4 eV, (LUMO − HOMO)/2 4.125 eV", "levels: 1/softness_evinv 8.25 eV"],
        ),
        (label(C_O, "electrophilicity_ev", 3.6), ["levels: electrophilicity_ev 3.6 eV, mu_ev²"]),
        (
            label(C_O, "e_g_ev", np.inf),
            ["levels: e_g_ev is infinite"],
        ),
    ],
)
def test_a_row_that_contradicts_itself_stays_with_the_numbers(tmp_path, change, reasons):
    told = found(tmp_path, change)
    assert len(told) == len(reasons), told
    for text, expected in zip(told, reasons, strict=True):
        assert text.startswith(expected)


def _image(channel, factor):
    return lambda content: content["images"][C_O, channel].__imul__(np.float32(factor))


@pytest.mark.parametrize(
    ("change", "reasons"),
    [
        (_image(0, 1.1), []),  # O-Map radial: nothing else in the file says it
        (_image(2, 1.1), ["populations: of all shells 11 e, of both atoms 10 e"]),
        (_image(4, 0), ["dipole: size in the canvas 0 Debye, "] * 2),
        (_image(5, 2), ["charges: charge_difference in the canvas 1.2 e, of its signed charges"]),
        (_image(6, 2), ["canvas: residual 5.0e-01, at most 1e-05"]),
        (_image(7, 2), ["populations: "] * 5),
        (_image(8, 0), ["canvas: residual "] + ["charges: "] * 4 + ["populations: population and"]),
        (_image(5, -1), ["canvas: charge_difference -0.6 e", "charges: charge_difference"]),
    ],
)
def test_an_image_that_contradicts_the_rest(tmp_path, change, reasons):
    """A channel of another size, or lost to zeros, leaves no residual; the numbers tell."""
    told = found(tmp_path, change)
    assert len(told) == len(reasons), told
    for text, expected in zip(told, reasons, strict=True):
        assert text.startswith(expected)


def test_a_damaged_image_is_kept_and_has_no_features(tmp_path):
    content = arrays()
    content["images"][C_O, 7, 3:9] = 0.5
    table = read(tmp_path, content)
    assert table.provenance["disagreements"]["C_O"][0].startswith("canvas: residual ")
    np.testing.assert_array_equal(table.canvases[0, ..., 7], content["images"][C_O, 7])
    assert np.isnan(canvas.features(table)[0]).all()
    assert np.isfinite(canvas.features(table)[1:]).all()


def test_an_empty_image_is_told(tmp_path):
    told = found(tmp_path, lambda content: content["images"][H_H].fill(0), "H_H")
    assert "stand-in: no electrons on atom 0 in the canvas" in told


def test_missing_populations_and_labels_are_told(tmp_path):
    told = found(tmp_path, lambda content: content["geometries"][H_H, :, 3].fill(0), "H_H")
    assert told[:2] == [
        f"stand-in: electrons of atom {atom} exactly 0, as for missing ones" for atom in (0, 1)
    ]
    told = found(tmp_path, lambda content: content["labels"][O_TI].clear(), "O_Ti")
    assert told == ["stand-in: no label at all"]


def test_a_lost_minus_sign_is_found(tmp_path):
    """The authors' builder stops at the first negative population: the canvas lacks the rest."""

    def change(content):
        content["geometries"][O_TI, 1, 3] -= 0.2  # an orbital of −0.2 e that the image lacks

    told = found(tmp_path, change, "O_Ti")
    assert "populations: atom 1 in the canvas 3.3 e, beside its position 3.1 e" in told


@pytest.mark.parametrize("turns", [1, 2])
def test_pairs_that_lie_otherwise_are_told(tmp_path, turns):
    content = arrays()
    content["geometries"][..., :3] = np.roll(content["geometries"][..., :3], turns, axis=-1)
    table = read(tmp_path, content)
    np.testing.assert_allclose(table.positions[:, 1, turns - 1], [1.125, 0.75, 1.65], rtol=1e-6)
    (told,) = table.provenance["disagreements"]["C_O"]
    assert told.startswith("geometry: from the first atom to the second (")


def test_the_first_atom_above_is_told(tmp_path):
    def change(content):
        content["geometries"][H_H, 1, 2] *= -1

    (told,) = found(tmp_path, change, "H_H")
    assert told == "geometry: from the first atom to the second (0, 0, -0.75) Å, expected along +z"


def test_what_is_not_known_is_not_compared(tmp_path):
    def change(content):
        for name, value in content["labels"][C_O].items():
            if name not in ("e_homo_ev", "distance_ang") and isinstance(value, float):
                content["labels"][C_O][name] = None
        content["metadata"][C_O] = {"dipole_moment": (0.0, 0.0, 0.25)}
        content["geometries"][C_O, :, 3] = np.nan

    assert found(tmp_path, change) == []
