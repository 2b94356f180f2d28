"""The runner around an engine: tables, what is left out, going on, verification."""

import dataclasses
import os

import numpy as np
import pytest

from qc_jax.chem.elements import pair_names
from qc_jax.data.table import PairTable
from qc_jax.engines.generate import create_engine, generate, verify
from qc_jax.engines.sanity import SanityChecks
from qc_jax.errors import InputError
from tests.engines.toys import ToyEngine, toy_record


@pytest.fixture
def engine(tmp_path):
    return ToyEngine(str(tmp_path / "log"), fails=("C_O",), absurd=("H_H",))


def test_table(engine, tmp_path):
    out = str(tmp_path / "table.npz")
    seen = []
    table = generate(
        engine, ["O", "He", "C", "H"], out, progress=lambda *counts: seen.append(counts)
    )
    expected = [n for n in pair_names(["O", "He", "C", "H"]) if n not in ("C_O", "H_H")]
    assert list(table.names) == expected
    assert table.left_out == {
        "C_O": "SCF: does not converge",
        "H_H": "charge: +5.00 e, expected at most 1 e",
    }
    assert table.provenance["engine"] == "toy"
    assert table.provenance["elements"] == ["C", "H", "He", "O"]
    assert table.provenance["gates"]["max_charge_e"] == engine.gates.max_charge_e
    assert table.targets["e_homo_ev"][0] == toy_record(expected[0]).targets["e_homo_ev"]
    assert np.isnan(table.targets["e_lumo_ev"][table.row("He_He")])
    assert seen == [(i, 10) for i in range(11)]
    assert PairTable.load(out).fingerprint() == table.fingerprint()
    assert sorted(os.listdir(tmp_path)) == ["log", "table.npz"]  # no answers are left


def test_same_again_whatever_the_workers(engine, tmp_path):
    files = []
    for workers in (1, 2):
        out = tmp_path / f"{workers}.npz"
        generate(dataclasses.replace(engine, workers=workers), ["C", "H"], str(out))
        files.append(PairTable.load(out))
    assert files[0].fingerprint() == files[1].fingerprint()
    assert files[0].provenance == files[1].provenance


def test_goes_on_where_it_was_stopped(engine, tmp_path):
    out = str(tmp_path / "table.npz")

    def stop(done, total):
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(engine, ["C", "H", "O"], out, progress=stop)
    assert not os.path.exists(out)
    generate(engine, ["C", "H", "O"], out)
    computed = engine.computed()
    # What was ready when it was stopped is there once.
    assert set(computed) == set(pair_names(["C", "H", "O"]))
    assert sum(computed.count(name) == 1 for name in set(computed)) >= 4


def test_all_left_out(tmp_path):
    engine = ToyEngine(str(tmp_path / "log"), fails=("H_H",))
    table = generate(engine, ["H"], str(tmp_path / "table.npz"))
    assert len(table) == 0 and list(table.left_out) == ["H_H"]
    assert len(PairTable.load(tmp_path / "table.npz")) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"symbols": ["Xx"]}, "unknown element symbol 'Xx'"),
        ({"symbols": ["H", "Ra"]}, "engine 'toy' has no parameters for Ra; it knows 5 elements"),
        ({"symbols": []}, "no elements"),
        ({"out": "table.csv"}, "table.csv: expected a path that ends in .npz"),
        ({"out": "nowhere/table.npz"}, "nowhere/table.npz.answers: cannot be written"),
        ({"out": "taken.npz"}, "taken.npz: exists already"),
    ],
)
def test_bad_input(engine, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken.npz").write_text("precious")
    with pytest.raises(InputError, match=message):
        generate(engine, **({"symbols": ["H"], "out": "table.npz"} | arguments))
    assert engine.computed() == []
    assert (tmp_path / "taken.npz").read_text() == "precious"


def test_overwrite(engine, tmp_path):
    out = str(tmp_path / "table.npz")
    generate(engine, ["C"], out)
    assert list(generate(engine, ["O"], out, overwrite=True).names) == ["O_O"]


def test_unknown_engine():
    with pytest.raises(InputError, match="unknown engine 'gaussian'; choose one of: "):
        create_engine("gaussian")


def test_verify(engine, tmp_path):
    table = generate(engine, ["C", "H", "O"], str(tmp_path / "table.npz"))
    rows = {row.quantity: row for row in verify(engine, table, 50)}
    assert all(row.largest == 0 and row.within for row in rows.values())
    assert rows["total_energy_ev"].unit == "eV" and rows["total_energy_ev"].allowed == 1e-5
    assert rows["distance_ang"].allowed == 1e-4
    assert {"charges", "populations", "dipole", "e_homo_ev", "fermi_level_ev"} <= set(rows)

    longer = ToyEngine(engine.log, drift=2e-4, workers=2)
    rows = {row.quantity: row for row in verify(longer, table, 50)}
    assert rows["distance_ang"].largest == pytest.approx(2e-4)
    assert not rows["distance_ang"].within and rows["total_energy_ev"].within


def test_verify_chooses_as_many_as_asked(engine, tmp_path):
    table = generate(engine, ["C", "H", "O"], str(tmp_path / "table.npz"))
    before = len(engine.computed())
    verify(engine, table, 2, seed=1)
    assert len(engine.computed()) == before + 2


def test_verify_counts_a_pair_without_solution(engine, tmp_path):
    table = generate(engine, ["C"], str(tmp_path / "table.npz"))
    (*_, distance) = verify(ToyEngine(engine.log, fails=("C_C",)), table, 1)
    assert distance.quantity == "distance_ang" and distance.largest == np.inf
    assert not distance.within


def test_verify_wants_its_own_engine(engine, tmp_path):
    table = generate(engine, ["C"], str(tmp_path / "table.npz"))
    other = ToyEngine(engine.log, name="other")
    with pytest.raises(InputError, match="made by engine 'toy', not by 'other'"):
        verify(other, table, 1)
    other = ToyEngine(engine.log, setting=2, gates=SanityChecks(max_charge_e=2))
    with pytest.raises(InputError, match="made with other setting, gates than the engine has"):
        verify(other, table, 1)
