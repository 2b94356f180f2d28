"""Accelerators: what programs cost on TPUs and GPUs, by their compilers, without the hardware."""
