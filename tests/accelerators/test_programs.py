"""Programs for devices: CPUs stand for them here, `test_compilers.py` has the real compilers."""

import dataclasses
import json

import jax
import pytest

from qc_jax import models
from qc_jax.accelerators import programs, topology
from qc_jax.accelerators.chips import parse
from qc_jax.errors import NUMBER, InputError, expect_fields
from qc_jax.runs import building
from qc_jax.train.config import TrainConfig
from qc_jax.train.parallel import Devices
from qc_jax.train.program import Program
from qc_jax.train.stack import Stack, Training

# What --out writes.
WORK = {"kernels": int, "bytes": NUMBER, "collectives": {...: [NUMBER]}, "cycles": NUMBER}
ESTIMATE = {
    **dict.fromkeys(("arithmetic", "memory", "launches", "collectives", "seconds"), NUMBER),
    "limit": str,
}
PROGRAM = {
    **dict.fromkeys(("name", "parallel", "reason"), str),
    **dict.fromkeys(("trainings", "of", "stacks", "chips", "parameters", "steps"), int),
    **dict.fromkeys(("compile_seconds", "memory", "operations", "xla_seconds"), NUMBER),
    **dict.fromkeys(("largest_stack", "pays_up_to"), int),
    "work": object,  # of WORK, or null where there is no program
    "estimate": object,
}
DEVICE = {
    **dict.fromkeys(("name", "title", "source"), str),
    **dict.fromkeys(("chips", "processes"), int),
    **dict.fromkeys(("memory", "bandwidth", "link", "launch"), NUMBER),
    "peak": dict.fromkeys(("float32", "tf32", "bfloat16"), NUMBER),
}
SCHEMA = [{"device": DEVICE, "versions": {"jax": str, "jaxlib": str}, "programs": [PROGRAM]}]

ONE = parse("gpu:h100:1")


@pytest.fixture(scope="module", autouse=True)
def _cpus():
    """As many devices as a target has chips, all of them this CPU: enough for what fails early."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(topology, "devices", lambda target: jax.devices()[:1] * target.chips)
        yield


@pytest.fixture(scope="module")
def trainings(small_table) -> dict[str, Training]:
    """Four of one model, which can be stacked, and one that is solved at once."""
    task = building.prepare(small_table, "e_homo_ev")
    egnn = models.create("egnn", hidden=8, layers=1)
    settings = [TrainConfig(batch_size=4, seed=seed) for seed in range(4)]
    found = {f"egnn{each.seed}": Training(egnn, task, each) for each in settings}
    return found | {"mean": Training(models.create("pair_mean"), task, settings[0])}


@pytest.fixture(scope="module")
def swept(trainings, _cpus) -> list[programs.Compiled]:
    """Two stacks of two, of which the first is compiled."""
    return programs.compile_for(ONE, trainings, most=2)


def alone(trainings):
    return {"egnn0": trainings["egnn0"]}


def test_chips_that_do_not_divide_a_batch(trainings, monkeypatch):
    """A lone training of a sweep has one of them; what is solved needs none."""

    def refuse(*_):
        raise NotImplementedError("no such chips")

    monkeypatch.setattr(programs, "Program", refuse)
    some = {"egnn0": trainings["egnn0"], "mean": trainings["mean"]}
    some["other"] = trainings["mean"]._replace(settings=TrainConfig(batch_size=3))
    egnn, *solved = programs.compile_for(parse("gpu:h100:3"), some)
    assert (egnn.chips, egnn.parallel) == (1, "replicas")
    assert all(each.reason.startswith("solved at once") for each in solved)


def test_it_is_the_program_that_train_runs(trainings):
    (got,) = programs.compile_for(ONE, alone(trainings))
    stack = Stack([trainings["egnn0"]])
    program = Program(stack, Devices("data", 1, 4), stack.first_states())
    assert got.reason == "" and got.memory == program.bytes
    assert got.parameters == sum(leaf.size for leaf in jax.tree.leaves(program.states().params))
    assert got.work.kernels > 20 and got.work.collectives == {}
    assert got.steps == -(-len(stack.trainings[0].task.split.train) // 4)
    # Two products a weight and row forwards, four backwards, are most of the arithmetic.
    assert 4 < got.operations / (got.parameters * 4 * 2) < 40
    assert got.estimate.seconds >= got.work.kernels * 2.5e-6
    assert got.largest_stack > 1000 and got.pays_up_to == 1


def test_a_sweep_and_its_stacks(swept):
    stacked, solved = swept
    assert (stacked.trainings, stacked.of, stacked.stacks) == (2, 4, 2)
    assert stacked.parallel == "replicas" and stacked.chips == 1
    assert solved.reason == "solved at once on the host: nothing to compile" and not solved.failed


def test_as_many_as_fit(trainings):
    some = {name: trainings[name] for name in ("egnn0", "egnn1")}
    (got,) = programs.compile_for(ONE, some)
    assert (got.trainings, got.stacks) == (2, 1)


def test_the_document_is_of_its_schema(swept):
    text = json.dumps([programs.document(ONE, swept)], allow_nan=False)
    document = json.loads(text)
    expect_fields("document", document, SCHEMA)
    compiled, solved = document[0]["programs"]
    expect_fields("work", compiled["work"], WORK)
    expect_fields("estimate", compiled["estimate"], ESTIMATE)
    assert solved["work"] is None and solved["estimate"] is None and solved["memory"] is None
    assert compiled.keys() == PROGRAM.keys() and document[0].keys() == SCHEMA[0].keys()


@pytest.mark.parametrize(
    ("device", "names", "words"),
    [
        ("gpu:h100:8", ["egnn0"], "batch_size 4 cannot be split over 8 devices"),
        (
            "tpu:v5e:2x4",
            ["egnn0", "egnn1", "egnn2"],
            "tpu:v5e:2x4 has 8 chips for 3 trainings; expected at most a chip a training, or",
        ),
    ],
)
def test_more_chips_than_can_be_used(trainings, device, names, words):
    with pytest.raises(InputError, match=words):
        programs.compile_for(parse(device), {name: trainings[name] for name in names})


def test_what_does_not_fit_is_told_with_its_numbers(trainings):
    tiny = dataclasses.replace(ONE, chip=dataclasses.replace(ONE.chip, memory=20_000.0))
    (got,) = programs.compile_for(tiny, alone(trainings))
    assert got.failed and got.estimate is None
    assert got.reason == (
        f"does not fit: a device needs {got.memory / 1e9:.3g} GB and has 1.5e-05 GB"
    )
    hbm = (
        "RESOURCE_EXHAUSTED: XLA:TPU compile permanent error. Ran out of memory in memory space "
        "hbm. Used 20.30G of 15.75G hbm. Exceeded hbm capacity by 4.55G."
    )
    reason = programs.why_not(RuntimeError(hbm), 16e9)
    assert reason == "does not fit: a device needs 20.30G bytes and has 15.75G"


def test_an_epoch_of_one_step(trainings):
    """Its work is the epoch's; loops that random numbers need are not taken for it."""
    one = trainings["egnn0"]
    one = one._replace(settings=dataclasses.replace(one.settings, batch_size=32))
    (got,) = programs.compile_for(ONE, {"one": one})
    assert got.steps == 1 and got.reason == "" and got.work.kernels > 40


def test_structures_of_any_number(trainings):
    task = programs.sized(trainings["egnn0"].task, *programs.parse_size("130831x29"))
    parts = [len(part) for part in task.split.parts().values()]
    assert parts == [110831, 10000, 10000]
    assert task.dataset.structures.neighbors.shape == (130831, 29, 28)
    few = programs.sized(trainings["egnn0"].task, 48, 5)
    (got,) = programs.compile_for(ONE, {"few": trainings["egnn0"]._replace(task=few)})
    assert got.reason == "" and got.steps == 10


@pytest.mark.parametrize("text", ["130831", "10x5", "48x0", "ax5"])
def test_bad_sizes(text):
    with pytest.raises(InputError, match=f"expected ROWSxATOMS, at least 36x1, got '{text}'"):
        programs.parse_size(text)


@pytest.mark.parametrize("text", ["99999999999x9999", "100000001x5", "100x10001", "9" * 30 + "x2"])
def test_sizes_beyond_the_limit(text):
    with pytest.raises(InputError, match=f"at most {programs.MAX_ROWS}x{programs.MAX_ATOMS}, got"):
        programs.parse_size(text)
