"""A CNN of the canvas that attends to both elements."""

from tests.models.rows import Row

ROW = Row(
    "qsn_v2",
    {"element_embedding": 8, "convolutions": (8, 8), "heads": 2, "hidden": (16, 8)},
    molecules=False,
)
