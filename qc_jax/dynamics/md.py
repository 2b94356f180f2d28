"""Dynamics on a trained potential: jax-md's integrators, in blocks that stay on the device."""

import dataclasses
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from qc_jax.chem.elements import element
from qc_jax.chem.units import FS, KELVIN_EV
from qc_jax.dynamics.potential import SKIN, Links, Potential
from qc_jax.errors import InputError, choose, expect
from qc_jax.ops import jax_md

ENSEMBLES = ("nve", "nvt")
_LEAP = SKIN / 2  # Å: an atom that goes this far in one step is thrown
_BLOCK_STEPS, _BLOCK_NUMBERS = 500, 10_000_000  # of a block: steps, and what is kept of them


@dataclasses.dataclass(frozen=True)
class MDConfig:
    """What to simulate.

    Attributes:
      ensemble: 'nve', velocity Verlet; or 'nvt', Langevin's equation by BAOAB.
      steps: of the integrator.
      dt_fs: a step, fs.
      temperature: K, of the first velocities and of the thermostat.
      seed: of both.
      friction: of the thermostat, 1/ps.
      every: how many steps from one frame that is kept to the next.

    Raises:
      InputError: a value out of range.
    """

    ensemble: str = "nve"
    steps: int = 1000
    dt_fs: float = 0.5
    temperature: float = 300.0
    seed: int = 0
    friction: float = 10.0
    every: int = 1

    def __post_init__(self):
        choose("ensemble", self.ensemble, ENSEMBLES)
        for name in ("steps", "every", "seed"):
            expect(name, getattr(self, name), int, "a whole number")
        for name in ("steps", "every"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}: expected at least 1, got {getattr(self, name)}")
        for name in ("dt_fs", "friction"):
            if not 0 < getattr(self, name) < np.inf:
                raise InputError(f"{name}: expected above 0, got {getattr(self, name)}")
        if not 0 <= self.temperature < np.inf:
            raise InputError(f"temperature: expected at least 0 K, got {self.temperature}")
        if not 0 <= self.seed < 2**32:
            raise InputError(f"seed: expected 0 to 2**32 - 1, got {self.seed}")


@dataclasses.dataclass(frozen=True, eq=False)
class Trajectory:
    """F frames of n atoms, the first one before the first step, the last one after the last.

    Attributes:
      steps: [F] that lead to each frame.
      dt_fs: a step, fs.
      potential: [F] eV.
      kinetic: [F] eV.
      temperature: [F] K, 2 kinetic / (k_B · degrees of freedom).
      positions: [F, n, 3] Å, not wrapped into a cell.
      velocities: [F, n, 3] Å/fs.
      forces: [F, n, 3] eV/Å.
      outside: [F] links whose distance the training rows do not span.
      steps_outside: how many steps have any.
      first_outside: the first of them, and what it is, a line each two elements; None for none.
      rebuilt: how often neighbours were searched anew on the way.
      regrown: how often their list had no room for them and was made larger.
      compile_seconds: before the first step, jax-md's import included.
      seconds: of all steps.
      broke: what ended it early, with the step; '' where nothing did.
    """

    steps: np.ndarray
    dt_fs: float
    potential: np.ndarray
    kinetic: np.ndarray
    temperature: np.ndarray
    positions: np.ndarray
    velocities: np.ndarray
    forces: np.ndarray
    outside: np.ndarray
    steps_outside: int
    first_outside: tuple[int, list[str]] | None
    rebuilt: int
    regrown: int
    compile_seconds: float
    seconds: float
    broke: str

    @property
    def time_fs(self) -> Float[np.ndarray, " frames"]:
        """Return the frames' times, fs."""
        return self.steps * self.dt_fs

    @property
    def total(self) -> Float[np.ndarray, " frames"]:
        """Return potential and kinetic energy, eV."""
        return self.potential + self.kinetic

    @property
    def drift(self) -> float:
        """Return the slope of the total energy by least squares, eV/(atom ps); NaN of one frame."""
        if len(self.steps) < 2:
            return float("nan")
        slope = np.polyfit(self.time_fs / 1000, self.total - self.total[0], 1)[0]
        return float(slope) / self.positions.shape[1]


class _Frame(NamedTuple):
    """What is kept of a step."""

    position: jax.Array
    momentum: jax.Array
    force: jax.Array
    potential: jax.Array
    outside: jax.Array


def momenta(
    masses: Float[np.ndarray, " atoms"], temperature: float, seed: int, still: bool = True
) -> Float[np.ndarray, "atoms 3"]:
    """Return momenta √(amu eV) of Maxwell and Boltzmann at a temperature (K).

    Args:
      masses: [n] amu.
      temperature: K.
      seed: of the draw.
      still: the centre of mass does not move, and all are scaled so that the kinetic energy is the
        temperature's: a draw for a few atoms may be far off. A single atom has no other motion and
        is scaled alone.
    """
    draw = np.random.default_rng(seed).normal(size=(len(masses), 3))
    drawn = np.sqrt(masses[:, None] * KELVIN_EV * temperature) * draw
    if not still:
        return drawn
    if len(masses) > 1:
        drawn -= masses[:, None] * drawn.sum(axis=0) / masses.sum()
    kinetic = (drawn**2 / masses[:, None]).sum() / 2
    asked = _freedom(len(masses), still) * KELVIN_EV * temperature / 2
    return drawn * np.sqrt(asked / kinetic) if asked else drawn


def _freedom(atoms: int, still: bool) -> int:
    """Return degrees of freedom: those of the centre of mass are out where it does not move."""
    return 3 * atoms - (3 if still and atoms > 1 else 0)


def run(
    potential: Potential,
    positions: Float[np.ndarray, "atoms 3"],
    config: MDConfig,
    progress: Callable[[int, int], None] | None = None,
) -> Trajectory:
    """Simulate from positions in Å.

    A block of steps runs as one `lax.scan`. Where neighbours change, a step after which an atom has
    gone half of `potential.SKIN` since they were searched is not taken: they are searched anew, and
    it is taken then. A step that throws an atom, or after which something is not finite, ends it.

    Args:
      potential: of the atoms.
      positions: where they start.
      config: what to do.
      progress: told (steps done, of how many).

    Raises:
      InputError: the start is not finite.
    """
    began = time.perf_counter()
    with potential.precision():
        simulation = _Simulation(potential, config)
        return simulation.run(np.asarray(positions, np.float64), began, progress)


class _Simulation:
    """The integrator of one system, compiled for it."""

    def __init__(self, potential: Potential, config: MDConfig):
        simulate, space = jax_md().simulate, jax_md().space
        self.potential, self.config = potential, config
        self.masses = np.array([element(int(z)).mass_amu for z in potential.numbers])
        self._still = config.ensemble == "nve"
        self.freedom = _freedom(len(self.masses), self._still)
        self._kt = config.temperature * KELVIN_EV
        shift, dt = space.free()[1], config.dt_fs * FS
        if config.ensemble == "nve":
            self._init, self._step = simulate.nve(potential.energy_fn, shift, dt)
        else:
            friction = config.friction / 1000 / FS
            self._init, self._step = simulate.nvt_langevin(
                potential.energy_fn, shift, dt, self._kt, friction
            )
        room = _BLOCK_NUMBERS // (9 * len(self.masses))
        self._length = max(1, min(config.steps, _BLOCK_STEPS, room))

    def _block(
        self, state: Any, start: jax.Array, neighbor: Links, todo: jax.Array
    ) -> tuple[Any, jax.Array, jax.Array, _Frame]:
        """Take up to `todo` steps: state, steps taken, whether the next throws an atom, frames.

        `start` are the positions where the neighbours were searched.
        """
        far = SKIN / 2 if self.potential.lists else np.inf

        def body(carry: Any, index: jax.Array) -> tuple[Any, _Frame]:
            state, taken, ended, thrown = carry

            def go() -> Any:
                new = self._step(state, neighbor=neighbor)
                finite = jnp.isfinite(new.position).all() & jnp.isfinite(new.force).all()
                bad = ~finite | (_farthest(new.position, state.position) > _LEAP)
                stays = bad | (_farthest(new.position, start) > far)
                kept = jax.tree.map(lambda old, now: jnp.where(stays, old, now), state, new)
                return kept, taken + ~stays, stays, bad

            def hold() -> Any:
                return state, taken, ended, thrown

            carry = jax.lax.cond(ended | (index >= todo), hold, go)
            return carry, self._look(carry[0], neighbor)

        none = jnp.bool_(False)
        carry = (state, jnp.int32(0), none, none)
        (state, taken, _, thrown), seen = jax.lax.scan(body, carry, jnp.arange(self._length))
        return state, taken, thrown, seen

    def _look(self, state: Any, neighbor: Links) -> _Frame:
        return _Frame(
            position=state.position,
            momentum=state.momentum,
            force=state.force,
            # XLA finds that the step has calculated it already.
            potential=self.potential.energy_fn(state.position, neighbor),
            outside=self.potential.outside(state.position, neighbor),
        )

    def run(
        self,
        positions: np.ndarray,
        began: float,
        progress: Callable[[int, int], None] | None,
    ) -> Trajectory:
        config, potential = self.config, self.potential
        where = jnp.asarray(positions, potential.dtype)
        links = potential.links(positions)
        drawn = momenta(self.masses, config.temperature, config.seed, self._still)
        options = {
            "mass": jnp.asarray(self.masses, potential.dtype),
            "momenta": jnp.asarray(drawn, potential.dtype),
            "neighbor": links,
        }
        key = jax.random.key(config.seed)
        state = (
            self._init(key, where, self._kt, **options)
            if config.ensemble == "nve"
            else self._init(key, where, **options)
        )
        first = jax.device_get(jax.jit(self._look)(state, links))
        if not np.isfinite(first.potential) or not np.isfinite(first.force).all():
            raise InputError("the energy or a force is not finite before the first step")
        kept = _Kept(self, first)
        block = jax.jit(self._block)
        done, rebuilt, broke = 0, 0, ""
        # Compiled ahead, so that the steps' time is theirs alone.
        zero = np.int32(0)
        compiled, shapes = block.lower(state, where, links, zero).compile(), _shapes(links)
        compile_seconds = time.perf_counter() - began
        began = time.perf_counter()
        while done < config.steps and not broke:
            if _shapes(links) != shapes:
                compiled = block.lower(state, where, links, zero).compile()
                shapes = _shapes(links)
            todo = min(self._length, config.steps - done)
            state, taken, thrown, seen = compiled(state, where, links, np.int32(todo))
            taken = int(taken)
            kept.add(done, taken, bool(thrown), jax.device_get(seen))
            done += taken
            if thrown:
                broke = (
                    f"step {done + 1}: an atom goes more than {_LEAP} Å, or a force is not finite"
                )
            elif taken < todo:
                where = state.position
                links = potential.links(np.asarray(where))
                rebuilt += 1
            if progress is not None:
                progress(done, config.steps)
        return kept.trajectory(
            rebuilt=rebuilt,
            regrown=potential.regrown,
            compile_seconds=compile_seconds,
            seconds=time.perf_counter() - began,
            broke=broke,
        )


class _Kept:
    """The frames of a simulation, as they come."""

    def __init__(self, simulation: _Simulation, first: _Frame):
        self._of = simulation
        self._steps = [np.zeros(1, int)]
        self._frames = [jax.tree.map(lambda leaf: np.asarray(leaf)[None], first)]
        self._steps_outside = 0
        self._first_outside: tuple[int, list[str]] | None = None
        if first.outside:
            self._tell(0, first.position)

    def add(self, done: int, taken: int, thrown: bool, seen: _Frame) -> None:
        """Keep every so many of the `taken` steps after `done` ones, and the last of a simulation.

        The next step of a block is not taken, and seen as the last one that was: where it throws an
        atom, that last one stands there even if it was a step of the block before.
        """
        steps = np.arange(done + 1, done + taken + 1)
        outside = np.flatnonzero(seen.outside[:taken])
        self._steps_outside += len(outside)
        if len(outside) and self._first_outside is None:
            self._tell(int(steps[outside[0]]), seen.position[outside[0]])
        config = self._of.config
        chosen = np.flatnonzero((steps % config.every == 0) | (steps == config.steps))
        if thrown and (done + taken) % config.every:
            steps, chosen = np.append(steps, done + taken), np.append(chosen, taken)
        self._steps.append(steps[chosen])
        self._frames.append(jax.tree.map(lambda leaf: np.asarray(leaf)[chosen], seen))

    def _tell(self, step: int, position: Any) -> None:
        self._first_outside = step, self._of.potential.describe_outside(position)

    def trajectory(self, **about: Any) -> Trajectory:
        """Return all that was kept."""
        frames = jax.tree.map(lambda *parts: np.concatenate(parts), *self._frames)
        masses = self._of.masses[:, None]
        momentum = frames.momentum.astype(np.float64)
        kinetic = (momentum**2 / masses).sum(axis=(1, 2)) / 2
        return Trajectory(
            steps=np.concatenate(self._steps),
            dt_fs=self._of.config.dt_fs,
            potential=frames.potential.astype(np.float64) + self._of.potential.offset,
            kinetic=kinetic,
            temperature=2 * kinetic / (KELVIN_EV * self._of.freedom),
            positions=frames.position,
            velocities=momentum / masses * FS,
            forces=frames.force,
            outside=frames.outside,
            steps_outside=self._steps_outside,
            first_outside=self._first_outside,
            **about,
        )


def _farthest(one: jax.Array, other: jax.Array) -> jax.Array:
    """Return the longest way () of an atom."""
    return jnp.sqrt(jnp.sum((one - other) ** 2, axis=-1).max())


def _shapes(links: Links) -> tuple[Any, ...]:
    return tuple(np.shape(leaf) for leaf in jax.tree.leaves(links))
