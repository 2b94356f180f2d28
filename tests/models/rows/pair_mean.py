"""One constant an element."""

from tests.models.rows import Row

ROW = Row("pair_mean", {}, fits=0.5)
