"""The same network as ViT's, of all channels."""

from tests.references.vit import build, run

__all__ = ["build", "run"]
