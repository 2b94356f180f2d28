"""A CNN of the canvas that elements and bond length modulate."""

from tests.models.rows import Row

ROW = Row(
    "film_cnn",
    {"element_embedding": 8, "convolutions": (8, 8), "hidden": (16, 8), "dropout": 0.05},
    molecules=False,
    swap_invariant=False,
    training={"epochs": 150, "lr": 1e-2},
)
