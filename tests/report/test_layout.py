"""Tables as text, and numbers as they are read."""

import math

import pytest

from qc_jax.report.layout import Cell, Column, Table, number, spread


@pytest.fixture
def table():
    return Table(
        "small",
        "A small one",
        [Column("model", numeric=False), Column("e_g_ev", "eV")],
        [
            [Cell("a_b"), Cell("0.336 ± 0.012", 0.336, bold=True)],
            [Cell("c|d"), Cell("0.500", 0.5, leaked=True, note="1 of 3 seeds")],
        ],
        caption="100 % of it.",
    )


def test_markdown(table):
    lines = table.markdown().splitlines()
    assert lines[0] == "### A small one" and "100 % of it." in lines
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[4:]]
    assert cells[0] == ["model", "e_g_ev (eV)"]
    assert cells[2] == ["a_b", "**0.336 ± 0.012**"]
    assert cells[3] == [r"c\|d", "0.500 1 of 3 seeds †"]


def test_latex_is_escaped(table):
    text = table.latex()
    assert r"\textbf{0.336 $\pm$ 0.012}" in text and r"a\_b &" in text
    assert r"0.500 1 of 3 seeds$^\dagger$" in text and r"100 \% of it." in text
    assert r"\begin{tabular}{lr}" in text and r"\toprule" in text and "tab:small" in text


def test_csv_has_what_is_read(table):
    assert table.csv().splitlines()[1] == "a_b,0.336 ± 0.012"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.33612, "0.336"),
        (1.0001, "1.00"),
        (1234.5, "1234"),
        (-0.5, "−0.500"),
        (0.0, "0.00"),
        (1e-6, "1.00e−06"),
        (math.nan, "–"),
        (math.inf, "–"),
    ],
)
def test_number(value, text):
    assert number(value) == text


def test_spread_has_as_many_decimals_as_the_mean():
    assert spread(0.33612, 0.0123) == "0.336 ± 0.012"
    assert spread(12.34, 0.456) == "12.3 ± 0.5"
    assert spread(0.5, math.nan) == "0.500"
    assert spread(math.nan, math.nan) == "–"


def test_an_empty_table_is_a_table():
    empty = Table("none", "None", [Column("model", numeric=False)], [])
    assert "model" in empty.markdown() and "model" in empty.latex()
