"""The sets of structures by the words of `--data`, and a training on each by the one loop."""

import os
import pathlib
import shutil
import socket
import urllib.request

import numpy as np
import pytest

from qc_jax import models
from qc_jax.data.structures import prepare
from qc_jax.datasets import md17, open_structures
from qc_jax.errors import InputError
from qc_jax.runs.workdir import Workdir
from qc_jax.train import loop
from qc_jax.train.config import TrainConfig

FIXTURES = pathlib.Path(__file__).parents[1] / "fixtures"


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return str(tmp_path_factory.mktemp("tfds"))


@pytest.fixture(scope="module")
def qm9(data_dir):
    return open_structures(f"qm9:{FIXTURES / 'qm9'}", data_dir)


@pytest.fixture(scope="module")
def ethanol(data_dir):
    return open_structures(f"md17:{FIXTURES / 'md17_ethanol.npz'}", data_dir)


def _train(task, workdir, **settings):
    model = models.create("schnet", hidden=8, filters=8, interactions=1, gaussians=4)
    work = Workdir(workdir)
    work.claim({})
    return loop.fit(model, task, TrainConfig(batch_size=8, **settings), [work])


def test_qm9(qm9):
    assert len(qm9) == 59 and list(qm9.names[:2]) == ["qm9_1", "qm9_3"]
    assert np.isnan(qm9.targets["zpve_ev"]).all()
    gap = qm9.targets["e_lumo_ev"] - qm9.targets["e_homo_ev"]
    np.testing.assert_allclose(qm9.targets["e_g_ev"], gap, atol=1e-4)
    assert qm9.provenance["molecules"] == 60
    with pytest.raises(InputError, match="none of 59 structures has finite labels"):
        prepare(qm9, ("zpve_ev",), seed=1)
    task = prepare(qm9, ("e_homo_ev", "e_lumo_ev"), seed=1)
    there = np.asarray(task.dataset.structures.atom_mask).sum(axis=1)
    np.testing.assert_array_equal(there, qm9.sizes)


def test_md17_frames_with_forces(ethanol):
    frames = md17.read(FIXTURES / "md17_ethanol.npz")
    np.testing.assert_array_equal(ethanol.targets["total_energy_ev"], frames.energies)
    task = prepare(ethanol, ("total_energy_ev",), seed=1)
    np.testing.assert_allclose(task.dataset.forces, frames.forces, atol=1e-6)
    labels = np.asarray(task.dataset.labels, np.float64)[:, 0] + task.offsets[0]
    np.testing.assert_allclose(labels, frames.energies, atol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("stream", [False, True])
def test_training_goes_down_on_molecules(qm9, tmp_path, stream):
    task = prepare(qm9, ("e_homo_ev",), seed=1, stream=stream)
    trained = _train(task, tmp_path / "run", epochs=4, lr=0.01)
    losses = [line["loss"] for line in trained.history]
    assert losses[-1] < 0.8 * losses[0]


def test_other_files_are_prepared_anew(ethanol, data_dir, tmp_path):
    frames = md17.read(FIXTURES / "md17_ethanol.npz")
    some = {**vars(frames), "energies": frames.energies[:50], "layout": "revised"}
    some |= {"positions": frames.positions[:50], "forces": frames.forces[:50]}
    path = tmp_path / "md17_ethanol.npz"
    md17.write(path, md17.Trajectory(**some))
    assert len(open_structures(f"md17:{path}", data_dir)) == 50
    os.utime(path)  # touched: perhaps another file
    shutil.copy(FIXTURES / "md17_ethanol.npz", path)
    assert len(open_structures(f"md17:{path}", data_dir)) == len(ethanol) == 100


@pytest.mark.slow
def test_crysmtm_crystals(run_python, data_dir, tmp_path):
    folder = tmp_path / "crysmtm"
    done = run_python(
        *("-m", "tests.fixtures.make_crysmtm", f"--out={folder}", "--kelvin=0,150,200"),
        *("--rotations=2", "--size=8", "--small"),
        OMP_NUM_THREADS="1",
    )
    assert done.returncode == 0, done.stderr
    found = open_structures(f"crysmtm:{folder}", data_dir)
    assert len(found) == 18 and found.provenance["samples"] == 18
    task = prepare(found, ("e_homo_ev", "total_energy_ev", "bond_change_ang"), seed=1)
    assert {name.split("_")[1] for name in task.names[task.split.test]} == {"0K"}
    assert [len(rows) for rows in task.split.parts().values()] == [9, 3, 6]
    np.testing.assert_array_equal(np.unique(found.sizes), [6, 12, 24])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("gold:x", "unknown structures 'gold'; choose one of: crysmtm, extxyz, md17, qm9"),
        ("md17", "md17: expected a path, as in md17:PATH"),
        ("crysmtm:nowhere", "no such file or directory: nowhere"),
        (f"md17:{FIXTURES}", "expected an .npz"),
        (f"qm9:{FIXTURES}", "expected QM9's files .*; missing: atomref.txt, unch"),
        (f"crysmtm:{FIXTURES}", "has no labels.csv"),
        (f"md17:{FIXTURES / 'torch_permutations.npz'}", "expected arrays E, F, R, z"),
    ],
)
def test_what_cannot_be_opened(data, message, tmp_path):
    with pytest.raises(InputError, match=message):
        open_structures(data, str(tmp_path))


def test_qm9_without_a_network_is_said_at_once(tmp_path, monkeypatch):
    def nowhere(host, port):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    monkeypatch.setattr(urllib.request, "getproxies", dict)
    with pytest.raises(InputError, match=r"QM9 cannot be .*not known; expected qm9:DIR"):
        open_structures("qm9:", str(tmp_path))
