"""One process of a cluster, as its environment says: `test_hosts.py` starts two."""

import os

import jax

from qc_jax.train import hosts

if __name__ == "__main__":
    # JAX's import sets it where there is no TPU, GKE everywhere; a TPU's virtual machine does not.
    if "TPU_WORKER_ID" not in os.environ:
        os.environ.pop("TPU_SKIP_MDS_QUERY", None)
    hosts.join(join_within=60)
    print(jax.process_index(), jax.process_count(), hosts.any_process(hosts.first()))
    hosts.leave()
