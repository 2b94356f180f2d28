"""DimeNet++."""

from tests.models.rows import Row

ROW = Row(
    "dimenet",
    {
        "hidden": 12,
        "blocks": 1,
        "int_emb_size": 8,
        "basis_emb_size": 4,
        "out_emb": 12,
        "num_spherical": 3,
        "num_radial": 4,
        "cutoff": 3.0,
        "output_layers": 1,
    },
)
