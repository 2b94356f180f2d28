"""Two processes with two devices each do what one process with four does."""

import http.server
import json
import socket
import sys
import threading
from collections.abc import Iterator

import jax
import numpy as np
import pytest

from qc_jax.errors import InputError
from qc_jax.runs.workdir import Workdir
from qc_jax.train import grid, hosts, loop
from qc_jax.train.checkpoint import Checkpoints
from qc_jax.train.config import TrainConfig
from qc_jax.train.parallel import shapes_of
from tests.together import Together


def fit_both(folder: str) -> dict[str, list]:
    """One training whose batches all devices share, then a grid of them, each resumed."""
    from tests.train import conftest, test_stack

    task = conftest.task.__wrapped__()
    work = Workdir(f"{folder}/data", writes=hosts.first())
    with hosts.primary_first("claim"):
        work.claim({})
    for epochs in (3, 5):
        settings = TrainConfig(epochs=epochs, batch_size=32, lr=0.05, checkpoint_every=2)
        trained = loop.fit(conftest.Noisy(), task, settings, [work])
    results = {"data": [[line["loss"], line["validation_loss"]] for line in trained.history]}

    with hosts.primary_first("make"):
        trainings = dict(enumerate(test_stack.trainings(task, f"{folder}/replicas")))
        trainings = {str(name): training for name, training in trainings.items()}
        plan = grid.plan_stacks(trainings, folder)
    ended: dict[str, loop.FitResult] = {}
    stops = iter([False, True])
    for stop in (lambda: next(stops), lambda: False):
        try:
            grid.fit_grid(
                trainings,
                grid.local_stacks(plan, "auto"),
                ended.__contains__,
                on_end=ended.__setitem__,
                stop=stop,
            )
        except loop.Interrupted:
            assert not ended
    for name, trained in ended.items():
        results[name] = [[line["loss"], line["validation_loss"]] for line in trained.history]
        with Checkpoints(f"{folder}/trainings/{name}") as checkpoints:
            checkpoints.save(1, trained.state)
    return results


@pytest.mark.slow
def test_two_processes_equal_one(tmp_path, run_python):
    """And the checkpoints of each are whole: another process reads them."""
    module = ("-m", "tests.train.test_hosts")
    done = run_python(*module, tmp_path / "one", devices=4)
    assert done.returncode == 0, done.stderr
    two = Together(
        *(tmp_path, *module, tmp_path / "two", "{coordinator}", "{processes}", "{process}")
    ).wait()
    assert [each.returncode for each in two] == [0, 0], two
    one, first, second = (
        json.loads((tmp_path / name).read_text())
        for name in ("one/results0", "two/results0", "two/results1")
    )
    assert first["data"] == second["data"]
    stacks = json.loads((tmp_path / "two" / "stacks.json").read_text())
    for own, names in zip((first, second), stacks, strict=True):
        assert own.keys() == {"data", *names}
    assert one.keys() == (first | second).keys()
    assert not any((tmp_path / "two" / "stacks").iterdir())  # of use to none that has ended
    for name, expected in one.items():
        np.testing.assert_allclose((first | second)[name], expected, rtol=1e-4)
    for name in one.keys() - {"data"}:
        states = []
        for run in ("one", "two"):
            with Checkpoints(tmp_path / run / "trainings" / name) as checkpoints:
                states.append(checkpoints.latest(like_of(tmp_path)))
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-2, atol=1e-5), *states)


def like_of(folder):
    from tests.train import conftest, test_stack

    task = conftest.task.__wrapped__()
    one = test_stack.Stack([test_stack.training(task, folder / "like")])
    return shapes_of(one.state_shapes(), lambda leaf: leaf.shape[1:])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("host:1", None, None), "or none of them; processes is missing"),
        ((None, 2, 0), "or none of them; coordinator is missing"),
        (("host", 2, 0), "coordinator: expected HOST:PORT, got 'host'"),
        (("host:1", 2, 2), "process: expected 0 to 1, got 2"),
        (("host:1", 2, -1), "process: expected 0 to 1, got -1"),
        (("localhost:1", 2, 1, 30, 1), "within 1 s: nobody listens at localhost:1"),
        (("host:1", 2, 0, 0), "expected dead_after and join_within above 0 s, got 0 and 300"),
    ],
)
def test_bad_input(given, words):
    with pytest.raises(InputError, match=words):
        hosts.join(*given)


def test_one_process_waits_for_nobody():
    assert hosts.first()
    hosts.barrier("here")
    with hosts.primary_first("one"):
        pass
    assert hosts.any_process(True, False) == [True, False]


def test_what_a_lost_process_leads_to():
    lost = jax.errors.JaxRuntimeError("UNKNOWN: Gloo all-reduce failed: Connection reset by peer")
    own = jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory")
    assert hosts.lost_another(lost) and not hosts.lost_another(own)
    try:
        raise ValueError("a checkpoint") from lost
    except ValueError as error:
        assert hosts.lost_another(error)


class Metadata(http.server.BaseHTTPRequestHandler):
    """What the metadata of a TPU's virtual machine says of a slice of two hosts, as host WORKER."""

    def do_GET(self):
        worker, _, name = self.path.removeprefix("/").partition("/computeMetadata/v1/instance/")
        known = {
            "attributes/agent-worker-number": worker,
            "attributes/worker-network-endpoints": "a:8470:127.0.0.1,b:8470:127.0.0.1",
            "attributes/tpu-env": "ACCELERATOR_TYPE: 'v5litepod-8'",
        }
        self.send_response(200 if name in known else 404)
        self.end_headers()
        self.wfile.write(known.get(name, "").encode())

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def metadata() -> Iterator[str]:
    """HOST:PORT of it."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Metadata) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.slow
@pytest.mark.parametrize("cluster", ["slurm", "gke", "tpu"])
def test_a_cluster_says_who_they_are(cluster, tmp_path, metadata):
    """The variables that Slurm's srun and GKE set, and what a TPU's metadata holds."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    told = {
        "slurm": {
            "SLURM_JOB_ID": "4321",
            "SLURM_STEP_NODELIST": "localhost",
            "SLURM_NTASKS": "2",
            "SLURM_PROCID": "{process}",
            "SLURM_LOCALID": "{process}",
        },
        "gke": {
            "JAX_FORCE_TPU_INIT": "1",
            "TPU_WORKER_HOSTNAMES": "localhost,localhost",
            "TPU_WORKER_ID": "{process}",
            "MEGASCALE_COORDINATOR_ADDRESS": "localhost:8080",
            "MEGASCALE_NUM_SLICES": "1",
            "MEGASCALE_SLICE_ID": "0",
        },
        "tpu": {"JAX_FORCE_TPU_INIT": "1", "GCE_METADATA_IP": f"{metadata}/{{process}}"},
    }[cluster]
    others = {"JAX_PLATFORMS": "cpu", "JAX_COORDINATOR_PORT": port}
    ended = Together(tmp_path, "-m", "tests.train.cluster", env=told | others).wait(90)
    assert [each.returncode for each in ended] == [0, 0], ended
    for process, each in enumerate(ended):
        assert f"{process} 2 [True]" in each.stdout.splitlines()  # among what Gloo tells


@pytest.mark.slow
def test_without_a_cluster(run_python):
    done = run_python("-m", "tests.train.cluster", JAX_PLATFORMS="cpu", GCE_METADATA_IP="")
    assert done.returncode != 0 and "InputError: no cluster found" in done.stderr
    assert "expected Slurm, Open MPI, GKE or a TPU pod, or coordinator" in done.stderr


if __name__ == "__main__":
    OUT, *JOINED = sys.argv[1:]
    if JOINED:
        hosts.join(JOINED[0], int(JOINED[1]), int(JOINED[2]), dead_after=20)
    FOUND = fit_both(OUT)
    with open(f"{OUT}/results{jax.process_index()}", "w") as file:
        json.dump(FOUND, file)
    if JOINED:
        hosts.leave()
