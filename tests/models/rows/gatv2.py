"""GATv2 as published: without positions."""

from tests.models.rows import Row

ROW = Row("gatv2", {"hidden": 16, "layers": 2, "heads": 2}, training={"lr": 1e-2})
