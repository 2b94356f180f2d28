"""Which trainings run together, and that none runs twice."""

import dataclasses
import json
import threading
import time
from pathlib import Path

import jax
import pytest

from qc_jax import models
from qc_jax.errors import InputError
from qc_jax.train import grid, loop, parallel
from qc_jax.train.program import CompileCache
from qc_jax.train.stack import static_signature
from tests.train.test_stack import training


@pytest.fixture
def trainings(task, tmp_path):
    """Five of one kind, two of another."""
    found = {f"a{seed}": training(task, tmp_path / f"a{seed}", seed=seed) for seed in range(5)}
    for seed in range(2):
        name = f"b{seed}"
        found[name] = training(task, tmp_path / name, seed=seed, batch_size=40)
    return found


def test_waves(trainings, tmp_path):
    plan = grid.plan_stacks(trainings, tmp_path, stack_size=3)
    assert [stack.names for stack in plan] == [("a0", "a1", "a2"), ("a3", "a4"), ("b0", "b1")]
    for stack in plan:
        assert len({static_signature(trainings[name]) for name in stack.names}) == 1
    assert len({stack.directory for stack in plan}) == 3
    # What has been decided stays, whatever is asked for later.
    assert grid.plan_stacks(trainings, tmp_path, stack_size=1) == plan


def test_no_device_is_idle():
    """Seven trainings take two devices as long as eight; all stacks of a group are one program."""
    names = [str(number) for number in range(54)]
    assert {len(stack) for stack in grid.divide(names, 8, devices=2)} == {6}
    assert [len(stack) for stack in grid.divide(names[:5], 8, devices=2)] == [5]
    assert [len(stack) for stack in grid.divide(names[:3], 2)] == [2, 1]
    assert [len(stack) for stack in grid.divide(names, 60, devices=8)] == [54]
    assert [len(stack) for stack in grid.divide(names, 4)] == [3] * 18  # one program
    assert [len(stack) for stack in grid.divide(names[:53], 4)][-1] == 3  # 53 is prime
    assert len(grid.divide(names[:12], 8, processes=4, devices=2)) == 4


def test_few_rest(task, tmp_path):
    """Trainings of fewer steps an epoch run with others where that is a tenth of the steps."""

    def found(whole: int, fewer: int) -> list[list[str]]:
        split = dataclasses.replace(task.split, train=task.split.train[:64])
        part = task._replace(split=split)
        some = {f"few{k}": training(task, tmp_path / "x")._replace(task=part) for k in range(fewer)}
        every = {f"all{k}": training(task, tmp_path / "x") for k in range(whole)}
        return grid.alike(some | every)

    assert [len(group) for group in found(10, 1)] == [11]
    assert found(10, 1)[0][-1] == "few0"
    assert found(2, 2) == [["all0", "all1"], ["few0", "few1"]]


def test_a_failure_beside_another_program_is_tried_again():
    cache, tried = CompileCache(keep=True), []

    def build():
        tried.append(threading.current_thread().name)
        if len(tried) == 1:
            time.sleep(0.1)
            raise MemoryError
        return "program"

    def fail():
        with pytest.raises(MemoryError):
            cache.get("x", build)

    thread = threading.Thread(target=fail)
    thread.start()
    while not tried:
        time.sleep(0.001)
    assert cache.get("x", build) == cache.get("x", build) == "program" and len(tried) == 2
    thread.join()


def test_a_grid_may_grow(trainings, tmp_path):
    some = {name: trainings[name] for name in ("a0", "a1", "a2", "b0")}
    first = grid.plan_stacks(some, tmp_path, stack_size=2)
    assert [stack.names for stack in first] == [("a0", "a1"), ("a2",), ("b0",)]
    grown = grid.plan_stacks(trainings, tmp_path, stack_size=2)
    assert grown[:3] == first and [stack.names for stack in grown[3:]] == [("a3", "a4"), ("b1",)]
    # Stacks that are not asked for are left where they are.
    others = grid.plan_stacks({name: trainings[name] for name in ("a2", "b1")}, tmp_path)
    assert others == [grown[1], grown[4]]
    assert grid.plan_stacks(trainings, tmp_path) == grown


def test_a_part_of_a_wave(trainings, tmp_path):
    grid.plan_stacks(trainings, tmp_path, stack_size=3)
    del trainings["a3"]
    with pytest.raises(InputError, match=r"stacks\.json: a3 is trained together with others"):
        grid.plan_stacks(trainings, tmp_path, stack_size=3)
    # What has ended goes on without the others.
    plan = grid.plan_stacks(trainings, tmp_path, stack_size=3, done={"a4"}.__contains__)
    assert [stack.names for stack in plan] == [("a0", "a1", "a2"), ("b0", "b1")]
    (tmp_path / "stacks.json").write_text('[["a0"')
    with pytest.raises(InputError, match=r"stacks\.json: not JSON, or cut short"):
        grid.plan_stacks(trainings, tmp_path)


def test_devices_that_do_not_divide_a_batch_end_no_grid(trainings, tmp_path, monkeypatch):
    """Stacks of one, such as those of models that are solved at once, take one of them."""
    monkeypatch.setattr(grid.jax, "local_device_count", lambda: 3)
    monkeypatch.setattr(parallel.jax, "local_devices", lambda: jax.devices() * 3)
    one = trainings["a0"]._replace(model=models.create("pair_mean"))
    assert len(grid.plan_stacks({"a0": one}, tmp_path)) == 1
    assert grid._alone(one).settings.parallel == "replicas"
    asked = one._replace(settings=dataclasses.replace(one.settings, parallel="data"))
    assert grid._alone(asked) is asked


@pytest.mark.parametrize("processes", [1, 2])
def test_states_of_stacks_that_had_ended_are_removed(trainings, tmp_path, monkeypatch, processes):
    """By the process whose they are; of several each has stacks of its own."""
    monkeypatch.setattr(grid.jax, "process_count", lambda: processes)
    (batch, *_) = grid.plan_stacks(trainings, tmp_path, stack_size=3)
    Path(batch.directory).mkdir(parents=True)
    grid.fit_grid(trainings, [batch], done=lambda name: True)
    assert not Path(batch.directory).exists()


@pytest.mark.parametrize(
    ("processes", "shared", "left"),
    [(1, "auto", False), (2, "auto", False), (2, "replicas", False), (2, "data", True)],
)
def test_who_removes_states(trainings, tmp_path, monkeypatch, processes, shared, left):
    """Each process those of its own stacks; of one that they share others may still be at it."""
    settings = dataclasses.replace(trainings["a0"].settings, parallel=shared)
    own = {"a0": trainings["a0"]._replace(settings=settings)}
    monkeypatch.setattr(grid.jax, "process_count", lambda: processes)
    monkeypatch.setattr(grid.loop, "fit_stack", lambda _, directory, **told: directory.mkdir())
    plan = [grid.StackedBatch(("a0",), tmp_path / "0")]
    grid.fit_grid(own, plan, done=lambda name: False)
    assert (tmp_path / "0").exists() == left


def test_stacks_are_as_large_as_memory_allows(trainings, monkeypatch):
    """And on a CPU, as its caches are good for."""
    some = [trainings[f"a{seed}"] for seed in range(5)]
    assert grid.fitting(some) == 4 and grid.fitting(some[:1]) == 1
    solved = [one._replace(model=models.create("pair_mean")) for one in some]
    assert grid.fitting(solved) == 1
    monkeypatch.setattr(grid.jax, "default_backend", lambda: "gpu")
    assert grid.fitting(some) == 5
    monkeypatch.setattr(grid.Devices, "memory", lambda _: 1.0)
    assert grid.fitting(some) == 1


@pytest.mark.slow
def test_later_programs_are_compiled_meanwhile(trainings, tmp_path, monkeypatch):
    """On accelerators, each once, by other threads than the one that trains."""
    plan = grid.plan_stacks(trainings, tmp_path, stack_size=3)
    compiled, ended = [], {}
    compile_for = parallel.Devices.compile

    def compile_and_tell(devices, function, *args):
        compiled.append((args[1].shape[1], threading.current_thread() is threading.main_thread()))
        return compile_for(devices, function, *args)

    monkeypatch.setattr(parallel.Devices, "compile", compile_and_tell)
    monkeypatch.setattr(grid.jax, "default_backend", lambda: "gpu")
    grid.fit_grid(trainings, plan, ended.__contains__, on_end=ended.__setitem__)
    assert all(isinstance(what, loop.FitResult) for what in ended.values())
    assert ended.keys() == trainings.keys()
    assert sorted(compiled) == [(2, False), (2, False), (3, True)]


@pytest.mark.slow
def test_none_is_trained_twice(trainings, tmp_path):
    """Stopped in the second stack; what had ended is told of no more."""
    plan = grid.plan_stacks(trainings, tmp_path, stack_size=3)
    told, ended = [], {}

    def on_end(name, what):
        assert name not in ended
        ended[name] = what

    def run(stop):
        grid.fit_grid(
            trainings,
            plan,
            ended.__contains__,
            on_epoch=lambda name, line: told.append(name),
            on_end=on_end,
            stop=stop,
        )

    with pytest.raises(loop.Interrupted):
        run(lambda: "a3" in told)
    assert {"a0", "a1", "a2"} <= set(ended) and "b0" not in told
    told.clear()
    before = set(ended)
    run(lambda: False)
    assert set(ended) == set(trainings) and not before & set(told)
    assert not any((tmp_path / "stacks").iterdir())  # of use to none that has ended
    for name, what in ended.items():
        lines = (tmp_path / name / "metrics.jsonl").read_text().splitlines()
        assert [json.loads(line) for line in lines] == what.history
