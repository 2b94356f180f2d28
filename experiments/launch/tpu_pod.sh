#!/usr/bin/env bash
# A TPU pod slice: the same command on each of its hosts, which find each other by TPU metadata.
#
#   ZONE=us-central2-b bash experiments/launch/tpu_pod.sh my-v4-32 egnn /mnt/shared/egnn \
#       --config.sweep.target=all --config.sweep.seed=42,123,456
#
# Expected on every host: this repository in ~/qc_jax (or REPOSITORY) with `pip install -e '.[tpu]'`
# in its .venv, and WORKDIR on a file system that all mount, such as Filestore's NFS. The same
# command goes on where an interrupted run stopped.
set -euo pipefail

if [[ $# -lt 3 ]]; then
    echo "usage: ZONE=... tpu_pod.sh TPU CARD WORKDIR [FLAG ...]" >&2
    exit 2
fi
tpu=$1 card=$2 workdir=$3
shift 3
zone=${ZONE:?expected ZONE, as in: ZONE=us-central2-b tpu_pod.sh ...}

flags=$(printf ' %q' --distributed --config="experiments/configs/$card.py" --workdir="$workdir" "$@")
# The remote shell expands ~.
repository=${REPOSITORY:-'~/qc_jax'}
exec gcloud compute tpus tpu-vm ssh "$tpu" --zone="$zone" --worker=all \
    --command="cd $repository && . .venv/bin/activate && python -m experiments.train$flags"
