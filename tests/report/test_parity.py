"""The parity plot is a picture of the given numbers."""

import matplotlib.image
import numpy as np

from qc_jax.report.parity import plot_parity


def test_writes_a_picture(tmp_path):
    rng = np.random.default_rng(0)
    true = rng.normal(size=(50, 2))
    names = [f"pair_{row}" for row in range(50)]
    pictures = []
    for noise in (0.0, 1.0):
        path = tmp_path / f"{noise}.png"
        predicted = true + noise * rng.normal(size=true.shape)
        plot_parity(path, ("e_homo_ev", "e_g_ev"), predicted, true, names, "title")
        pictures.append(matplotlib.image.imread(path))
    assert pictures[0].shape == pictures[1].shape
    assert np.abs(pictures[0] - pictures[1]).max() > 0.5
