"""Bodies: rows that are what they are alone, resets, and what ends an episode, on states made by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oyster.envs import ant_dir, families, humanoid_dir, load_family
from oyster.envs.bodies import ant, humanoid
from oyster.envs.bodies.body import Body
from oyster.envs.contract import training_tasks
from oyster.envs.hopper_rand_params import fallen as hopper_fallen
from oyster.envs.walker_rand_params import fallen as walker_fallen
from tests.needs import need_installed

BODIES = ("ant-goal", "cheetah-multi-task", "humanoid-dir", "walker-rand-params")
NAMES = [name for name in families() if issubclass(load_family(name), Body)]
STEPS = 8


def lived(family, rows, threads, tasks, qpos, qvel, actions):
    """Observations and steps of rows that start from a given state."""
    batch = family(rows, physics_threads=threads)
    first = batch.set_state(tasks, qpos, qvel)
    return [first, *(part.copy() for action in actions for part in batch.step(action).parts())]


@pytest.mark.parametrize("name", BODIES)
def test_rows_are_bitwise_what_they_are_alone_for_any_number_of_threads(name):
    family, rows = load_family(name), 4
    tasks, rng = training_tasks(family, rows), np.random.default_rng(4)
    source = family(rows)
    source.reset(tasks, rng)
    qpos, qvel = source.qpos(), source._qvel.copy()
    actions = rng.uniform(-1.2, 1.2, (STEPS, rows, family.action_dim))
    together, threaded = (lived(family, rows, threads, tasks, qpos, qvel, actions) for threads in (1, 3))
    for one, other in zip(together, threaded, strict=True):
        np.testing.assert_array_equal(one, other)
    for row in range(rows):
        at = slice(row, row + 1)
        alone = lived(family, 1, 1, tasks[at], qpos[at], qvel[at], actions[:, at])
        for one, other in zip(together, alone, strict=True):
            np.testing.assert_array_equal(one[at], other)


def test_sums_over_contacts_do_not_depend_on_the_other_rows():
    rng = np.random.default_rng(0)
    moved, angle, action, forces = (rng.normal(size=(6, *shape)) for shape in [(2,), (), (17,), (14, 6)])
    for reward in (ant_dir.dense_reward, humanoid_dir.dense_reward):
        together = reward(moved, angle, action, forces)
        alone = [reward(*(part[row : row + 1] for part in (moved, angle, action, forces)))[0] for row in range(6)]
        np.testing.assert_array_equal(together, alone)


# --- resets -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name, noise", [("ant-multi-task", 0.1), ("hopper-rand-params", 0.005)])
def test_starts_lie_within_their_noise_and_are_uniform(name, noise):
    family, rows = load_family(name), 1500
    batch = family(rows)
    batch.reset(training_tasks(family, rows), np.random.default_rng(0))
    off = batch.qpos() - batch._initial_qpos
    off = off[:, :3] if name.startswith("ant") else off  # without the quaternion, which is normalised
    assert np.abs(off).max() <= noise
    np.testing.assert_allclose(off.std(axis=0), 2 * noise / 12**0.5, rtol=0.06)
    speeds = batch._qvel.std(axis=0)
    np.testing.assert_allclose(speeds, noise if name.startswith("ant") else 2 * noise / 12**0.5, rtol=0.07)


def test_a_humanoids_noise_is_uniform_in_velocities_too():
    batch = load_family("humanoid-dir")(300)
    batch.reset(np.zeros((300, 1)), np.random.default_rng(0))
    for part, start in ((batch.qpos()[:, 7:], batch._initial_qpos[7:]), (batch._qvel, 0.0)):
        off = part - start
        assert 0.0095 < np.abs(off).max() <= 0.01
        np.testing.assert_allclose(off.std(), 0.02 / 12**0.5, rtol=0.03)


@pytest.mark.parametrize("name", ["ant-dir", "humanoid-dir"])
def test_a_reset_normalises_the_roots_quaternion_before_it_is_observed(name):
    batch = load_family(name)(50)
    observation = batch.reset(np.zeros((50, 1)), np.random.default_rng(0))
    np.testing.assert_allclose(np.linalg.norm(observation[:, 1:5], axis=1), 1.0, atol=1e-6)
    assert np.ptp(observation[:, 1]) > 1e-5  # and yet noise is on it


# --- ends -------------------------------------------------------------------------------------------------------------


def states(count: int, nq: int, nv: int, **columns) -> tuple[np.ndarray, np.ndarray]:
    """Zeros, but for columns of qpos (`q2`) and qvel (`v0`)."""
    qpos, qvel = np.zeros((count, nq)), np.zeros((count, nv))
    for name, values in columns.items():
        {"q": qpos, "v": qvel}[name[0]][:, int(name[1:])] = values
    return qpos, qvel


def test_an_ant_is_well_within_its_heights_both_included_and_while_finite():
    heights = [0.19999, 0.2, 0.5, 1.0, 1.00001, np.nan]
    assert ant.unhealthy(*states(6, 15, 14, q2=heights)).tolist() == [True, False, False, False, True, True]
    speeds = [0.0, np.inf, np.nan, 1e9]
    assert ant.unhealthy(*states(4, 15, 14, q2=0.5, v13=speeds)).tolist() == [False, True, True, False]
    assert ant.unhealthy(*states(2, 15, 14, q2=0.5, q0=[0.0, -np.inf])).tolist() == [False, True]


def test_a_humanoid_has_fallen_beyond_its_heights():
    heights = [0.99999, 1.0, 1.4, 2.0, 2.00001]
    assert humanoid.fallen(states(5, 24, 23, q2=heights)[0]).tolist() == [True, False, False, False, True]


def test_a_walker_has_fallen_at_its_bounds():
    heights = [0.8, 0.80001, 1.9999, 2.0, np.nan]
    assert walker_fallen(states(5, 9, 9, q1=heights)[0]).tolist() == [True, False, False, True, True]
    pitches = [-1.0, -0.9999, 0.9999, 1.0, np.nan]
    assert walker_fallen(states(5, 9, 9, q1=1.2, q2=pitches)[0]).tolist() == [True, False, False, True, True]


def test_a_hopper_has_fallen_at_its_bounds():
    assert hopper_fallen(*states(3, 6, 6, q1=[0.7, 0.70001, 3.0])).tolist() == [True, False, False]
    pitches = [-0.2, -0.1999, 0.1999, 0.2]
    assert hopper_fallen(*states(4, 6, 6, q1=1.2, q2=pitches)).tolist() == [True, False, False, True]
    large = [99.99, 100.0, -100.0, np.nan, np.inf]
    for column in ("q3", "q5", "v0", "v5"):
        ended = hopper_fallen(*states(5, 6, 6, q1=1.2, **{column: large})).tolist()
        assert ended == [False, True, True, True, True]
    far = states(3, 6, 6, q1=1.2, q0=[1e6, np.nan, -np.inf])  # x may be large, if finite
    assert hopper_fallen(*far).tolist() == [False, True, True]
    assert hopper_fallen(*states(1, 6, 6, q1=[1e3])).tolist() == [False]


def test_steps_end_by_the_state_after_them_and_can_go_on():
    """One of two walkers tips over in its first step, in the air, and is upright again in the next."""
    family = load_family("walker-rand-params")
    rows, tasks = family(2), training_tasks(family, 2)
    qpos = np.tile(rows._initial_qpos, (2, 1))
    qpos[1, 1:3] = 1.6, 0.95
    tipping = np.zeros((2, 9))
    tipping[1, 2] = 8.0
    rows.set_state(tasks, qpos, tipping)
    assert rows.step(np.zeros((2, 6))).terminal.tolist() == [False, True]
    rows._qpos[1, 2], rows._qvel[1, 2] = 0.0, 0.0
    assert rows.step(np.zeros((2, 6))).terminal.tolist() == [False, False]


# --- any action -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", families())
@settings(max_examples=4, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 3), st.sampled_from([1.0, 5.0, 1e6]))
def test_any_action_gives_finite_steps_of_the_declared_kinds(name, seed, rows, scale):
    family, rng = load_family(name), np.random.default_rng(seed)
    need_installed(family)
    batch = family(rows)
    observation = batch.reset(training_tasks(family, rows), rng)
    for _ in range(6):
        action = (scale * rng.uniform(-1, 1, (rows, family.action_dim))).astype(np.float32)
        kept = action.copy()
        step = batch.step(action)
        np.testing.assert_array_equal(action, kept)
        for seen in (observation, step.observation):
            assert seen.shape == (rows, family.observation_dim) and seen.dtype == np.float32
            assert np.isfinite(seen).all()
        assert step.reward.shape == step.terminal.shape == (rows,) and np.isfinite(step.reward).all()
        assert step.reward.dtype == step.sparse_reward.dtype == step.trace.dtype == np.float32
        width = (len(family.trace_columns),) if family.trace_columns else ()
        assert step.trace.shape == (rows, *width) and np.isfinite(step.trace).all()
        if family.best_return == 0.0:
            assert (step.reward <= 0).all()
        observation = step.observation


@pytest.mark.parametrize("name", NAMES)
def test_a_step_is_no_view_of_the_simulation(name):
    family = load_family(name)
    rows = family(2)
    first = rows.reset(training_tasks(family, 2), np.random.default_rng(0))
    step = rows.step(np.ones((2, family.action_dim)))
    kept = [first.copy(), *(part.copy() for part in step.parts())]
    rows.step(-np.ones((2, family.action_dim)))
    for part, before in zip((first, *step.parts()), kept, strict=True):
        np.testing.assert_array_equal(part, before)
