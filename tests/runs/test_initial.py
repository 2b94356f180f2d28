"""A run that starts from a file of weights remembers which one, and refuses another."""

import json

import ase
import ase.io
import numpy as np
import pytest

import qc_jax
from experiments.configs import multimodal as card
from experiments.configs import schnet
from qc_jax.errors import InputError
from qc_jax.runs import building, initial, record, sweep
from qc_jax.runs.loading import restore
from qc_jax.runs.workdir import Workdir

WIDTHS = (4, 4, 8, 8)  # of the card's quick run


def state_dict(seed: int = 0) -> dict[str, np.ndarray]:
    """torchvision's names of a narrow resnet18, with random numbers."""
    rng = np.random.default_rng(seed)
    shapes = {}

    def convolution(name, kernel, before, after):
        shapes[f"{name}.weight"] = (after, before, kernel, kernel)

    def norm(name, width):
        for leaf in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{name}.{leaf}"] = (width,)
        shapes[f"{name}.num_batches_tracked"] = ()

    convolution("conv1", 7, 3, WIDTHS[0])
    norm("bn1", WIDTHS[0])
    before = WIDTHS[0]
    for stage, width in enumerate(WIDTHS, 1):
        for block in (0, 1):
            name = f"layer{stage}.{block}"
            convolution(f"{name}.conv1", 3, before, width)
            norm(f"{name}.bn1", width)
            convolution(f"{name}.conv2", 3, width, width)
            norm(f"{name}.bn2", width)
            if stage > 1 and block == 0:
                convolution(f"{name}.downsample.0", 1, before, width)
                norm(f"{name}.downsample.1", width)
            before = width
    shapes |= {"fc.weight": (1000, before), "fc.bias": (1000,)}
    return {name: rng.uniform(0.5, 1, size=shape) for name, shape in shapes.items()}


@pytest.fixture(scope="module")
def files(small_table, tmp_path_factory):
    """table.npz, resnet18.npz and other.npz."""
    folder = tmp_path_factory.mktemp("initial")
    small_table.save(folder / "table.npz")
    np.savez(folder / "resnet18.npz", **state_dict())
    np.savez(folder / "other.npz", **state_dict(seed=1))
    return folder


def config(files, weights: str, get_config=card.get_config) -> dict:
    made = get_config("quick").to_dict()
    return {**made, "data": str(files / "table.npz"), "image_weights": weights}


def test_no_file(files):
    run = building.from_config(config(files, ""))
    assert initial.read(run) is run


def test_the_configuration_remembers_the_file(files, tmp_path, capsys):
    """By its content: another one under the same name is refused."""
    path = tmp_path / "weights.npz"
    path.write_bytes((files / "resnet18.npz").read_bytes())
    run = initial.read(building.from_config(config(files, str(path))))
    assert "left out, as it tells classes: fc.weight, fc.bias" in capsys.readouterr().err
    got = run.initial["params"]["resnet"]["convolution"]["kernel"]
    np.testing.assert_allclose(got, state_dict()["conv1.weight"].transpose(2, 3, 1, 0), rtol=1e-6)
    workdir = Workdir(tmp_path / "run")
    record.claim(run, workdir)
    # A finished run is read without the file.
    assert building.from_config(workdir.config()).initial is None
    initial._image_weights.cache_clear()
    path.write_bytes((files / "other.npz").read_bytes())
    other = initial.read(building.from_config(config(files, str(path))))
    with pytest.raises(InputError, match=r"image_weights_sha256 is '[0-9a-f]{64}' there"):
        record.claim(other, workdir)


def test_bad_input(files):
    def read(weights, get_config=card.get_config, **changes):
        made = config(files, weights, get_config)
        made["model"] |= changes
        return initial.read(building.from_config(made))

    weights = str(files / "resnet18.npz")
    with pytest.raises(InputError, match=r"image_weights: missing\.npz: no such file"):
        read("missing.npz")
    with pytest.raises(InputError, match="expected three in multimodal, got channels"):
        read(weights, channels=(0,))
    with pytest.raises(InputError, match=r"layer4\.1\.conv2\.weight has shape"):
        read(weights, widths=(4, 4, 8, 9))
    with pytest.raises(InputError, match="expected the model multimodal, got schnet"):
        read(weights, schnet.get_config)


def test_a_sweep_starts_from_them(files, tmp_path):
    """Each of its trainings, which share the arrays; their directories remember the file."""
    made = config(files, str(files / "resnet18.npz"))
    made["sweep"]["seed"] = "1,2"
    trainings = sweep.Sweep(sweep.expand(made), tmp_path / "sweep", stack=2)._trainings
    assert len(trainings) == 2
    one, other = trainings.values()
    assert one.initial is other.initial is not None
    for training in trainings.values():
        assert "image_weights_sha256" in training.observers[0].config()


def test_scaling_is_kept_of_labels_alike_alone(small_table, tmp_path):
    """Labels less constants of elements, of the one or of the other training, are others."""
    frames, rng = [], np.random.default_rng(0)
    for row in range(30):
        atoms = ase.Atoms(("H2", "HO", "O2")[row % 3], [[0, 0, 0], [0, 0, 1 + rng.random()]])
        atoms.info["REF_energy"] = float(atoms.numbers.sum() + rng.random())
        frames.append(atoms)
    ase.io.write(tmp_path / "frames.xyz", frames, format="extxyz")
    small_table.save(tmp_path / "table.npz")
    names = {"pairs": str(tmp_path / "table.npz")}
    names["frames"] = f"extxyz:{tmp_path / 'frames.xyz'}?energy=REF_energy"
    model = qc_jax.create("schnet", hidden=4, filters=4, interactions=1, gaussians=4)
    for name, data in names.items():
        task = qc_jax.prepare(qc_jax.open_data(data), "total_energy_ev")
        assert bool(task.element_offsets) == (name == "frames") and not any(task.offsets or ())
        qc_jax.fit(model, task, qc_jax.TrainConfig(epochs=1)).save(tmp_path / name)

    def read(source, data):
        made = schnet.get_config().to_dict() | {"data": names[data], "target": "total_energy_ev"}
        made["model"] |= {"hidden": 4, "filters": 4, "interactions": 1, "gaussians": 4}
        made["transfer"] = {"source": str(tmp_path / source), "scaling": "kept"}
        return initial.read(building.from_config(initial.resolve(made)))

    kept = initial._pretrained(str(tmp_path / "pairs"))[0].scaler
    assert read("pairs", "pairs").task.scaler.high == kept.high
    with pytest.raises(InputError, match=r"total_energy_ev; got .*: less eV an atom: H "):
        read("pairs", "frames")
    with pytest.raises(InputError, match="total_energy_ev, less constants that its data have; got"):
        read("frames", "pairs")


@pytest.mark.slow
def test_training_starts_from_them(files, run_python, tmp_path):
    """As a user starts it."""
    command = (
        *("-m", "experiments.train", "--config=experiments/configs/multimodal.py:quick"),
        *(f"--config.data={files / 'table.npz'}", "--config.epochs=1", "--config.lr=1e-6"),
    )
    weights = f"--config.image_weights={files / 'resnet18.npz'}"
    done = run_python(*command, weights, f"--workdir={tmp_path / 'run'}")
    assert done.returncode == 0, done.stderr
    workdir = Workdir(tmp_path / "run")
    assert len(json.loads((workdir.path / "config.json").read_text())["image_weights_sha256"]) == 64
    run = building.from_config(workdir.config())
    state = restore(workdir, run.model, run.config)
    kernel = state.params["resnet"]["convolution"]["kernel"]
    expected = state_dict()["conv1.weight"].transpose(2, 3, 1, 0)
    np.testing.assert_allclose(kernel, expected, atol=1e-3)
    other = f"--config.image_weights={files / 'other.npz'}"
    again = run_python(*command, other, f"--workdir={tmp_path / 'run'}")
    assert again.returncode == 2 and "image_weights_sha256 is " in again.stderr
