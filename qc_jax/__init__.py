"""QuantumCanvas in JAX: two-atom quantum systems, their canvases, and models that learn them.

Example:
  >>> import qc_jax
  >>> table = qc_jax.open_table("gfn2_xtb")
  >>> images = qc_jax.render(qc_jax.features(table)[:2], size=32)
  >>> images.shape
  (2, 32, 32, 10)
"""

import importlib
from typing import Any

__version__ = "0.1.0"

# The public names by the modules that they stand in, which are imported when they are asked for.
_PUBLIC = {
    "open_table": "qc_jax.runs.sources",
    "open_data": "qc_jax.runs.sources",
    "features": "qc_jax.canvas",
    "render": "qc_jax.canvas",
    "prepare": "qc_jax.runs.building",
    "available": "qc_jax.models",
    "create": "qc_jax.models",
    "describe": "qc_jax.models",
    "register": "qc_jax.models",
    "TrainConfig": "qc_jax.train.config",
    "RunConfig": "qc_jax.runs.config",
    "fit": "qc_jax.runs.training",
    "load": "qc_jax.runs.loading",
    "SavedRun": "qc_jax.runs.saved",
    "Observer": "qc_jax.train.observers",
    "Ensemble": "qc_jax.runs.ensemble",
    "Calculator": "qc_jax.ase",
    "InputError": "qc_jax.errors",
}
_MODULES = (
    "ase",
    "canvas",
    "chem",
    "data",
    "datasets",
    "dftb",
    "dynamics",
    "engines",
    "models",
    "testing",
)

__all__ = [*_PUBLIC, *_MODULES]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        found = getattr(importlib.import_module(_PUBLIC[name]), name)
    elif name in _MODULES:
        found = importlib.import_module(f"qc_jax.{name}")
    else:
        raise AttributeError(f"module 'qc_jax' has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
