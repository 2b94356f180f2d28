import jax
import pytest


def test_canvas(run_python):
    done = run_python(
        "-m", "experiments.speed", "--what=canvas", "--batch=4,8", "--rounds=2", "--size=16"
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert f"JAX {jax.__version__}" in lines[0]
    assert lines[1] == "16 x 16 x 10 canvases, float32"
    assert [line.split()[0] for line in lines[3:]] == ["4", "8"]
    for line in lines[3:]:
        rate, gigabytes, ratio, speed_up = (
            float(word.replace(",", "")) for word in line.split()[1:5]
        )
        assert rate > 0 and gigabytes >= 0 and ratio > 0 and speed_up >= 0


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--batch=8,many", "--batch: expected whole numbers from 1 up, got 'many'"),
        ("--size=2", "canvas size: expected a whole number from 3 up, got 2"),
        ("--what=nothing", "canvas"),
        ("canvas", "expected flags only"),
    ],
)
def test_wrong_flag_is_one_line(run_python, flag, message):
    done = run_python("-m", "experiments.speed", flag)
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: ") and message in last and "Traceback" not in done.stderr
