import numpy as np
import pytest
from ase.io.cube import read_cube
from matplotlib.image import imread
from PIL import Image

from qc_jax.data import exchange


def test_picture_of_named_pairs(run_python, small_table, tmp_path):
    table, out = tmp_path / "table.npz", tmp_path / "canvas.png"
    small_table.save(table)
    done = run_python(
        "-m", "experiments.gallery", f"--data={table}", "--pairs=O_C,H_H", f"--out={out}"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"2 pairs x 10 channels: {out}\n"
    pixels = imread(out)
    assert pixels.shape[1] == 1600 and 300 < pixels.shape[0] < 600
    assert out.stat().st_size < 300_000


@pytest.mark.slow
def test_picture_of_densities(run_python, tmp_path):
    out = tmp_path / "densities.png"
    given = ["--images=densities", "--pairs=H_H,H_O", f"--out={out}", "--size=30"]
    pictures = []
    for method in ("ptbp", "gfn2_xtb"):
        done = run_python("-m", "experiments.gallery", *given, f"--data={method}")
        assert done.returncode == 0, done.stderr
        assert done.stdout == f"2 pairs x 10 channels: {out}\n"
        pictures.append(imread(out))
        assert pictures[-1].shape[1] == 1920 and len(np.unique(pictures[-1][..., 0])) > 50
    assert not np.array_equal(*pictures)


@pytest.mark.slow
def test_cube_file(run_python, tmp_path):
    out = tmp_path / "oh.cube"
    given = ["--images=cube", f"--out={out}", "--size=40"]
    done = run_python("-m", "experiments.gallery", *given, "--pairs=H_O", "--channel=density")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("density at 40³ points, 0.567 bohr apart; ")
    assert abs(float(done.stdout.split("; ")[1].split()[0]) - 7) < 0.3
    assert " of 7 electrons in it: " in done.stdout
    with open(out) as file:
        assert read_cube(file)["atoms"].get_chemical_formula() == "HO"
    done = run_python("-m", "experiments.gallery", *given, "--pairs=H_O,C_O")
    assert done.returncode == 2 and "a cube file is of one pair, got 2" in done.stderr


@pytest.mark.slow
def test_animation(run_python, tmp_path):
    out = tmp_path / "stretch.gif"
    given = ["--images=stretch", f"--out={out}", "--pairs=H_H"]
    done = run_python("-m", "experiments.gallery", *given, "--curve=0.8:1.6:5")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"8 frames, 0.60 to 1.20 Å and back: {out}\n"
    with Image.open(out) as picture:
        assert picture.format == "GIF" and picture.n_frames == 8
    for flags, message in (
        (["--curve=2:3:5"], "error: curve 2:3:5: expected LOW:HIGH:COUNT with 0 < LOW < 1 < HIGH"),
        (["--size=80"], "error: --size: an animation has one size, 760 x 470 pixels"),
        (["--pairs=H_H,C_O"], "error: --pairs: an animation is of one pair, got 2"),
        (["--curve=0.7:90:9"], "to 12 Å, got 17."),
    ):
        done = run_python("-m", "experiments.gallery", *given, *flags)
        assert done.returncode == 2 and message in done.stderr.splitlines()[-1]


def test_a_csv_has_no_canvases(run_python, small_table, tmp_path):
    exchange.write_csv(small_table, tmp_path / "mine.csv")
    given = [f"--data={tmp_path / 'mine.csv'}", "--pairs=C_O", f"--out={tmp_path / 'c.png'}"]
    done = run_python("-m", "experiments.gallery", *given)
    assert done.returncode == 2 and not (tmp_path / "c.png").exists()
    assert "error: --data: expected populations of C_O, which" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--pairs=CO"], "--pairs: expected pairs like Ag_Al, parted by commas, got 'CO'"),
        (["--out=picture.jpg"], "--out: expected a file that ends in .png, got picture.jpg"),
        (["--images=densities"], "unknown --data of --images=densities '"),
        (["--images=stretch", "--out=a.gif"], "--data: expected ptbp of --images=stretch, got"),
        (["--images=orbitals"], "--images"),
        (["--channel=homo"], "--channel is of --images=cube"),
        (["--curve=0.7:2:9"], "--curve is of --images=stretch"),
        (["--images=stretch", "--out=a.webp"], "--out: expected a file that ends in .gif or .png"),
        (["--images=cube"], "--out: expected a file that ends in .cube, got"),
        (["--size=1"], "canvas size: expected a whole number from 3 up, got 1"),
    ],
)
def test_wrong_flag_is_one_line(run_python, small_table, tmp_path, flags, message):
    table = tmp_path / "table.npz"
    small_table.save(table)
    given = [f"--data={table}", "--pairs=C_O", f"--out={tmp_path / 'canvas.png'}", *flags]
    done = run_python("-m", "experiments.gallery", *given)
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: ") and message in last and "Traceback" not in done.stderr
    assert not (tmp_path / "canvas.png").exists()
