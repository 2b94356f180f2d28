"""A token for each of the canvas's channels and for each atom."""

from tests.models.rows import Row

ROW = Row(
    "tabular_transformer",
    {"element_embedding": 8, "hidden": 16, "heads": 2, "layers": 2, "dropout": 0.05},
    molecules=False,
    swap_invariant=False,
)
