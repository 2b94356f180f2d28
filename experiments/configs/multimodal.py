"""SchNet and ResNet-18, fused, on the GFN2-xTB table, by the published protocol.

python -m experiments.train --config=multimodal --config.data=gfn2_xtb --workdir=runs/multimodal

11,640,226 parameters; 4 minutes on two busy CPU cores. Test MAE in eV with seed 42: e_homo_ev 0.711
(stopped early after 26 epochs).

The ResNet starts from random weights. As published it starts from ImageNet's, which
--config.image_weights=FILE takes from torchvision's resnet18-f37072fd.pth (PyTorch is needed) or
from an .npz made of it; `qc_jax.models.multimodal.image_weights` says how.
"""

from ml_collections import ConfigDict

from qc_jax.runs import cards


def get_config(preset: str = "") -> ConfigDict:
    """The card; `:quick` for a run of seconds."""
    config = cards.published(
        "multimodal", preset, quick={"widths": (4, 4, 8, 8), "hidden": 16, "interactions": 2}
    )
    with config.unlocked():
        config.image_weights = ""  # a file; '' starts from random ones
    return config
