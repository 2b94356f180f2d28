"""A table where the answer is known: each target is noise, or follows from one thing alone."""

import dataclasses

import numpy as np

from qc_jax.canvas import FEATURES, features
from qc_jax.data.table import PairTable

NOISE = "e_g_ev"  # nothing tells it
ELEMENTS = "e_homo_ev"  # a constant an element, added up
DISTANCE = "e_lumo_ev"  # the bond length, whatever the elements
CHANNEL = "band_energy_ev"  # the number that channel 3, 'RIP-GAF d/f', holds
LEAK = "mu_ev"  # the charges' difference
TARGETS = (NOISE, ELEMENTS, DISTANCE, CHANNEL, LEAK)


def plant(table: PairTable, seed: int = 0) -> PairTable:
    """The table with targets that are planted, beside its own."""
    rng = np.random.default_rng(seed)
    constants = rng.normal(size=97)
    drawn = features(table)
    column = [feature.name for feature in FEATURES].index("population_df")
    planted = {
        NOISE: rng.normal(size=len(table)),
        ELEMENTS: constants[table.atomic_numbers].sum(axis=1),
        DISTANCE: 2 * np.linalg.norm(table.positions[:, 1] - table.positions[:, 0], axis=1) - 5,
        CHANNEL: 3.0 - drawn[:, column],
        LEAK: 3 * np.abs(table.charges[:, 0] - table.charges[:, 1]) - 1,
    }
    # What is planted contradicts what follows from it, which a table has to tell.
    told = {
        **table.provenance,
        "engine": "planted",
        "disagreements": {str(name): "planted" for name in table.names},
    }
    return dataclasses.replace(table, targets={**table.targets, **planted}, provenance=told)
