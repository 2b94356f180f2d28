import numpy as np
import pytest
from PIL import Image

from qc_jax import dftb
from qc_jax.canvas import densities
from qc_jax.errors import InputError
from qc_jax.report import animation


@pytest.fixture(scope="module")
def stretched():
    return animation.stretch("H_F", [0.9, 1.0, 1.5, 2.2], side=40)


@pytest.mark.slow
def test_numbers_are_those_of_single_points(stretched):
    assert stretched.pair == ("H", "F")
    np.testing.assert_allclose(stretched.distances / stretched.relaxed, [0.9, 1, 1.5, 2.2])
    alone = [dftb.solve(["H", "F"], distance) for distance in stretched.distances]
    np.testing.assert_allclose(stretched.levels, [one.levels_ev for one in alone], atol=1e-6)
    np.testing.assert_allclose(stretched.charges, [one.charges_e for one in alone], atol=1e-6)
    free = np.array([one.mermin_free_energy_ev for one in alone])
    np.testing.assert_allclose(stretched.energies, free - free[1], atol=1e-5)
    assert (stretched.energies > -1e-6).all()


@pytest.mark.slow
def test_images_show_the_whole_bond(stretched):
    frames, height, width, channels = stretched.images.shape
    assert (frames, channels) == (4, 4) and height == width and abs(width - 40) <= 2
    assert stretched.edge > stretched.distances[-1] / 2
    # Both nuclei of the longest bond are bright in the density.
    row = stretched.images[-1, height // 2, :, 0]
    places = (np.array([-0.5, 0.5]) * stretched.distances[-1] / stretched.edge + 1) / 2 * width
    assert (row[places.astype(int)] > 0.05).all()


@pytest.mark.slow
def test_amplitudes_keep_their_sign(stretched):
    for channel in (2, 3):
        images = stretched.images[..., channel].reshape(4, -1)
        assert (np.einsum("fp,fp->f", images[1:], images[:-1]) > 0).all()


@pytest.mark.slow
@pytest.mark.parametrize(("ending", "kind"), [(".gif", "GIF"), (".png", "PNG")])
def test_files_go_there_and_back(stretched, ending, kind, tmp_path, monkeypatch):
    monkeypatch.setattr(animation, "stretch", lambda *given: stretched)
    path = tmp_path / f"hf{ending}"
    count, _ = animation.plot_stretch(path, "H_F")
    assert count == 6 and path.stat().st_size < 2_000_000 / 78 * 6
    with Image.open(path) as picture:
        assert picture.format == kind and picture.is_animated
        assert picture.size == (760, 470) and picture.n_frames == 6
        assert picture.info["loop"] == 0
        shown = []
        for frame in range(6):
            picture.seek(frame)
            shown.append(np.asarray(picture.convert("RGB")).astype(int))
        assert picture.info["duration"] == 60
    np.testing.assert_array_equal(shown[1], shown[5])
    np.testing.assert_array_equal(shown[2], shown[4])
    assert all((shown[0] != other).any() for other in shown[1:4])
    assert (shown[0][:5] == 255).all()  # white where nothing is drawn
    dark = shown[0][70:230, 25:185].mean(axis=(0, 1))  # of the first image
    assert (dark < 120).all()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("HF",), "pairs: expected names like C_O, got 'HF'"),
        (("H_F", [1.0]), "animation: expected 2 to 200 rising distances, got 1"),
        (("H_F", [1.0, 0.8]), "animation: expected 2 to 200 rising distances"),
        (("H_F", [1.0, 20.0]), "distance of H_F: expected 0.21 Å"),
    ],
)
def test_wrong_input_is_told(given, message):
    with pytest.raises(InputError) as error:
        animation.stretch(*given)
    assert message in str(error.value)


def test_other_endings_are_refused(tmp_path):
    with pytest.raises(InputError) as error:
        animation.plot_stretch(tmp_path / "hf.mp4", "H_F")
    assert "expected a file that ends in .gif or .png, got" in str(error.value)


def test_long_bonds_stay_in_the_window():
    far = animation.HIGH * 5.0
    assert animation._FARTHEST < densities.WINDOW_ANG < far
