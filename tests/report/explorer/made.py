"""Pages of few pairs, for tests."""

import numpy as np

from qc_jax.chem.elements import pair_names
from qc_jax.report.explorer import contents
from qc_jax.runs import sources

SYMBOLS = ("H", "He", "O", "Al", "Ag")


def silent(done, total):
    """Progress that tells nothing."""
    assert 0 < done <= total


def table(symbols=SYMBOLS):
    """The pairs of some elements in ptbp."""
    whole = sources.open_table("ptbp")
    return whole.take(np.array([whole.row(name) for name in pair_names(symbols)]))


def of(name="ptbp", **options):
    """What the page of a table holds, without tight binding unless asked for."""
    return contents.build(sources.open_table(name), silent, **{"levels": False, **options})
