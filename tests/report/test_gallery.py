import dataclasses

import jax
import numpy as np
from matplotlib.image import imread

from qc_jax.report.gallery import plot_canvases


def test_one_pair_at_another_size(small_table, tmp_path):
    path = tmp_path / "one.png"
    plot_canvases(path, small_table.take(np.array([small_table.row("C_O")])), size=64)
    pixels = imread(path)
    assert pixels.shape[1] == 1600 and 150 < pixels.shape[0] < 300
    colours = np.unique((255 * pixels).astype(int).reshape(-1, pixels.shape[2]), axis=0)
    assert len(colours) > 200


def test_unknown_populations_are_no_picture(small_table, tmp_path):
    table = small_table.take(np.array([small_table.row("C_O")]))
    unknown = dataclasses.replace(table, populations=np.full_like(table.populations, np.nan))
    plot_canvases(tmp_path / "known.png", table)
    with jax.debug_nans(False):
        plot_canvases(tmp_path / "unknown.png", unknown)
    known, blank = imread(tmp_path / "known.png"), imread(tmp_path / "unknown.png")
    assert known.shape == blank.shape
    # Dark images there, white ones with a word in them here.
    assert known[70:190, 160:].mean() < 0.6 < 0.95 < blank[70:190, 160:].mean()
