"""Bond-length scans: on a made-up curve with two solutions, and on real ones."""

import dataclasses
import itertools

import numpy as np
import pytest

from qc_jax.engines import generate, scan
from qc_jax.engines.engine import EngineError, Failure, FailureKind
from qc_jax.engines.record import CONTINUOUS, RATIO, Scan, to_table
from qc_jax.engines.sanity import SanityChecks
from qc_jax.engines.scan import Grid, Point, ScanConfig, ScanEngine
from qc_jax.engines.search import SCFSolution
from qc_jax.engines.tblite import TbliteEngine
from qc_jax.errors import InputError
from tests.engines.toys import ToyEngine, toy_record

MINIMUM = 2.0


@dataclasses.dataclass
class MorseCurve:
    """A Morse curve, and one that lies 1 eV lower with another charge.

    A calculation stays on the solution of its neighbour where that is closer than `reach`; further
    away, or inside of `wall`, it falls to the lower one. Between `gap` nothing converges.
    """

    reach: float = 10.0
    wall: float = 0.0
    gap: tuple[float, float] = (0.0, 0.0)
    alternative: bool = False
    calls: int = 0

    def state(self, distance: float, lower: bool) -> SCFSolution:
        decay = np.exp(-1.5 * (distance - MINIMUM))
        energy = 3.0 * (1 - decay) ** 2 - lower
        gradient = 2 * 3.0 * (1 - decay) * 1.5 * decay
        return SCFSolution(distance, energy, gradient, 0.5 if lower else 0.1, lower)

    def solve(self, distance, near=None, fine=False):
        self.calls += 1
        if self.gap[0] < distance < self.gap[1]:
            return None
        falls = abs(distance - near.distance) > self.reach or distance < self.wall
        return self.state(distance, near.solution or falls)

    def alternatives(self, distance, near):
        return [self.state(distance, True), self.state(distance, False)] if self.alternative else []


RATIOS = Grid(0.7, 2.5, 40).ratios


def follow(curve):
    return scan.follow(curve, curve.state(MINIMUM, False), RATIOS, ScanConfig())


def test_a_smooth_curve_is_followed_at_every_distance():
    curve = MorseCurve()
    points = follow(curve)
    assert [point.state.distance for point in points] == pytest.approx(RATIOS * MINIMUM)
    assert all(point.continuous and not point.state.solution for point in points)


def test_shorter_steps_keep_to_the_solution():
    """Steps of the grid, 0.09 Å, land on the lower solution; halved ones do not."""
    points = follow(MorseCurve(reach=0.05))
    assert all(point.continuous and not point.state.solution for point in points)


def test_another_mixer_keeps_to_the_solution():
    assert not all(point.continuous for point in follow(MorseCurve(wall=1.7)))
    points = follow(MorseCurve(wall=1.7, alternative=True))
    assert all(point.continuous and not point.state.solution for point in points)


def test_what_lies_behind_a_jump_is_marked():
    points = follow(MorseCurve(wall=1.7))
    for ratio, point in zip(RATIOS, points, strict=True):
        assert point.continuous == (ratio * MINIMUM >= 1.7) == (not point.state.solution)


def test_a_gap_is_crossed():
    points = follow(MorseCurve(gap=(3.0, 3.2)))
    for ratio, point in zip(RATIOS, points, strict=True):
        assert (point is None) == (3.0 < ratio * MINIMUM < 3.2)
    beyond = [point for point in points if point and point.state.distance > 3.2]
    assert beyond and not any(point.state.solution for point in beyond)


def test_a_jump_costs_few_calculations():
    smooth, jump = MorseCurve(), MorseCurve(wall=1.7)
    follow(smooth)
    follow(jump)
    assert jump.calls - smooth.calls < 40


def test_judge_keeps_what_is_sound_and_lists_the_rest():
    curve = MorseCurve()
    states = [curve.state(distance, False) for distance in (1.6, 2.0, 2.4)]
    points = [Point(states[0], True), None, Point(states[1], False), Point(states[2], True)]

    def record_of(state):
        if state.distance == 2.4:
            raise EngineError(FailureKind.SCF, "does not converge once more")
        return toy_record("C_O")

    def failure(record):
        return Failure(FailureKind.CHARGE, "too much") if record.extras else None

    ratios = np.array([0.8, 0.9, 1.0, 1.2])
    got = scan.judge("C_O", 2.0, ratios, points, record_of, failure)
    assert [point.extras for point in got.points] == [
        {RATIO: 0.8, CONTINUOUS: 1.0},
        {RATIO: 1.0, CONTINUOUS: 0.0},
    ]
    assert got.left_out == {
        "C_O at 1.800000 Å": "SCF: nothing converges",
        "C_O at 2.400000 Å": "SCF: does not converge once more",
    }
    assert Scan.from_json(got.to_json()) == got
    charged = Failure(FailureKind.CHARGE, "2 e")
    got = scan.judge("C_O", 2.0, ratios[:1], points[:1], record_of, lambda record: charged)
    assert got.points == [] and got.left_out == {"C_O at 1.600000 Å": "charge: 2 e"}


def test_every_point_of_a_fine_grid_has_its_reason():
    ratios = Grid(0.99, 1.01, 1000).ratios
    got = scan.judge("C_O", 1.1, ratios, [None] * 1000, lambda state: None, lambda record: None)
    assert len(got.left_out) == 1000


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0.7:2.5",
        "0.7:2.5:x",
        "0:2.5:40",
        "1.1:2.5:40",
        "0.7:0.9:40",
        "0.7:2.5:1",
        "0.7:2.5:99999",
    ],
)
def test_what_is_no_grid(text):
    with pytest.raises(InputError, match=r"curve .*: expected LOW:HIGH:COUNT"):
        Grid.parse(text)


def test_grid_as_text():
    assert str(Grid.parse("0.70:2.0:40")) == "0.7:2:40"
    assert Grid.parse(str(Grid(np.float64(2 / 3), 7 / 3, 20))) == Grid(2 / 3, 7 / 3, 20)
    assert Grid.parse("0.7:2.5:4").ratios == pytest.approx([0.7, 1.3, 1.9, 2.5])


GRID = Grid(0.7, 2.5, 40)


@pytest.fixture(scope="module")
def carbon_monoxide() -> Scan:
    return ScanEngine(TbliteEngine(), GRID).compute("C_O")


def test_forces_are_what_the_energies_say(carbon_monoxide):
    """Against the slope of a spline through the energies, on both sides of the minimum."""
    from scipy.interpolate import CubicSpline

    assert len(carbon_monoxide.points) == 40 and not carbon_monoxide.left_out
    distances = [point.distance for point in carbon_monoxide.points]
    energies = [point.targets["mermin_free_energy_ev"] for point in carbon_monoxide.points]
    slope = CubicSpline(distances, energies)(distances, 1)
    forces = np.array([point.forces for point in carbon_monoxide.points])
    np.testing.assert_allclose(forces[8:, 0, 2], slope[8:], atol=0.03)
    np.testing.assert_array_equal(forces[:, 1], -forces[:, 0])
    assert forces[0, 1, 2] > 100 > 0 > forces[20, 1, 2]  # too close: the upper atom is pushed up


def test_a_scan_is_continuous(carbon_monoxide):
    assert all(point.extras[CONTINUOUS] == 1 for point in carbon_monoxide.points)
    for one, two in itertools.pairwise(carbon_monoxide.points):
        assert abs(two.charges[0] - one.charges[0]) < 0.03
    ratios = [point.extras[RATIO] for point in carbon_monoxide.points]
    assert ratios == pytest.approx(GRID.ratios)


def test_points_are_those_of_single_calculations(carbon_monoxide):
    """tblite's own answer at one distance, started from nothing."""
    from tblite.interface import Calculator

    from qc_jax.chem import units

    point = carbon_monoxide.points[20]
    positions = np.array([[0, 0, 0], [0, 0, point.distance / units.BOHR_ANG]])
    calculator = Calculator("GFN2-xTB", np.array([6, 8]), positions, logger=lambda line: None)
    calculator.set("temperature", 1000 * units.KELVIN_HARTREE)
    result = calculator.singlepoint()
    energy = float(result.get("energy")) * units.HARTREE_EV
    assert point.targets["mermin_free_energy_ev"] == pytest.approx(energy, abs=1e-4)
    assert point.charges == pytest.approx(result.get("charges"), abs=1e-4)


@pytest.mark.slow
def test_a_jump_of_a_real_pair_is_marked():
    """GFN2-xTB's solution for MoH at its minimum does not reach out to dissociation."""
    got = ScanEngine(TbliteEngine(), Grid(0.9, 2.5, 12)).compute("H_Mo")
    marks = [point.extras[CONTINUOUS] for point in got.points]
    assert 0.0 in marks and marks[1] == 1.0
    assert marks[marks.index(0.0) :] == [0.0] * (len(marks) - marks.index(0.0))


@pytest.mark.slow
def test_a_pair_without_a_sound_minimum_has_no_scan():
    engine = ScanEngine(TbliteEngine(gates=SanityChecks(max_charge_e=1e-6)), GRID)
    with pytest.raises(EngineError, match="no minimum"):
        engine.compute("H_O")


def test_an_engine_that_cannot_scan(tmp_path):
    with pytest.raises(InputError, match="engine 'toy' cannot scan bond lengths"):
        generate.scanning(ToyEngine(str(tmp_path / "log")), "0.7:2.5:40")


def test_scans_through_generate_and_verify(tmp_path):
    out = str(tmp_path / "curves.npz")
    engine = generate.scanning(TbliteEngine(), "0.8:1.6:5")
    table = generate.generate(engine, ["H", "O"], out)
    assert table.names.tolist() == ["H_H"] * 5 + ["H_O"] * 5 + ["O_O"] * 5
    assert table.provenance["curve"] == "0.8:1.6:5"
    np.testing.assert_allclose(table.extras[RATIO], np.tile([0.8, 1.0, 1.2, 1.4, 1.6], 3))
    relaxed = table.extras[RATIO] == 1.0
    assert np.abs(table.forces[relaxed]).max() < 1e-4 < np.abs(table.forces[~relaxed]).min(0).max()
    differences = generate.verify(engine, table, 2)
    assert {row.quantity for row in differences} >= {"forces", "distance_ang", "e_homo_ev"}
    assert all(row.within for row in differences)
    fewer = table.take(np.arange(14))
    assert not all(row.within for row in generate.verify(engine, fewer, 3))


def test_rows_of_a_table_keep_the_order_of_the_scan(carbon_monoxide):
    table = to_table(carbon_monoxide.points, {})
    assert np.all(np.diff(table.targets["distance_ang"]) > 0)
