"""Tight-binding network."""

from tests.models.rows import Row

ROW = Row("tight_binding", {"hidden": 32, "embedding": 8, "basis": "gfn2_xtb"}, cells=False)
