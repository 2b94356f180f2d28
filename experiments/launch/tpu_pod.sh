#!/usr/bin/env bash
# A TPU pod slice, from your own machine: tpu_pod.sh NAME ZONE WORKDIR, with qc_jax in ~/qc_jax and
# `pip install -e '.[tpu]'` done on every worker, and WORKDIR on a disk that all of them mount.
set -euo pipefail

gcloud compute tpus tpu-vm ssh "${1:?usage: tpu_pod.sh NAME ZONE WORKDIR}" --zone="${2:?ZONE}" \
    --worker=all --command="cd ~/qc_jax && python -m experiments.train --distributed \
        --config=egnn --workdir=${3:?WORKDIR} \
        --config.checkpoint_minutes=5 \
        --config.sweep.target=all --config.sweep.seed=42,123,456"
