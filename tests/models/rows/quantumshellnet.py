"""A CNN of the canvas that is told the sum of the atomic numbers."""

from tests.models.rows import Row

ROW = Row(
    "quantumshellnet",
    {"convolutions": (8, 8), "hidden": (16, 8)},
    molecules=False,
)
