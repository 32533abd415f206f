"""pendulum and mountain-car-continuous against gymnasium's own, step by step."""

import gymnasium
import numpy as np
import pytest

from oyster.envs import load_family
from oyster.envs.reference_policies import reference_returns


def test_pendulum_is_gymnasiums():
    family, rng = load_family("pendulum"), np.random.default_rng(0)
    rows, tasks = family(3), family.draw_tasks(3)
    tasks[2] = [9.0, 1.3, 0.7]
    state = rng.uniform([-np.pi, -1], [np.pi, 1], (3, 2))
    first = rows.set_state(tasks, state)
    actions = rng.uniform(-1.5, 1.5, (40, 3, 1))
    steps = [rows.step(action) for action in actions]
    for row, (gravity, mass, length) in enumerate(tasks):
        theirs = gymnasium.make("Pendulum-v1").unwrapped
        theirs.reset(seed=0)
        theirs.g, theirs.m, theirs.l, theirs.state = gravity, mass, length, state[row].copy()
        np.testing.assert_allclose(first[row], theirs._get_obs(), atol=1e-6)
        for step, action in zip(steps, actions[:, row], strict=True):
            observation, reward, *_ = theirs.step(2.0 * np.clip(action, -1, 1))
            np.testing.assert_allclose(step.observation[row], observation, atol=2e-6)
            assert step.reward[row] == pytest.approx(float(reward), abs=1e-5)


def test_pendulum_starts_anywhere_and_differs_in_mass_alone():
    family = load_family("pendulum")
    observation = family(4000).reset(np.resize(family.draw_tasks(10), (4000, 3)), np.random.default_rng(0))
    angles = np.arctan2(observation[:, 1], observation[:, 0])
    assert np.abs(np.histogram(angles, bins=8, range=(-np.pi, np.pi))[0] / 500 - 1).max() < 0.15
    assert np.abs(observation[:, 2]).max() <= 1 and observation[:, 2].std() == pytest.approx(1 / 3**0.5, rel=0.05)
    tasks = family.draw_tasks(50)
    assert np.unique(tasks[:, 0]).tolist() == [10.0] and np.unique(tasks[:, 2]).tolist() == [1.0]
    assert tasks[:, 1].min() >= 0.5 and tasks[:, 1].max() <= 2.0


def test_mountain_car_is_gymnasiums_and_charges_the_clipped_action():
    family, rng = load_family("mountain-car-continuous"), np.random.default_rng(0)
    rows, tasks = family(3), np.array([[0.001], [0.0015], [0.002]])
    state = np.stack([rng.uniform(-0.6, -0.4, 3), np.zeros(3)], axis=1)
    state[2] = [-1.19, -0.05]  # hits the wall
    rows.set_state(tasks, state)
    actions = rng.uniform(-2, 2, (60, 3, 1))
    given = [rows._step_as_given(action) for action in actions]
    rows.set_state(tasks, state)
    clipped = [rows.step(action) for action in actions]
    for row in range(3):
        theirs = gymnasium.make("MountainCarContinuous-v0").unwrapped
        theirs.reset(seed=0)
        theirs.power, theirs.state = tasks[row, 0], state[row].astype(np.float32)
        for one, other, action in zip(given, clipped, actions[:, row], strict=True):
            observation, reward, *_ = theirs.step(action)
            np.testing.assert_allclose(one.observation[row], observation, atol=1e-6)
            assert one.reward[row] == pytest.approx(float(reward), abs=1e-6)
            np.testing.assert_array_equal(other.observation[row], one.observation[row])
            beyond = 0.1 * (action[0] ** 2 - np.clip(action[0], -1, 1) ** 2)
            assert other.reward[row] == pytest.approx(float(reward) + beyond, abs=1e-6)


def test_the_goal_of_a_mountain_car_is_reached_going_right():
    family = load_family("mountain-car-continuous")
    rows = family(3)
    rows.set_state(np.full((3, 1), 0.0015), np.array([[0.44, 0.02], [0.46, -0.01], [0.40, 0.02]]))
    step = rows.step(np.zeros((3, 1)))
    assert step.terminal.tolist() == [True, False, False]
    np.testing.assert_allclose(step.reward, [100, 0, 0])


def test_mountain_cars_oracle_reaches_the_goal_whatever_the_power():
    family = load_family("mountain-car-continuous")
    returns = reference_returns(family, np.array([[0.001], [0.0015], [0.002]]))
    assert all(96 < value < 99 for value in returns["task_known"])
    assert returns["doing_nothing"] == [0.0, 0.0, 0.0]
