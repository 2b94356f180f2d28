"""A CNN of the canvas that is told the sum of the atomic numbers.

That sum, up to 172 and not scaled, makes its training rough: it takes more weights than others.
"""

from tests.models.rows import Row

ROW = Row(
    "quantumshellnet",
    {"convolutions": (8, 16), "hidden": (32, 16), "dropout": 0.02},
    molecules=False,
    training={"lr": 5e-3},
)
