"""Elements and bond length."""

from tests.models.rows import Row

ROW = Row("geometry_only", {"hidden": 16, "layers": 2}, molecules=False, swap_invariant=False)
