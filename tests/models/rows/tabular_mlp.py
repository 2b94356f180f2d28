"""The canvas's statistics, elements and bond length."""

from tests.models.rows import Row

ROW = Row(
    "tabular_mlp",
    {"element_embedding": 8, "hidden": (32, 16)},
    molecules=False,
    swap_invariant=False,
)
