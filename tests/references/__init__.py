"""Reference networks in PyTorch, a file for each model of `qc_jax.models` that has one.

Only fixtures and timings need them, and what `INSTALL` installs. `NAME.py` is independent of
`qc_jax.models.NAME`: layers of PyTorch Geometric, of the paper's package or of PyTorch, written
from the paper. It defines

    build(**hyper) → the torch module with one output; takes every hyper-parameter of the model
      under its name, `**_` those that change nothing.
    run(module, structures) → [B, 1] for B `Structures`.
    EQUATIONS = True, where the network is our own of the paper's equations, since there is no
      package that has it.
"""

# torch by itself and first: from the package index it would draw CUDA along for another package.
INSTALL = "pip install torch==2.13.0 && pip install -e '.[references]'"
