"""Targets that move: when, how often, where to, and who knows."""

import numpy as np
import pytest

from oyster.envs import load_family

NAMES = ("ant-dir-non-stat", "cheetah-dir-non-stat", "cheetah-vel-non-stat")
SMALL = ("cheetah-dir-non-stat", "cheetah-vel-non-stat")


def schedules(name: str, rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """First targets (row,), and the target of each step (row, step)."""
    family = load_family(name)
    first = np.resize(family.tasks(*family.task_counts)[0], (rows, 1))[:, 0]
    batch = family(1)  # schedules need no bodies
    return first, batch._schedule(first, np.random.default_rng(seed))


@pytest.mark.parametrize("name", NAMES)
def test_a_target_may_change_before_every_hundredth_step_with_probability_one_half_each_row_by_itself(name):
    first, targets = schedules(name, 4000)
    assert targets.shape == (4000, 600)
    np.testing.assert_array_equal(targets[:, 0], first)
    changes = np.diff(targets, axis=1) != 0
    moments = np.flatnonzero(changes.any(axis=0)) + 1
    assert moments.tolist() == [100, 200, 300, 400, 500]
    at = changes[:, moments - 1]  # (row, moment)
    np.testing.assert_allclose(at.mean(axis=0), 0.5, atol=0.04)
    correlation = np.corrcoef(at.T)
    assert np.abs(correlation - np.eye(5)).max() < 0.06  # one moment says nothing of the next


def test_where_a_target_goes():
    _, velocities = schedules("cheetah-vel-non-stat", 3000)
    drawn = velocities[:, 500][velocities[:, 500] != velocities[:, 499]]
    assert drawn.min() >= 0 and drawn.max() <= 3
    np.testing.assert_allclose(np.histogram(drawn, bins=5, range=(0, 3))[0] / len(drawn), 0.2, atol=0.04)
    assert len(np.unique(drawn)) == len(drawn)  # each row draws its own
    assert np.unique(schedules("cheetah-dir-non-stat", 50)[1]).tolist() == [-1, 1]
    assert np.unique(schedules("ant-dir-non-stat", 50)[1]).tolist() == [0, np.pi]


@pytest.mark.parametrize("name", NAMES)
def test_the_schedule_comes_from_the_resets_generator_and_begins_anew(name):
    family = load_family(name)
    tasks = family.tasks(*family.task_counts)[0][:2]
    rows = family(2)
    seen = []
    for seed in (3, 3, 4, 5, 6):
        rows.reset(tasks, np.random.default_rng(seed))
        seen.append(rows._active.copy())
        rows.step(np.zeros((2, family.action_dim)))
    np.testing.assert_array_equal(seen[0], seen[1])
    assert any(not np.array_equal(seen[0], other) for other in seen[2:])
    np.testing.assert_array_equal(seen[0][:, :1], tasks)


@pytest.mark.parametrize("name", SMALL)
def test_reward_and_trace_follow_the_target_in_force_and_the_observation_does_not(name):
    family = load_family(name)
    assert family.horizon == 600
    rows, tasks = family(2), np.array([[1.0], [1.0]])
    active = np.array([[1.0] * 6, [1.0, 1.0, -1.0, -1.0, 1.0, -1.0]])
    qpos = np.tile(rows._initial_qpos, (2, 1))
    first = rows.set_state(tasks, qpos, np.zeros((2, 9)), active)
    np.testing.assert_array_equal(first[0], first[1])
    for k in range(6):
        step = rows.step(np.full((2, 6), 0.5))
        velocity, target = step.trace.T
        np.testing.assert_array_equal(target, active[:, k].astype(np.float32))
        forward = target * velocity if "dir" in name else -np.abs(velocity - target)
        np.testing.assert_allclose(step.reward, forward - 0.05 * 6 * 0.25, atol=1e-6)
        np.testing.assert_array_equal(step.observation[0], step.observation[1])
    assert rows.step(np.zeros((2, 6))).trace[1, 1] == -1.0  # beyond the schedule its last target stays


def test_an_ants_trace_begins_with_where_it_starts_and_its_first_target():
    family = load_family("ant-dir-non-stat")
    rows = family(2)
    rows.reset(np.array([[0.0], [np.pi]]), np.random.default_rng(0))
    np.testing.assert_allclose(rows.trace()[:, 2], [0.0, np.pi], rtol=1e-6)
    np.testing.assert_array_equal(rows.trace()[:, :2], rows._torso.astype(np.float32))
    assert family.best_fixed(np.array([[0.0]])) is None
