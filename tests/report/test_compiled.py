from qc_jax.accelerators.chips import parse
from qc_jax.accelerators.hlo import Work
from qc_jax.accelerators.programs import Compiled
from qc_jax.accelerators.roofline import Estimate
from qc_jax.report.compiled import show_compiled

FITS = Compiled(
    *("egnn", 30, 60, 2, 8, "replicas"),
    compile_seconds=12.34,
    memory=1.718e9,
    parameters=465_496,
    steps=36,
    operations=2.5e9,
    work=Work(291, 5e7, {"all-reduce": (2, 1.5e6)}, 2e5),
    xla_seconds=1.3e-4,
    estimate=Estimate(1e-5, 2e-5, 2.2e-4, 1e-6, 2.21e-4, "launches"),
    largest_stack=1234,
    pays_up_to=3,
)


def test_a_row_and_a_reason(capsys):
    solved = Compiled("pair_mean", 0, 60, 0, 8, "replicas", reason="solved at once on the host")
    show_compiled(parse("tpu:v5e:2x4"), [FITS, solved])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "tpu:v5e:2x4: 8 × TPU v5e of 1 process"
    (row,) = (line.split() for line in lines if line.strip().startswith("egnn"))
    told = "egnn 30 of 60 8 12.3 1,718, 10 % 2,500.0 50.0 291 1.5 130 221 launches 1,234 3"
    assert " ".join(row) == told
    assert "pair_mean: solved at once on the host" in lines
    assert lines[-1].startswith("TPU v5e: 17.18 GB, 0.819 TB/s, Tflop/s: float32 32.83, tf32")


def test_without_programs_there_is_no_table(capsys):
    large = Compiled("vit", 1, 1, 1, 1, "data", reason="does not fit: a device needs 20 GB")
    show_compiled(parse("gpu:h100:1"), [large])
    out = capsys.readouterr().out
    assert "compile s" not in out and "vit: does not fit: a device needs 20 GB" in out
