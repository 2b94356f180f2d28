"""What all experiment cards share: the published protocol, and how `:quick` shrinks a run."""

from qc_jax.runs.config import published

__all__ = ["published"]
