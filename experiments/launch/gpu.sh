#!/usr/bin/env bash
# One machine with any number of GPUs, after `pip install -e '.[cuda]'`.
set -euo pipefail
cd "$(dirname "$0")/../.."

python -m experiments.benchmark --preset=published --workdir="${1:?usage: gpu.sh WORKDIR}"
