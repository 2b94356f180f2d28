#!/usr/bin/env bash
# One machine: a single process uses all of its GPUs (or TPU cores, or none).
#
#   bash experiments/launch/gpu.sh egnn runs/egnn --config.sweep.target=all \
#       --config.sweep.seed=42,123,456
#
# The same command goes on where an interrupted run stopped.
set -euo pipefail

if [[ $# -lt 2 ]]; then
    echo "usage: gpu.sh CARD WORKDIR [FLAG ...]" >&2
    exit 2
fi
card=$1 workdir=$2
shift 2

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
exec python -m experiments.train --config="experiments/configs/$card.py" --workdir="$workdir" "$@"
