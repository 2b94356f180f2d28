"""Sets of larger structures by name, and every TFDS builder: importing this registers them.

`qm9` (downloaded where there is a network) or `qm9:DIR` of its three files, `md17:FILE.npz`,
`crysmtm:DIR`, `extxyz:FILE.xyz`. What TFDS prepares of files is kept under their names, sizes and
times, so that other files are never read as these.
"""

import os
from collections.abc import Callable

from qc_jax.data.names import DataName, parse_structures
from qc_jax.data.structures import Structures
from qc_jax.datasets import crysmtm, extxyz, md17, qm9, quantum_canvas

__all__ = ["crysmtm", "extxyz", "md17", "open_structures", "qm9", "quantum_canvas"]

_OPENERS: dict[str, Callable[[DataName, str], Structures]] = {
    "qm9": qm9.open_structures,
    "md17": md17.open_structures,
    "crysmtm": crysmtm.open_structures,
    "extxyz": extxyz.open_structures,
}


def open_structures(data: str, data_dir: str = "") -> Structures:
    """Return the structures that `data` names, prepared by TFDS on first use.

    Args:
      data: Like 'md17:FILE.npz'; see `qc_jax.data.names`.
      data_dir: Where TFDS keeps what it prepares; '' is its own choice.

    Raises:
      InputError: no such data, or something in the files is wrong.
    """
    name = parse_structures(data)
    root = data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    return _OPENERS[name.kind](name, os.path.expanduser(root))
