"""The script that writes tables in other programs' formats."""

import csv
import os
import pathlib

import numpy as np
import pytest

import qc_jax
from experiments import export
from qc_jax import canvas
from qc_jax.engines import published
from qc_jax.errors import InputError

SCRIPT = ("-m", "qc_jax", "export")  # also outside of a clone
FIXTURE = pathlib.Path(__file__).parents[1] / "fixtures" / "published_numpy1.npz"


@pytest.fixture(scope="module")
def saved(small_table, tmp_path_factory) -> pathlib.Path:
    path = tmp_path_factory.mktemp("table") / "table.npz"
    small_table.save(path)
    return path


@pytest.fixture(scope="module")
def exported(saved, run_python, tmp_path_factory):
    """The small table in the published format, and what the script said."""
    out = tmp_path_factory.mktemp("out") / "dataset_combined.npz"
    done = run_python(*SCRIPT, "--format=published", f"--data={saved}", f"--out={out}")
    assert done.returncode == 0, done.stderr
    return out, done


def test_published_file_is_read_back_by_their_loader_and_ours(exported, small_table):
    out, done = exported
    assert done.stdout.startswith(f"{len(small_table)} pairs: {out}, ")
    assert os.listdir(out.parent) == [out.name]
    theirs = np.load(out, allow_pickle=True)
    images = theirs["images"]
    assert images.dtype == np.float32 and images.shape == (len(small_table), 10, 32, 32)
    np.testing.assert_array_equal(np.moveaxis(images, 1, -1), canvas.canvases(small_table))
    assert theirs["labels"][3]["e_homo_ev"] == small_table.targets["e_homo_ev"][3]
    ours = published.read(out)
    assert ours.names.tolist() == small_table.names.tolist()
    assert ours.provenance["disagreements"] == {}


def test_published_file_becomes_csv(exported, run_python, tmp_path, small_table):
    """From --data=published:…, which says how much of it was read; in place of an older one."""
    out = tmp_path / "pairs.csv"
    out.write_text("older")
    flags = ("--format=csv", f"--data=published:{exported[0]}", f"--out={out}", "--overwrite")
    done = run_python(*SCRIPT, *flags)
    assert done.returncode == 0, done.stderr
    n = len(small_table)
    assert f"{n} rows in the table; 0 left out; 0 contradict themselves" in done.stderr.splitlines()
    with open(out, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == small_table.names.tolist()
    written = [float(row["total_energy_ev"]) for row in rows]
    np.testing.assert_array_equal(written, small_table.targets["total_energy_ev"])
    assert {row["metal_like"] for row in rows} == {"0.0", "1.0"}


@pytest.mark.slow
def test_extxyz_is_read_by_ase(saved, run_python, tmp_path, small_table):
    ase_io = pytest.importorskip("ase.io", reason="ASE is not installed")
    out = tmp_path / "pairs.xyz"
    done = run_python(*SCRIPT, "--format=extxyz", f"--data={saved}", f"--out={out}")
    assert done.returncode == 0, done.stderr
    frames = ase_io.read(out, ":")
    assert [atoms.info["name"] for atoms in frames] == small_table.names.tolist()


def test_predictions_of_pairs_that_stand_once(small_table, tmp_path, capsys):
    """Others are told of; a table without any is refused."""
    out, count = tmp_path / "predicted.csv", len(small_table)
    for rows, more in ((np.r_[0:count, 0, 1], 2), (np.tile(np.arange(count), 2), count)):
        task = qc_jax.prepare(small_table.take(rows), "total_energy_ev")
        run = qc_jax.fit(qc_jax.create("pair_mean"), task, qc_jax.TrainConfig(epochs=1))
        path = run.save(tmp_path / f"run_{more}").path
        export.FLAGS.reset()
        export.FLAGS.parse(["--format=csv", f"--workdir={path}", f"--out={out}", "--overwrite"])
        if more == count:
            words = f"expected pairs that stand once in the run's table, got {2 * count} rows of"
            with pytest.raises(InputError, match=words):
                export.main([])
            break
        export.main([])
        said = f"{count - more} pairs: {out}; {2 * more} rows are left out, of pairs that stand at"
        assert said in capsys.readouterr().out
        assert len(out.read_text().splitlines()) == 1 + count - more


@pytest.mark.slow
def test_folders_for_the_hub(saved, run_python, tmp_path):
    out = tmp_path / "pairs"
    flags = ("--format=huggingface", f"--data={saved}", f"--out={out}", "--license=cc0-1.0")
    done = run_python(*SCRIPT, *flags)
    assert done.returncode == 0, done.stderr
    assert sorted(os.listdir(out)) == ["README.md", "croissant.json", "data"]
    assert (out / "README.md").read_text(encoding="utf-8").startswith("---\nlicense: cc0-1.0\n")
    assert "license" not in done.stdout
    out = tmp_path / "model"
    flags = ("--format=huggingface", "--workdir=tight_binding/ptbp", f"--out={out}")
    done = run_python(*SCRIPT, *flags)
    assert done.returncode == 0, done.stderr
    assert sorted(os.listdir(out)) == ["README.md", "model.npz"]
    assert (out / "README.md").read_text(encoding="utf-8").startswith("---\nlicense: apache-2.0\n")
    out = tmp_path / "unnamed"
    done = run_python(*SCRIPT, "--format=huggingface", f"--data={saved}", f"--out={out}")
    assert done.stdout.startswith("license: 'unknown' in the card; name it by --license")
    assert (out / "README.md").read_text(encoding="utf-8").startswith("---\nlicense: unknown\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--format=csv", "--out=taken.csv"), "taken.csv: exists already; add --overwrite or choo"),
        (("--format=published", "--out=pairs.csv"), "expected a file that ends in .npz for --form"),
        (("--format=csv", "--out=nowhere/a.csv"), "--out: no such directory: nowhere"),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (
                (("--format=huggingface", "--out=taken.csv"), "--out: expected an empty or new"),
                (("--format=csv", "--out=a.csv", "--license=mit"), "--license: expected --format"),
                (("--format=csv", "--out=pairs.npz"), "expected a file that ends in .csv for"),
                (("--format=extxyz", "--out=a"), "expected a file that ends in .extxyz or .xyz"),
                (("--format=xlsx", "--out=a.xlsx"), "xlsx"),
                (("--format=csv",), "--out"),
                (("--out=a.csv",), "--format"),
                (("--format=csv", "--out=a.csv", "--data=gfn1"), "unknown data 'gfn1'"),
                (("--format=csv", "--out=a.csv", "--data=published:no.npz"), "no.npz: no such"),
                (("--format=csv", "--out=a.csv", "--data_dir=x"), "data_dir 'x' is of TFDS"),
                (("--format=csv", "--out=a.csv", "stray"), "expected flags only"),
            )
        ),
    ],
)
def test_bad_flags_are_one_line(run_python, tmp_path, arguments, message):
    (tmp_path / "taken.csv").write_text("precious")
    done = run_python(*SCRIPT, *arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stdout
    assert done.stderr.splitlines()[-1].startswith("error: ") and message in done.stderr
    assert "Traceback" not in done.stderr and os.listdir(tmp_path) == ["taken.csv"]
    assert (tmp_path / "taken.csv").read_text() == "precious"


def test_a_hostile_file_is_refused_in_one_line(run_python, tmp_path):
    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'mark'}",)

    with np.load(FIXTURE, allow_pickle=True) as file:
        content = dict(file)
    content["metadata"][1]["bond_length"] = [Evil()]
    np.savez_compressed(tmp_path / "evil.npz", **content)
    done = run_python(
        *SCRIPT, "--format=csv", "--data=published:evil.npz", "--out=a.csv", cwd=tmp_path
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: evil.npz: metadata: it would import posix.system; ")
    assert os.listdir(tmp_path) == ["evil.npz"]
