"""What architectures share."""

from functools import partial

import flax.linen as nn

# PyTorch's initial weights of a linear layer, U(±1/√fan_in), which the published models start from;
# its uniform bias is left at Flax's zero.
Dense = partial(nn.Dense, kernel_init=nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform"))
