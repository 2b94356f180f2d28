"""Which data's orbitals can be drawn by tight binding with PTBP."""

import pytest

from qc_jax.canvas import orbitals
from qc_jax.data.table import open_table
from qc_jax.engines.generate import create_engine


@pytest.mark.parametrize(
    ("options", "same"),
    [
        ({}, True),
        ({"max_l": ("published",)}, True),
        ({"form": "exact"}, False),
        ({"max_l": ("main_group_p",)}, False),
        ({"max_l": ("all",)}, False),
        ({"max_l": ("S:d",)}, False),
        ({"temperature": 1000.0}, False),
        ({"minimum": "global"}, False),
    ],
)
def test_tables_of_the_engines_defaults_alone(options, same):
    assert orbitals.are_of(create_engine("dftb", **options).provenance()) == same


def test_shipped_tables():
    found = [
        name
        for name in ("ptbp", "ptbp_exact", "gfn2_xtb")
        if orbitals.are_of(open_table(name).provenance)
    ]
    assert found == ["ptbp"]
