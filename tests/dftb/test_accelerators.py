"""Programs of tight binding compiled for TPUs that are not here."""

import importlib.util
import json
import os
import subprocess
import sys

import pytest

from tests.dftb import reference

# In a process of its own: libtpu wants its environment before JAX begins.
SCRIPT = """
import json, sys
import jax, numpy as np
from jax.experimental import topologies
from jax.sharding import SingleDeviceSharding
from qc_jax.dftb import convergence, pairs, relax

chip = topologies.get_topology_desc("v5e:2x2", platform="tpu").devices[0]
there = SingleDeviceSharding(chip)
found = convergence.load(sys.argv[1], ["O", "H"])
with jax.enable_x64(True):
    water = convergence.padded(["O", "H", "H"], found)
    molecules = jax.tree.map(lambda x: np.stack([x] * 16), water)
    walks = relax.begin(np.full(128, 2.0), np.tile([[0.4, 9.0]], (128, 1)))
    given = found.tables, found.repulsion
    kt = np.float64(1e-3)
    start = np.zeros_like(molecules.neutral)
    names = [("O", "H")] * 128
    for name, program, arguments in (
        ("solve", convergence.energies_and_gradients,
         (molecules, *given, np.zeros((16, 4, 3)), kt, start)),
        ("relax", relax._advance, (walks, pairs.build(names, found), *given, kt)),
    ):
        shapes = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(np.shape(x), np.asarray(x).dtype, sharding=there),
            arguments,
        )
        compiled = program.lower(*shapes).compile()
        cost, memory = compiled.cost_analysis(), compiled.memory_analysis()
        dtypes = sorted({str(x.dtype) for x in jax.tree.leaves(compiled.out_info)})
        print(json.dumps({
            "program": name, "flops": cost["flops"], "bytes": cost["bytes accessed"],
            "code": memory.generated_code_size_in_bytes, "temporary": memory.temp_size_in_bytes,
            "dtypes": dtypes,
        }))
"""


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("libtpu") is None, reason="needs libtpu: pip install libtpu"
)
def test_programs_compile_for_a_tpu(tmp_path):
    reference.write(tmp_path / "skf", reference.of_fixture()[0])
    environment = os.environ | {
        "TPU_SKIP_MDS_QUERY": "1",
        "JAX_PLATFORMS": "cpu",
        "TPU_LOG_DIR": str(tmp_path),
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "skf")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    costs = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert [cost["program"] for cost in costs] == ["solve", "relax"]
    for cost in costs:
        assert "float64" in cost["dtypes"] and "float32" not in cost["dtypes"]
        assert cost["flops"] > 0 and cost["temporary"] < 2**30
