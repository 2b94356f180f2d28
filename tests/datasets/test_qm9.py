"""TFDS's own qm9 builder on files in QM9's format, without a network."""

import errno
import functools
import http.server
import io
import pathlib
import re
import shutil
import tarfile
import threading

import numpy as np
import pytest
import tensorflow_datasets as tfds

from qc_jax.chem.units import HARTREE_EV
from qc_jax.data.targets import target
from qc_jax.datasets import qm9
from qc_jax.datasets.qm9 import FILES, Builder
from qc_jax.errors import InputError

FIXTURE = pathlib.Path(__file__).parents[1] / "fixtures" / "qm9"
README = Builder.pkg_dir_path / "README.md"


def _prepare(manual, data_dir):
    builder = tfds.builder("qm9_files", data_dir=data_dir)
    config = tfds.download.DownloadConfig(manual_dir=manual)
    builder.download_and_prepare(download_config=config)
    return builder


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return _prepare(FIXTURE, tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def texts():
    with tarfile.open(FIXTURE / FILES["dsgdb9nsd"]) as file:
        return {each.name: file.extractfile(each).read().decode() for each in file}


def test_records_are_the_molecules_in_their_order(prepared, texts):
    source = prepared.as_data_source(split="train")
    assert [int(record["index"]) for record in source] == [1, *range(3, 61)]  # 2 is left out
    for record in (source[0], source[30], source[58]):
        lines = texts[f"dsgdb9nsd_{record['index']:06d}.xyz"].splitlines()
        atoms = int(lines[0])
        words = lines[1].split()
        assert qm9.label(record, "e_homo_ev") == pytest.approx(float(words[7]) * HARTREE_EV)
        assert qm9.label(record, "u0_ev") == pytest.approx(float(words[12]) * HARTREE_EV, rel=1e-6)
        gap = qm9.label(record, "e_lumo_ev") - qm9.label(record, "e_homo_ev")
        assert qm9.label(record, "e_g_ev") == pytest.approx(gap, abs=1e-4)
        found = qm9.read(record)
        rows = [line.split() for line in lines[2 : 2 + atoms]]
        symbols = {"H": 1, "C": 6, "N": 7, "O": 8, "F": 9}
        assert found["atomic_numbers"].tolist() == [symbols[row[0]] for row in rows]
        expected = [[float(word.replace("*^", "e")) for word in row[1:4]] for row in rows]
        np.testing.assert_allclose(found["positions"], expected, rtol=1e-6)


def test_the_fixture_has_numbers_as_qm9_writes_them(texts):
    assert any("*^-" in text for text in texts.values())


def test_labels_are_those_of_gfn2(prepared):
    pytest.importorskip("tblite")
    from tests.fixtures.xtb import single_point

    record = prepared.as_data_source(split="train")[12]
    found = qm9.read(record)
    expected = single_point(found["atomic_numbers"], found["positions"])
    assert qm9.label(record, "u0_ev") == pytest.approx(expected.energy, abs=1e-3)
    assert qm9.label(record, "e_lumo_ev") == pytest.approx(expected.lumo, abs=1e-3)
    assert qm9.label(record, "dipole_mag_d") == pytest.approx(expected.dipole, abs=1e-3)
    assert -60 < qm9.label(record, "u0_atomization_ev") < -5
    assert np.abs(expected.forces).max() < 0.05  # at rest


def test_metadata_and_tfds_is_left_as_it_was(prepared):
    assert prepared.info.metadata["provenance"].keys() == {"sha256", "molecules", "uncharacterized"}
    assert prepared.info.metadata["provenance"]["molecules"] == 60
    from tensorflow_datasets.datasets.qm9 import qm9_dataset_builder

    assert qm9_dataset_builder._SIZE == 133_885
    assert qm9_dataset_builder._CHARACTERIZED_SIZE == qm9.CHARACTERIZED


def _changed(tmp_path, texts, **files):
    manual = tmp_path / "manual"
    shutil.copytree(FIXTURE, manual)
    with tarfile.open(manual / FILES["dsgdb9nsd"], "w:bz2") as archive:
        for name, text in texts.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    for name, text in files.items():
        (manual / FILES[name]).write_text(text)
    return manual


def test_wrong_files_are_refused(tmp_path, texts):
    some = dict(list(texts.items())[:20])
    first = "dsgdb9nsd_000001.xyz"
    uncharacterized = (FIXTURE / FILES["uncharacterized"]).read_text()
    cases = {
        "not in QM9's format": _changed(tmp_path / "a", {**some, first: "3\nH\n"}),
        "without a gap, got 19 such files": _changed(
            tmp_path / "b", {name: text for name, text in some.items() if name != first}
        ),
        "names a molecule twice, or one that": _changed(
            tmp_path / "c", some, uncharacterized=uncharacterized.replace("2 made", "2000 made")
        ),
        "expected a molecule's number": _changed(
            tmp_path / "d", some, uncharacterized=uncharacterized.replace("2 made", "made")
        ),
        "expected finite coordinates": _changed(
            tmp_path / "e", {**some, first: re.sub(r"\nC\t\S+", "\nC\tnan", texts[first])}
        ),
    }
    positions = [line.split("\t") for line in texts[first].splitlines()[2:4]]
    same = texts[first].replace("\t".join(positions[1][1:4]), "\t".join(positions[0][1:4]))
    cases["2 atoms stand at one place"] = _changed(tmp_path / "h", {**some, first: same})
    (cut := tmp_path / "f").mkdir()
    for name in FILES.values():
        (cut / name).write_bytes((FIXTURE / name).read_bytes()[:4000])
    cases["not a tar archive, or cut short"] = cut
    (missing := tmp_path / "g").mkdir()
    (missing / FILES["atomref"]).touch()
    cases["uncharacterized.txt is missing"] = missing
    for message, manual in cases.items():
        with pytest.raises(InputError, match=message):
            _prepare(manual, tmp_path / "data")
    assert not tfds.builder("qm9_files", data_dir=tmp_path / "data").is_prepared()


def test_molecules_that_cannot_be_written_are_told_as_such(tmp_path, monkeypatch):
    archive = FIXTURE / FILES["dsgdb9nsd"]
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file/qm9: cannot be written: Not a directory"):
        qm9._extract(archive, tmp_path / "file" / "qm9")

    def full(self, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pathlib.Path, "write_bytes", full)
    with pytest.raises(InputError, match="qm9: cannot be written: No space left on device"):
        qm9._extract(archive, tmp_path / "qm9")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]  # no partial folder


def test_another_process_may_extract_first(tmp_path, monkeypatch):
    rename = pathlib.Path.rename

    def late(self, target):
        shutil.copytree(self, target)
        rename(self, target)

    monkeypatch.setattr(pathlib.Path, "rename", late)
    assert qm9._extract(FIXTURE / FILES["dsgdb9nsd"], tmp_path / "qm9") == 60
    assert [path.name for path in tmp_path.iterdir()] == ["qm9"]
    assert len(list((tmp_path / "qm9").iterdir())) == 60


def test_what_it_would_download_is_what_tfds_does():
    """Sizes and checksums of the true files are TFDS's own."""
    from tensorflow_datasets.datasets.qm9 import qm9_dataset_builder

    assert Builder.url_infos == qm9_dataset_builder.Builder.url_infos
    assert len(Builder.url_infos) == 3


def test_files_that_are_not_there_are_downloaded(tmp_path, monkeypatch, prepared):
    """From a server on this machine, beside another dataset's file in the manual directory."""
    from tensorflow_datasets.datasets.qm9 import qm9_dataset_builder

    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=FIXTURE)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        constants = ("_ATOMREF_URL", "_UNCHARACTERIZED_URL", "_MOLECULES_URL")
        for constant, name in zip(constants, FILES.values(), strict=True):
            url = f"http://127.0.0.1:{server.server_port}/{name}"
            monkeypatch.setattr(qm9_dataset_builder, constant, url)
        (manual := tmp_path / "downloads" / "manual").mkdir(parents=True)
        (manual / "dataset_combined.npz").touch()
        builder = tfds.builder("qm9_files", data_dir=tmp_path)
        builder.download_and_prepare()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert builder.info.metadata["provenance"] == prepared.info.metadata["provenance"]
    assert builder.info.splits["train"].num_examples == 59


@pytest.mark.slow
def test_readme(prepared, run_python, tmp_path):
    text = README.read_text()
    for name, feature in qm9.TARGETS.items():
        assert f"| `{feature.name}` | `{name}` | {target(name).unit} |" in text
    assert "140022" in prepared.info.citation
    (snippet,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    code = snippet.replace("folder/of/qm9", str(FIXTURE))
    done = run_python("-W", "ignore", "-c", code, cwd=tmp_path, TFDS_DATA_DIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"\d+ b'\S+' -1\d\.\d+", done.stdout.splitlines()[-1])
