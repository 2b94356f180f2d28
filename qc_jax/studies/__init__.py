"""The studies of the paper and its rebuttal, one a file: `qc-jax study NAME`."""
