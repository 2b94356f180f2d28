"""QuantumCanvas in JAX: two-atom quantum systems, their canvases, and models that learn them."""

__version__ = "0.1.0"
