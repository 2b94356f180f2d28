"""The same network as ViT's, of all channels."""

from experiments.references.vit import build, run

__all__ = ["build", "run"]
