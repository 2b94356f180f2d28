"""What `predict` is asked, and says of it."""

import contextlib
import types

import ase
import ase.io
import numpy as np
import pytest

import qc_jax
from experiments import predict as predict_script
from qc_jax.data.atoms import Structure
from qc_jax.errors import InputError
from qc_jax.runs import packed, queries
from qc_jax.runs.ensemble import Ensemble, Estimate
from qc_jax.runs.record import Pairs


class OfCurves:
    """Two members that were trained on several rows of each pair; HOMO is minus the distance."""

    def __init__(self):
        pairs = Pairs(np.array([], str), np.zeros((0, 2, 3)), None, np.zeros((0, 1)))
        run = types.SimpleNamespace(pairs=pairs, targets=("e_homo_ev",), outside=lambda batch: [])
        self.members, self.asked = (run, run), []

    def predict(self, names, distances):
        self.asked.append((names, distances))
        return Estimate(-np.array(distances)[:, None], np.ones((len(names), 1)))

    def half_width(self, estimate):
        raise InputError("expected validation rows that stand once in curves.npz, got none")

    def mae(self):
        return self.half_width(None)


def test_pairs_at_distances_of_their_own_are_asked_for_together():
    """And have no interval: of pairs that stand at several distances none was tested."""
    asked = [queries.Asked(*one) for one in (("C_O", 1.1), ("Ag_Al", 2.5), ("C_O", 1.9))]
    of_curves = OfCurves()
    rows = queries.answer(of_curves, [*asked, asked[0]])
    assert of_curves.asked == [(["C_O", "Ag_Al", "C_O"], [1.1, 2.5, 1.9])]
    assert [row["distance_ang"] for row in rows] == [1.1, 2.5, 1.9, 1.1]
    assert [row["predicted"]["e_homo_ev"] for row in rows] == [-1.1, -2.5, -1.9, -1.1]
    assert all(row["half_width"] == {"e_homo_ev": None} for row in rows)
    assert predict_script._maes(of_curves) == {}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("Q_O,", "unknown element symbol 'Q'"),
        ("CO,", "expected a pair like Ag_Al, got 'CO'"),
        ("C_O,0", "distance_ang: expected a length above 0 Å, got 0.0"),
        ("C_O,far", "distance_ang: got 'far'"),
    ],
)
def test_wrong_lines_of_a_file_are_named(tmp_path, row, message):
    path = tmp_path / "pairs.csv"
    path.write_text(f"name,distance_ang\nC_O,1.1\n{row}\n")
    with pytest.raises(InputError, match=rf"pairs\.csv: line 3: {message}"):
        queries.of_file(str(path))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:outside of what the model")
def test_a_molecule_has_no_bond_length():
    places = np.array([[0, 0, 0.12], [0, 0.76, -0.48], [0, -0.76, -0.48]])
    water = Structure(np.array([8, 1, 1]), places)
    row = queries.of_structure(Ensemble(["tight_binding/ptbp"]), "water", water)
    undefined = {name for name, value in row["predicted"].items() if value is None}
    assert undefined == {"distance_ang"}


@pytest.mark.slow
def test_a_pair_in_a_file_is_the_pair_by_name():
    """Far apart it has no interval and no gap to divide by; at its bond length it has both."""
    ensemble = Ensemble(packed.DEFAULT)
    bond = queries.answer(ensemble, queries.of_words(["Ag", "C"], None))[0]["distance_ang"]
    for distance in (3.5, bond):
        (named,) = queries.answer(ensemble, queries.of_words(["Ag", "C"], distance))
        atoms = Structure(np.array([47, 6]), np.array([[0, 0, 0], [0, 0, distance]]))
        far = distance != bond
        with pytest.warns(UserWarning, match="Ag-C at") if far else contextlib.nullcontext():
            row = queries.of_structure(ensemble, "agc.xyz", atoms)
        assert row["outside"] == named["outside"] and bool(row["outside"]) == far
        assert row["distance_ang"] == pytest.approx(distance)
        for kind in ("predicted", "half_width"):
            defined = {key for key, value in named[kind].items() if value is not None}
            assert {key for key, value in row[kind].items() if value is not None} == defined
            assert bool(defined) or (kind == "half_width" and far)
            for key in defined:
                assert row[kind][key] == pytest.approx(named[kind][key], rel=1e-2, abs=1e-3)


@pytest.mark.filterwarnings("ignore:outside of what the model")
def test_without_their_data_members_of_structures_give_no_interval(tmp_path):
    frames = [ase.Atoms("CO", [[0, 0, 0], [0, 0, 1.1 + 0.005 * row]]) for row in range(60)]
    for row, frame in enumerate(frames):
        frame.info["REF_energy"] = 0.1 * (row - 7) ** 2
    file, asked = tmp_path / "co.xyz", Structure(np.array([6, 8]), frames[3].positions)
    ase.io.write(file, frames, format="extxyz")
    data = qc_jax.open_data(f"extxyz:{file}?energy=REF_energy")
    model = qc_jax.create("schnet", hidden=4, filters=4, interactions=1, gaussians=4)
    for seed in (1, 2):
        task = qc_jax.prepare(data, "total_energy_ev", seed=1)
        settings = qc_jax.TrainConfig(epochs=1, seed=seed)
        qc_jax.fit(model, task, settings).save(tmp_path / str(seed))
    paths = [tmp_path / "1", tmp_path / "2"]
    row = queries.of_structure(Ensemble(paths), "co", asked)
    assert row["half_width"]["total_energy_ev"] > 0 and row["outside"] == []
    file.unlink()
    with pytest.warns(UserWarning, match="no interval: .*o such file"):
        gone = queries.of_structure(Ensemble(paths), "co", asked)
    assert gone["half_width"] == {"total_energy_ev": None}
    assert gone["predicted"] == row["predicted"]
