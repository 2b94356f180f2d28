"""Cards of larger structures, for `experiments.finetune`."""
