"""Task families: the reference's task lists, dynamics and rewards by hand, rows that know nothing of one another."""

from pathlib import Path

import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oyster.envs import families, load_family
from oyster.envs.reference_policies import reference_returns
from oyster.runtime.errors import InputError


def test_task_lists_are_the_references():
    cheetah = load_family("cheetah-vel").draw_tasks(40)
    assert cheetah.shape == (40, 1)
    np.testing.assert_allclose(cheetah[[0, -1], 0], [0.78607403, 0.37990434], atol=1e-8)
    point = load_family("point-robot").draw_tasks(50)
    np.testing.assert_allclose(point[0], (-0.47595065, -0.68263206), atol=1e-8)
    np.testing.assert_array_equal(point[:30], load_family("point-robot").draw_tasks(30))
    sparse = load_family("sparse-point-robot").draw_tasks(50)
    np.testing.assert_allclose(sparse[0], (1, 0), atol=1e-12)
    np.testing.assert_allclose(sparse[-1], (0.09602302, 0.99537911), atol=1e-8)
    np.testing.assert_allclose(np.linalg.norm(sparse, axis=1), 1)


@pytest.mark.parametrize("name", families())
def test_drawing_tasks_leaves_numpys_generator_alone(name):
    before = np.random.get_state()[1].tolist()
    family = load_family(name)
    family.tasks(*family.task_counts)
    assert np.random.get_state()[1].tolist() == before


def test_an_unknown_family_is_told():
    with pytest.raises(
        InputError,
        match=r"no task family 'ant-golf', did you mean ant-goal\?.*ant-dir, .*cheetah-vel, .*walker-rand-params",
    ):
        load_family("ant-golf")


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 6))
def test_point_robot_by_hand(seed, rows):
    rng = np.random.default_rng(seed)
    family = load_family("point-robot")(rows)
    goals = rng.uniform(-1, 1, (rows, 2))
    start = family.reset(goals, np.random.default_rng(seed))
    assert np.abs(start).max() <= 1
    position = start.astype(float)
    for _ in range(5):
        action = rng.uniform(-2, 2, (rows, 2))
        step = family.step(action)
        position = position + 0.1 * np.clip(action, -1, 1)
        np.testing.assert_allclose(step.observation, position, atol=1e-6)
        np.testing.assert_allclose(step.reward, -np.linalg.norm(position - goals, axis=1), atol=1e-6)
        np.testing.assert_array_equal(step.sparse_reward, step.reward)
        assert not step.terminal.any()


def test_sparse_rewards_begin_at_the_radius():
    family = load_family("sparse-point-robot")(3)
    goals = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    np.testing.assert_array_equal(family.reset(goals, np.random.default_rng(0)), 0)
    for _ in range(9):
        step = family.step(np.array([[1.0, 0.0]] * 3))
    np.testing.assert_allclose(step.observation, [[0.9, 0]] * 3, atol=1e-6)
    np.testing.assert_allclose(step.reward, [-0.1, -np.hypot(0.9, 1), -1.9], atol=1e-6)
    np.testing.assert_allclose(step.sparse_reward, [0.9, 0, 0], atol=1e-6)
    family.reset(goals, np.random.default_rng(0))
    moves = [1.0] * 7 + [0.9, 0.2, 1.0, 1.0, 1.0, 1.0]  # to 0.7, 0.79, 0.81, 0.91, 1.01, 1.11, 1.21
    rewards = [family.step(np.array([[move, 0.0]] * 3)).sparse_reward[0] for move in moves]
    np.testing.assert_allclose(rewards, [0.0] * 8 + [0.81, 0.91, 0.99, 0.89, 0.0], atol=1e-6)


def test_cheetah_reward_and_reset():
    family = load_family("cheetah-vel")
    batch = family(200)
    tasks = np.full((200, 1), 1.5)
    observation = batch.reset(tasks, np.random.default_rng(0))
    assert observation.shape == (200, 20) and observation.dtype == np.float32
    angles, speeds = observation[:, 1:8], observation[:, 8:17]
    assert np.abs(angles).max() <= 0.1 and np.abs(angles).max() > 0.09
    assert speeds.std() == pytest.approx(0.1, rel=0.1)
    action = np.random.default_rng(1).uniform(-2, 2, (200, 6))
    before = batch._qpos[:, 0].copy()
    step = batch.step(action)
    velocity = (batch._qpos[:, 0] - before) / 0.05
    clipped = np.clip(action, -1, 1)
    np.testing.assert_allclose(step.reward, -np.abs(velocity - 1.5) - 0.05 * (clipped**2).sum(1), atol=1e-6)
    np.testing.assert_allclose(step.trace, velocity, atol=1e-6)


@pytest.mark.parametrize("threads", [1, 3])
def test_cheetah_rows_are_bitwise_what_they_are_alone(threads):
    """Against one MjData stepped by mj_step; whatever the other rows and threads do."""
    family = load_family("cheetah-vel")
    batch = family(4, physics_threads=threads)
    tasks = family.draw_tasks(4)
    batch.reset(tasks, np.random.default_rng(3))
    qpos, qvel = batch._qpos.copy(), batch._qvel.copy()
    actions = np.random.default_rng(4).uniform(-1, 1, (25, 4, 6))
    steps = [batch.step(action) for action in actions]
    model = family.physics_model()
    for row in range(4):
        data = mujoco.MjData(model)
        data.qpos[:], data.qvel[:] = qpos[row], qvel[row]
        mujoco.mj_forward(model, data)
        for t in range(25):
            data.ctrl[:] = actions[t, row]
            for _ in range(5):
                mujoco.mj_step(model, data)
            torso = data.xpos[model.body("torso").id]
            expected = np.concatenate([data.qpos[1:], data.qvel, torso]).astype(np.float32)
            np.testing.assert_array_equal(steps[t].observation[row], expected)


def test_observations_are_not_views_of_the_simulation():
    family = load_family("cheetah-vel")(2)
    first = family.reset(np.zeros((2, 1)), np.random.default_rng(0))
    kept = first.copy()
    family.step(np.ones((2, 6)))
    np.testing.assert_array_equal(first, kept)


def test_mujoco_leaves_no_log_behind(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    family = load_family("cheetah-vel")(2)
    family.reset(np.zeros((2, 1)), np.random.default_rng(0))
    family.step(np.ones((2, 6)))
    assert not list(Path().iterdir())


def test_scripts_that_bound_a_learner_are_the_published_scale():
    """The figures that the benchmark's description gives for its test tasks: known goal, and staying or missing."""
    point = reference_returns(load_family("point-robot"), load_family("point-robot").draw_tasks(50)[-10:])
    assert np.mean(point["task_known"]) == pytest.approx(-4.6, abs=0.1)
    assert np.mean(point["doing_nothing"]) == pytest.approx(-19.8, abs=0.3)
    sparse = load_family("sparse-point-robot")
    sparse = reference_returns(sparse, sparse.draw_tasks(50)[-10:])
    assert np.mean(sparse["task_known"]) == pytest.approx(13.1, abs=0.05)
    assert sparse["doing_nothing"] == [0.0] * 10


def test_a_cheetah_that_does_nothing_loses_its_target_velocity_a_step():
    tasks = np.array([[0.5], [2.5]])
    returns = reference_returns(load_family("cheetah-vel"), tasks)
    assert returns["task_known"] == [0.0, 0.0]  # no script knows how to run: the bound of the reward
    # It falls and lies still, so that |v - target| is about the target.
    np.testing.assert_allclose(returns["doing_nothing"], [-100, -500], rtol=0.06)


def test_knowing_the_task_goes_straight_and_stays():
    family = load_family("point-robot")(1)
    goal = np.array([[0.35, -0.05]])
    family.reset(goal, np.random.default_rng(0))
    start = family.trace().astype(float)
    steps = [family.step(family.oracle_action()) for _ in range(20)]
    assert steps[-1].reward == pytest.approx(0, abs=1e-6)
    needed = int(np.ceil(np.abs(goal - start).max() / 0.1 - 1e-9))
    arrived = [bool(step.reward[0] > -1e-6) for step in steps]
    assert arrived == [False] * (needed - 1) + [True] * (21 - needed)


def test_what_can_be_rendered_says_so():
    cheetah = load_family("cheetah-vel")(2)
    cheetah.reset(np.zeros((2, 1)), np.random.default_rng(0))
    assert cheetah.qpos().shape == (2, cheetah.physics_model().nq)
    point = load_family("point-robot")(2)
    assert point.qpos() is None and point.physics_model() is None
