"""Scripts: run them as `python -m experiments.NAME`; each has --help."""

import os

# Of the BLAS that SciPy lends to JAX for eigenvalues. All matrices here are small, programs keep
# the cores busy by themselves, and its threads spin where they wait for one. Read when it is
# loaded, so this comes before NumPy.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
