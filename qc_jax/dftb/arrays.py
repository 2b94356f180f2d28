"""The type of arrays that may be NumPy's or JAX's; jaxtyping's shapes stand around it."""

from typing import Any

Array = Any
