"""Which tasks are train and which test; where episodes start; where the sparse reward ends."""

from importlib import import_module

import numpy as np
import pytest

from oyster.envs import load_family


class Counted(load_family("point-robot")):
    @staticmethod
    def draw_tasks(count, seed=0):
        return np.arange(float(count))[:, None]


def test_train_tasks_are_the_first_and_test_tasks_the_last_of_a_list():
    train, test = Counted.tasks(5, 3)
    assert train[:, 0].tolist() == [0, 1, 2, 3, 4] and test[:, 0].tolist() == [5, 6, 7]


def test_point_robot_starts_uniformly_on_the_square_around_the_origin():
    start = load_family("point-robot")(20_000).reset(np.zeros((20_000, 2)), np.random.default_rng(0))
    assert start.dtype == np.float32
    for coordinate in start.T:
        counts, _ = np.histogram(coordinate, bins=10, range=(-1, 1))
        assert counts.sum() == 20_000 and np.abs(counts / 2000 - 1).max() < 0.1
    assert abs(np.corrcoef(start.T)[0, 1]) < 0.03


def test_cheetah_starts_within_its_reset_noise():
    batch = load_family("cheetah-vel")(5000)
    observation = batch.reset(np.zeros((5000, 1)), np.random.default_rng(0))
    qpos, qvel = np.asarray(batch._qpos), observation[:, 8:17]
    assert np.abs(qpos).max() <= 0.1
    np.testing.assert_allclose(qpos.std(axis=0), 0.2 / 12**0.5, rtol=0.05)  # every element uniform
    np.testing.assert_allclose(qvel.std(axis=0), 0.1, rtol=0.05)  # every element normal
    assert np.abs(qvel).max() > 0.3


@pytest.mark.parametrize("name", ["cheetah-vel", "point-robot", "sparse-point-robot"])
def test_resets_come_from_the_generator_alone(name):
    family = load_family(name)
    tasks = family.draw_tasks(4)
    starts = [family(4).reset(tasks, np.random.default_rng(seed)) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(starts[0], starts[1])
    assert np.array_equal(starts[0], starts[2]) == (name == "sparse-point-robot")  # which starts at the origin
    used = family(4)
    used.reset(tasks, np.random.default_rng(5))
    for _ in range(3):
        used.step(np.ones((4, family.action_dim)))
    np.testing.assert_array_equal(used.reset(tasks, np.random.default_rng(0)), starts[0])  # nothing is carried over


def test_the_sparse_reward_ends_at_its_radius():
    sparse_reward = import_module("oyster.envs.sparse_point_robot").sparse_reward
    distances = np.array([0.0, 0.1, 0.2, 0.2000001, 1.0])
    np.testing.assert_allclose(sparse_reward(distances), [1.0, 0.9, 0.8, 0.0, 0.0], atol=1e-7)
