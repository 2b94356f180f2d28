#!/usr/bin/env bash
# Slurm: a process for each GPU of two nodes with four. Submit it from the root of the repository:
#
#   sbatch experiments/launch/slurm.sh egnn runs/egnn --config.sweep.target=all \
#       --config.sweep.seed=42,123,456
#
# WORKDIR must be on a file system that all nodes share. The same command goes on where a job that
# ran out of time, was preempted or lost a node has stopped.
#
#SBATCH --job-name=qc_jax
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=8
#SBATCH --time=04:00:00
#SBATCH --signal=TERM@120
#SBATCH --output=qc_jax-%j.log
set -euo pipefail

if [[ $# -lt 2 ]]; then
    echo "usage: sbatch slurm.sh CARD WORKDIR [FLAG ...]" >&2
    exit 2
fi
card=$1 workdir=$2
shift 2

# Slurm runs a copy of this script.
cd "${SLURM_SUBMIT_DIR:?expected sbatch}"
if [[ -f .venv/bin/activate ]]; then
    # shellcheck disable=SC1091
    source .venv/bin/activate
fi
# The processes find each other by host names, not through a proxy.
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY

# JAX gives the GPU i of a node to its task i, so all tasks of a node must see all of its GPUs. A
# task that ends badly takes the others along by itself; Slurm cleans up what hangs nevertheless.
exec srun --gpu-bind=none --kill-on-bad-exit=1 --label \
    python -m experiments.train --distributed \
    --config="experiments/configs/$card.py" --workdir="$workdir" "$@"
