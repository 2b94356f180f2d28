"""EGNN."""

from tests.models.rows import Row

ROW = Row("egnn", {"hidden": 16, "layers": 2})
