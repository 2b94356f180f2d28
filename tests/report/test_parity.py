"""The parity plot is a picture of the given numbers."""

import matplotlib.image
import numpy as np

from qc_jax.evaluate.predictions import Predictions
from qc_jax.report.parity import plot_scored

RESULT = {"model": "a", "dataset": "b", "split": "random", "split_sizes": {"test": 50}}


def test_writes_a_picture(tmp_path):
    rng = np.random.default_rng(0)
    true = rng.normal(size=(50, 2))
    names = np.array([f"pair_{row}" for row in range(50)])
    pictures = []
    for noise in (0.0, 1.0):
        path = tmp_path / f"{noise}.png"
        predicted = true + noise * rng.normal(size=true.shape)
        predictions = Predictions(("e_homo_ev", "e_g_ev"), names, true, predicted)
        plot_scored(path, RESULT, predictions)
        pictures.append(matplotlib.image.imread(path))
    assert pictures[0].shape == pictures[1].shape
    assert np.abs(pictures[0] - pictures[1]).max() > 0.5
