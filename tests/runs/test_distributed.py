"""The flags that join processes; `tests/experiments/test_distributed.py` has the processes."""

import pytest

from qc_jax.errors import InputError
from qc_jax.runs import cli, distributed


@pytest.mark.parametrize(
    "flag", ["coordinator=host:1", "processes=2", "process=0", "dead_after=30", "join_within=9"]
)
def test_flags_of_a_run_that_is_not_distributed(flag):
    """The default of a flag is no excuse for giving it."""
    flags = cli.Flags("")
    group = distributed.Group(flags)
    flags.parse([f"--{flag}"])
    words = f"--{flag.partition('=')[0]} is of --distributed, which is not given"
    with pytest.raises(InputError, match=words), group.joined():
        pass


def test_a_process_alone_joins_nobody():
    flags = cli.Flags("")
    group = distributed.Group(flags)
    flags.parse([])
    with group.joined():
        pass
