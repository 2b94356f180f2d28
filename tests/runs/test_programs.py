import os
import textwrap

import pytest

CODE = """
    import jax
    from qc_jax.runs import cli

    events = []
    jax.monitoring.register_event_listener(lambda name, **_: events.append(name))

    def main(_):
        def slow(x):
            for _ in range(60):
                x = jax.numpy.sort(jax.numpy.linalg.eigh(x @ x.T)[1] @ x)
            return x

        shape = jax.jit(slow)(jax.numpy.ones((4, 4))).shape
        print(shape, events.count("/jax/compilation_cache/cache_hits"))

    cli.run(main, cli.Flags())
"""


@pytest.mark.slow
def test_a_second_process_takes_what_the_first_compiled(run_python, tmp_path):
    def run(**environment):
        told = {"QC_JAX_CACHE": str(tmp_path), "JAX_COMPILATION_CACHE_DIR": ""} | environment
        done = run_python("-c", textwrap.dedent(CODE), **told)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("(4, 4) "), done.stdout
        return int(done.stdout.split()[-1]), done.stderr

    assert run()[0] == 0
    programs = [name for _, _, names in os.walk(tmp_path / "programs") for name in names]
    assert programs
    hits, told = run()
    assert hits > 0 and told == ""
    assert run(JAX_ENABLE_COMPILATION_CACHE="false")[0] == 0
