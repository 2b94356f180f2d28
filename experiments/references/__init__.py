"""Reference networks in PyTorch, a file for each model of `qc_jax.models` that has one.

    pip install torch==2.13.0 && pip install torch_geometric==2.7.0  # beside this package

Only fixtures and timings need them. `NAME.py` is independent of `qc_jax.models.NAME`: layers of
PyTorch Geometric, of the paper's package or of PyTorch, written from the paper. It defines

    build(**hyper) → the torch module with one output; takes every hyper-parameter of the model
      under its name, `**_` those that change nothing.
    run(module, structures) → [B, 1] for B `Structures`.
"""
