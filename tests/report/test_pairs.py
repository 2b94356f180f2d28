"""Pairs and elements that a model gets wrong."""

import numpy as np
import pandas as pd
import pytest

from qc_jax.report import pairs


@pytest.fixture
def errors():
    lines = [
        ("C_O", 42, 1.0, 1.5),
        ("C_O", 123, 1.0, 0.9),
        ("H_H", 42, 2.0, 2.1),
        ("Au_H", 42, 3.0, 5.0),
    ]
    frame = pd.DataFrame(lines, columns=["name", "seed", "true", "predicted"])
    return frame.assign(error=(frame.predicted - frame.true).abs())


def test_by_pair_is_worst_first_and_means_over_seeds(errors):
    found = pairs.by_pair(errors)
    assert found.name.tolist() == ["Au_H", "C_O", "H_H"] and found.seeds.tolist() == [1, 2, 1]
    assert found.error.tolist() == pytest.approx([2.0, 0.3, 0.1])
    assert found.predicted[1] == pytest.approx(1.2)


def test_by_element_counts_a_pair_once_for_each_of_its_elements(errors):
    found = pairs.by_element(pairs.by_pair(errors)).set_index("element")
    assert found.index.tolist() == ["H", "C", "O", "Au"]
    assert found.error.tolist() == pytest.approx([1.05, 0.3, 0.3, 2.0])
    assert found.pairs.tolist() == [2, 1, 1, 1]


def test_the_periodic_table_has_each_element_in_its_place(errors):
    lanthanum = pd.DataFrame([("La_Lu", 42, 0.0, 0.5, 0.5)], columns=errors.columns)
    picture = pairs.draw_elements("x", "e_g_ev", "egnn", pd.concat([errors, lanthanum]))
    places = {
        text.get_text(): tuple(np.round(text.get_position()))
        for text in picture.figure.axes[0].texts
    }
    assert places["H"] == (1, 1) and places["O"] == (16, 2) and places["Au"] == (11, 6)
    assert places["Lu"] == (3, 6) and places["La"] == (3, 8)
    assert picture.data.element.tolist() == ["H", "C", "O", "La", "Lu", "Au"]


def test_the_matrix_is_symmetric_and_blank_where_nothing_was_tested(errors):
    picture = pairs.draw_matrix("x-matrix", "e_g_ev", "egnn", errors)
    image = picture.figure.axes[0].images[0].get_array()
    shown = np.ma.filled(image, np.nan)  # H, C, O, Au
    np.testing.assert_allclose(shown, shown.T)
    assert shown[0, 3] == 2.0 and shown[1, 2] == pytest.approx(0.3) and np.isnan(shown[0, 1])
    assert picture.data_name == "x-parity-pairs"


def test_predicted_against_true_names_the_worst(errors):
    picture = pairs.draw_parity("x", "e_g_ev", "egnn", errors)
    axis = picture.figure.axes[0]
    assert [text.get_text() for text in axis.texts] == ["Au–H", "C–O", "H–H"]
    assert len(axis.collections[0].get_offsets()) == 4


def test_errors_of_zero_are_drawn(errors):
    perfect = errors.assign(predicted=errors.true, error=0.0)
    for draw in (pairs.draw_parity, pairs.draw_elements, pairs.draw_matrix):
        draw("x", "e_g_ev", "egnn", perfect)
