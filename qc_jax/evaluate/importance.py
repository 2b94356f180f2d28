"""Permutation importance of canvas channels: L. Breiman, Mach. Learn. 45, 5, 2001.

How much a model's error grows where a channel of each canvas is that of another row's, all else
left as it is. Whole channels of the drawn images are exchanged: 'COM charge' is drawn from the same
charges as Q+ and Q−, and keeps its own when those get others.
"""

import jax.numpy as jnp
import numpy as np

from qc_jax.canvas import CHANNELS, columns_of, separate
from qc_jax.canvas.images import CANVAS
from qc_jax.data.batch import Batch
from qc_jax.errors import InputError
from qc_jax.evaluate.ablation import Change
from qc_jax.models import Architecture

# Channels that are exchanged together, from the same other row.
GROUPS: dict[str, tuple[int, ...]] = {
    "orbital": (0, 1, 7),
    "GAF": (2, 3),
    "MTF": (4, 5),
    "charge": (6, 8, 9),
    "all channels": tuple(range(len(CHANNELS))),
}
NOTHING = "nothing"  # exchanged: what the others are compared with


def of_channels(model: Architecture) -> dict[str, Change]:
    """A change for each channel and each of `GROUPS`, and `NOTHING`.

    Args:
      model: that will be asked. Channels that it does not read come out with no importance.

    Raises:
      InputError: it reads no canvas.
    """
    if "canvas" not in model.inputs:
        raise InputError("reads no canvas: it has no channels to exchange")
    single = {name: (channel,) for channel, name in enumerate(CHANNELS)}
    changes = {name: Change(_exchange(channels)) for name, channels in (single | GROUPS).items()}
    return {NOTHING: Change(_exchange(()), random=False), **changes}


def _exchange(channels: tuple[int, ...]):
    def apply(structures: Batch, generator: np.random.Generator) -> Batch:
        assert structures.canvas_features is not None, "`models.check` refuses structures without"
        if structures.images != CANVAS:
            raise InputError(
                f"expected canvases, whose channels these are, got {structures.images}"
            )
        given = structures.canvas_features
        found = [columns_of(channel, given.shape[-1]) for channel in channels]
        columns = np.array([column for one in found for column in one], int)
        drawn = np.array(separate(given))
        other = generator.permutation(len(drawn))
        drawn[:, columns] = drawn[other][:, columns]
        return structures.replace(canvas_features=jnp.asarray(drawn))

    return apply
