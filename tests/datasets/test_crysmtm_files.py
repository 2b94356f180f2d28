"""CrysMTM's files: labels, samples, and what is said of those that are wrong."""

import types

import numpy as np
import pytest

from qc_jax.data.names import DataName
from qc_jax.datasets import crysmtm
from qc_jax.errors import InputError

HEADER = "Polymorph,Temperature,Parameter,Value\n"


def _rows(phase="anatase", kelvin="300K", skip=(), **changes):
    values = {name: f"{number}.5" for number, name in enumerate(crysmtm.PARAMETERS)} | changes
    return "".join(f"{phase},{kelvin},{k},{v}\n" for k, v in values.items() if k not in skip)


def _sample(folder, phase, kelvin, rotation, kinds=crysmtm.KINDS):
    for kind in kinds:
        path = crysmtm.Sample(phase, kelvin, rotation, folder / phase / f"{kelvin}K").path(kind)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_labels(tmp_path):
    path = tmp_path / "labels.csv"
    text = HEADER + _rows() + _rows("Rutile", "50", HOMO="-7.25") + "anatase,300K,mass,3\n"
    path.write_text(text)
    labels, others = crysmtm.read_labels(path)
    assert set(labels) == {("anatase", 300), ("rutile", 50)} and others == {"mass": 1}
    assert labels["anatase", 300]["e_homo_ev"] == 0.5
    assert labels["anatase", 300]["bond_change_ang"] == 8.5
    assert labels["rutile", 50]["e_homo_ev"] == -7.25


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "expected columns"),
        ("", "expected columns"),
        (HEADER + _rows("gold"), "unknown Polymorph of .*line 2: 'gold'; choose one of: anatase"),
        (HEADER + _rows(kelvin="hot"), "line 2: Temperature: expected one like 300K, got 'hot'"),
        (HEADER + _rows(LUMO="nan"), "line 3: Value: expected a number, got 'nan'"),
        (HEADER + "anatase,0K,HOMO\n", "line 2: expected 4 fields, got 3"),
        (HEADER + _rows() + _rows(), "line 11: e_homo_ev of anatase 300K stands twice"),
        (HEADER + _rows(skip=("Ef", "vol")), "anatase 300K has no Ef, vol"),
    ],
)
def test_wrong_labels(tmp_path, text, message):
    path = tmp_path / "labels.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        crysmtm.read_labels(path)
    with pytest.raises(InputError, match=r"none\.csv: no such file"):
        crysmtm.read_labels(tmp_path / "none.csv")


def test_samples_and_what_they_lack(tmp_path):
    labels = {("anatase", 300): {}, ("rutile", 0): {}, ("rutile", 250): {}}
    for rotation in (0, 2, 10):
        _sample(tmp_path, "anatase", 300, rotation)
    _sample(tmp_path, "anatase", 300, 3, ("xyz", "text"))
    _sample(tmp_path, "anatase", 350, 0)
    _sample(tmp_path, "rutile", 250, 1)
    _sample(tmp_path, "rutile", 0, 1)
    (tmp_path / "anatase" / "300K" / "xyz" / "notes.xyz").touch()
    samples, left_out = crysmtm.find(tmp_path, labels)
    assert [(each.name, each.part) for each in samples] == [
        ("anatase_300K_0", "train"),
        ("anatase_300K_2", "train"),
        ("anatase_300K_10", "train"),
        ("rutile_0K_1", "test_ood"),
        ("rutile_250K_1", "test_id"),
    ]
    assert left_out == {"anatase_300K_3": "no file in images", "anatase_350K_0": "no labels"}
    assert samples[0].path("images") == tmp_path / "anatase" / "300K" / "images" / "rot_0.png"
    with pytest.raises(InputError, match=r"expected files like .* \(7 lack something\)"):
        crysmtm.find(tmp_path, {("brookite", 0): {}})


def test_the_digest_is_of_labels_and_structures(tmp_path):
    """Pictures and texts are in no structure."""
    (labels := tmp_path / "labels.csv").touch()
    samples = []
    for rotation in (0, 1):
        _sample(tmp_path, "anatase", 300, rotation)
        samples.append(crysmtm.Sample("anatase", 300, rotation, tmp_path / "anatase" / "300K"))
    found = [crysmtm._digest(labels, samples), crysmtm._digest(labels, samples[:1])]
    samples[1].path("images").write_bytes(b"other")
    assert crysmtm._digest(labels, samples) == found[0]
    for path in (samples[1].path("xyz"), labels):
        path.write_text("other")
        found.append(crysmtm._digest(labels, samples))
    assert len(set(found)) == 4


def test_pictures_are_not_held(tmp_path, monkeypatch):
    held: set[int] = set()

    class Picture:
        def __init__(self):
            held.add(id(self))

        def __del__(self):
            held.discard(id(self))

    class Records:
        def __iter__(self):
            for row in range(8):
                yield self[row]
                assert len(held) < 3

        def __getitem__(self, row):
            return {
                "name": f"rutile_{50 * row}K_0".encode(),
                "temperature": 50 * row,
                "atomic_numbers": np.full(3 + row, 8),
                "image": Picture(),
                **{name: np.float64(row) for name in crysmtm.PARAMETERS.values()},
            }

    info = types.SimpleNamespace(splits=("train",), metadata={"provenance": {}})
    made = types.SimpleNamespace(info=info)
    monkeypatch.setattr(crysmtm, "prepared_builder", lambda *given: made)
    monkeypatch.setattr(crysmtm, "records", lambda *given: Records())
    found = crysmtm.open_structures(DataName("crysmtm", str(tmp_path), {}), "")
    assert not held and found.names.tolist() == [f"rutile_{50 * k}K_0" for k in range(8)]
    assert found.sizes.tolist() == list(range(3, 11))
    np.testing.assert_array_equal(found.targets["e_homo_ev"], range(8))
    assert found.split(np.arange(8), 0).test.tolist() == [0, 1, 2, 5]  # 0, 50, 100 and 250 K
