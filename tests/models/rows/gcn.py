"""GCN as published: without positions."""

from tests.models.rows import Row

ROW = Row("gcn", {"hidden": 24, "layers": 2, "dropout": 0.05}, training={"lr": 1e-2})
