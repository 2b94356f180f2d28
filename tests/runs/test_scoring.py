"""Test rows that a model has not seen, and forces."""

import jax
import numpy as np
import pytest

import qc_jax
from qc_jax.data import dataset
from qc_jax.data.structures import Structures
from qc_jax.datasets import md17
from qc_jax.errors import InputError
from qc_jax.report import leaderboard_tables, tables
from qc_jax.runs import building, record, results, scoring
from qc_jax.runs.config import RunConfig
from qc_jax.runs.workdir import Workdir
from qc_jax.train import loop
from qc_jax.train.stack import Training, static_signature
from tests.dynamics import toys


def test_unseen_leaves_out_what_was_trained_or_chosen_on(small_table):
    known = dataset.prepare(small_table, ("e_homo_ev",), 42)
    other = dataset.prepare(small_table, ("e_homo_ev",), 42, split="by_type")
    got = scoring.unseen(other, known)
    seen = set(known.names[np.concatenate([known.split.train, known.split.validation])])
    tested, asked = got.names[got.split.test], other.names[other.split.test]
    assert 0 < len(tested) < len(asked)
    assert list(tested) == [name for name in asked if name not in seen]
    gone = set(asked) - set(tested)
    assert set(got.left_out) - set(other.left_out) == gone
    assert set(got.names[got.split.unused]) == gone | set(other.names[other.split.unused])
    assert f"{len(gone)} test rows left out: " in got.split.description
    np.testing.assert_array_equal(got.split.train, other.split.train)


def test_pairs_count_not_rows(small_table):
    """In a table of other rows, a pair is known by its name."""
    known = dataset.prepare(small_table, ("e_homo_ev",), 42)
    backwards = small_table.take(np.arange(len(small_table))[::-1])
    other = dataset.prepare(backwards, ("e_homo_ev",), 42, split="by_type")
    seen = set(known.names) - set(known.names[known.split.test])
    tested = scoring.unseen(other, known).split.test
    assert len(tested) and not seen & set(other.names[tested])


def _frames(names, rows, shift=0.0):
    """Frames of water by their numbers, whatever their names."""
    records = [
        {
            "atomic_numbers": np.array([8, 1, 1]),
            "positions": np.random.default_rng(row).normal(size=(3, 3)) + shift,
        }
        for row in rows
    ]
    return Structures(
        names=np.array(names),
        source=records,
        read=lambda record: record,
        targets={"e_homo_ev": np.arange(len(rows), dtype=float)},
        sizes=np.full(len(rows), 3),
        split=md17.split,
        provenance={"rows": list(rows)},
    )


def test_structures_are_known_by_their_atoms():
    """A file's rows have its name and their number: copies have others, and others the same."""
    names = [f"a_{row}" for row in range(40)]
    known = building.prepare(_frames(names, range(40)), "e_homo_ev")
    rows = np.concatenate([known.split.train, known.split.validation])
    seen = {int(name.removeprefix("a_")) for name in known.names[rows]}
    moved = {row: f"b_{(row + 7) % 40}" for row in range(40)}
    copies = building.prepare(_frames(list(moved.values()), range(40), 5e-4), "e_homo_ev", seed=1)
    left = scoring.unseen(copies, known)
    asked = set(copies.names[copies.split.test])
    gone = asked & {moved[row] for row in seen}
    assert 0 < len(gone) < len(asked)
    assert set(left.names[left.split.test]) == asked - gone
    assert left.split.description.endswith("was trained or chosen on the structure")
    others = building.prepare(_frames(names, range(100, 140)), "e_homo_ev", seed=1)
    assert scoring.unseen(others, known) is others


def test_a_shift_of_other_energies_is_an_error(tmp_path):
    """What was taken off the labels of training stays what predictions get back, atoms or none."""
    sizes = {"one": ["CO"], "several": ["CO", "OC", "OO", "CC"]}
    for kind, symbols in sizes.items():
        for name, shift in (("a", 0.0), ("b", 5.0)):
            lines = []
            for row in range(24):
                energy = -1000.0 + shift + 0.01 * (row % 5)
                z = 1.1 + 0.01 * row + (0.003 if name == "b" else 0)
                first, second = symbols[row % len(symbols)]
                lines += ["2", f"Properties=species:S:1:pos:R:3 energy={energy}"]
                lines += [f"{first} 0 0 0", f"{second} 0 0 {z}"]
            (tmp_path / f"{kind}_{name}.xyz").write_text("\n".join(lines) + "\n")
        data = {name: f"extxyz:{tmp_path / kind}_{name}.xyz?energy=energy" for name in "ab"}
        cache = str(tmp_path / "tfds")
        task = qc_jax.prepare(qc_jax.open_data(data["a"], cache), "total_energy_ev", seed=1)
        run = qc_jax.fit(qc_jax.create("pair_mean"), task, qc_jax.TrainConfig(epochs=1, seed=1))
        assert run.score().result["test"]["total_energy_ev"]["mae"] < 0.1
        scored = run.score(data=data["b"], data_dir=cache)
        assert scored.result["test"]["total_energy_ev"]["mae"] == pytest.approx(5, abs=0.1)
        assert scored.predictions.predicted.mean() == pytest.approx(-1000, abs=0.1)
        assert scored.predictions.true.mean() == pytest.approx(-995, abs=0.1)


def test_its_own_test_rows_stay_and_may_be_all(small_table):
    known = dataset.prepare(small_table, ("e_homo_ev",), 42)
    assert scoring.unseen(known, known) is known
    rows = known.split.train
    other = dataset.prepare(small_table.take(rows), ("e_homo_ev",), 42)
    with pytest.raises(InputError, match="no test row is left: of all"):
        scoring.unseen(other, known)


def test_a_model_of_one_constant_is_called_so(small_table, capsys):
    run = building.from_config(RunConfig.from_dict({"model": "pair_mean", "data": ""}), small_table)
    state = loop.fit(run.model, run.task, run.settings).state
    assert "constant" not in scoring.score(run, state, {}).result["test"]["e_homo_ev"]
    nothing = jax.tree.map(np.zeros_like, state.best_params)
    result = scoring.score(run, state.replace(best_params=nothing), {}).result
    told = result["test"]["e_homo_ev"]["constant"]
    assert told == pytest.approx(float(run.task.scaler.unscale(np.zeros((1, 1)))[0, 0]), rel=1e-5)
    tables.show_result(result)
    assert "e_homo_ev: predicts one constant, " in capsys.readouterr().out
    rows = results.table(results.rows({"training": "a", "seed": 1}, result))
    assert rows.value[rows.metric == "constant"].item() == told
    shown = leaderboard_tables.tables([("", rows.assign(label="pair_mean"))], "a")
    assert shown[0].rows[0][1].note == "predicts one constant"


@pytest.mark.slow
def test_forces_of_a_curve_are_learned_and_scored(tmp_path):
    """Beside no force at all, which is what constants of the elements have."""
    curve = toys.curve()
    curve.save(tmp_path / "curve.npz")
    config = toys.config(tmp_path, epochs=30)
    errors = {}
    for weight in (0.0, 1.0):
        run = building.from_config({**config, "force_weight": weight})
        workdir = Workdir(tmp_path / f"run{weight}")
        record.claim(run, workdir)
        trained = loop.fit(run.model, run.task, run.settings, [workdir])
        result = scoring.score(run, trained.state, {}).result
        errors[weight] = result["test"]["force_ev_ang"]["mae"]
    nothing = result["baselines"]["pair_mean"]["force_ev_ang"]["mae"]
    tested = curve.forces[run.task.split.test]
    assert nothing == pytest.approx(np.abs(tested).mean(), rel=1e-5)
    assert errors[1.0] < 0.8 * errors[0.0] and errors[1.0] < nothing


@pytest.mark.slow
def test_a_class_is_learned_scored_and_kept_whole(small_table, tmp_path, capsys):
    """By networks and by models that are solved at once; beside a number; in files and back."""
    for name, targets in (("pair_mean", "metal_like"), ("gcn", ["e_homo_ev", "metal_like"])):
        task = qc_jax.prepare(small_table, targets)
        run = qc_jax.fit(qc_jax.create(name), task, qc_jax.TrainConfig(epochs=2))
        scored = run.score(table=small_table)
        told = scored.result["test"]["metal_like"]
        assert {"accuracy", "auroc", "auroc_low", "balanced_accuracy_high"} <= told.keys()
        assert told["mae"] == pytest.approx(1 - told["accuracy"])
        wrong = scored.predictions.errors("metal_like")
        assert set(wrong) <= {0.0, 1.0} and wrong.mean() == pytest.approx(told["mae"])
        majority = scored.result["baselines"]["training_median"]["metal_like"]
        labels = np.asarray(task.dataset.labels)[:, -1]
        most = np.median(labels[task.split.train])
        right = (labels[task.split.test] == most).mean()
        assert majority["accuracy"] == pytest.approx(right)
        tables.show_result(scored.result)
        assert "balanced accuracy" in capsys.readouterr().out
        probability = run.predict(["C_O", "Ag_Al"])[:, -1]
        assert ((probability >= 0) & (probability <= 1)).all()
        saved = run.save(tmp_path / name)
        saved.pack(tmp_path / f"{name}.npz")
        for path in (tmp_path / name, tmp_path / f"{name}.npz"):
            again = qc_jax.load(path)
            assert again.scaler.binary == run.scaler.binary
            np.testing.assert_array_equal(again.predict(["C_O", "Ag_Al"])[:, -1], probability)


def test_a_class_and_a_number_are_no_stack():
    """Their programs differ, though all else is the same."""
    table = qc_jax.open_table("gfn2_xtb")
    config = RunConfig.from_dict({"model": "pair_mean", "data": "gfn2_xtb"})
    signatures = set()
    for name in ("e_homo_ev", "e_lumo_ev", "metal_like"):
        run = building.from_config(config.replace(target=name), table)
        signatures.add(static_signature(Training(run.model, run.task, run.settings)))
    assert len(signatures) == 2
