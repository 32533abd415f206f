"""A family as a gymnasium environment: what gymnasium's own checker says, and what the family itself would return."""

import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env

import oyster
from oyster.envs import families, load_family
from oyster.gym_env import TaskEnv
from oyster.runtime.errors import InputError
from tests.needs import need_installed


@pytest.mark.parametrize("name", families())
def test_gymnasiums_checker_accepts_every_family(name):
    need_installed(load_family(name))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=r".*Box observation space (minimum|maximum) value is")  # unbounded
        check_env(oyster.envs.make(name))


@pytest.mark.parametrize("name", ["cheetah-vel", "sparse-point-robot", "walker-rand-params"])
def test_it_returns_what_the_family_returns(name):
    family = load_family(name)
    env, rows, rng = oyster.envs.make(name, task=1, seed=5), family(1), gymnasium.utils.seeding.np_random(5)[0]
    for _ in range(2):  # the second episode starts elsewhere: the generator goes on
        (observation, info), total, ended = env.reset(), 0.0, False
        np.testing.assert_array_equal(observation, rows.reset(env.tasks[[1]], rng)[0])
        np.testing.assert_array_equal(info["task"], env.tasks[1])
        steps = 0
        while not ended:
            action = np.full(family.action_dim, 0.3, np.float32)
            observation, reward, terminal, cut, info = env.step(action)
            step = rows.step(action[None])
            np.testing.assert_array_equal(observation, step.observation[0])
            assert reward == (step.sparse_reward if family.sparse else step.reward)[0]
            assert (info["reward_dense"], info["reward_sparse"]) == (step.reward[0], step.sparse_reward[0])
            assert terminal == step.terminal[0]
            ended, total, steps = terminal or cut, total + reward, steps + 1
            assert cut == (steps == family.horizon and not terminal)
        assert info["return"] == total
        with pytest.raises(ResetNeeded, match="call reset"):
            env.step(action)


def test_success_is_told_where_the_family_says_it():
    class Solvable(load_family("point-robot")):
        success = True

        def step(self, action):
            step = super().step(action)
            return step._replace(success=step.reward <= 0.0)

    for family, keys in ((Solvable, {"success"}), (load_family("point-robot"), set())):
        env = TaskEnv(family, [0.1, 0.1])
        env.reset(seed=0)
        *_, info = env.step([0.0, 0.0])
        assert info.keys() & {"success"} == keys and info.get("success", True) is True


def test_a_seed_gives_the_same_episode_and_another_seed_another():
    starts = [oyster.envs.make("point-robot", seed=seed).reset()[0].tolist() for seed in (0, 0, 1)]
    assert starts[0] == starts[1] != starts[2]
    env = oyster.envs.make("point-robot", seed=0)
    env.reset()
    assert env.reset(seed=1)[0].tolist() == starts[2]


def test_a_task_is_a_number_or_parameters_and_can_change_at_a_reset():
    env = oyster.envs.make("cheetah-vel", task=[1.5])
    assert env.reset()[1]["task"].tolist() == [1.5]
    assert env.reset(options={"task": 2})[1]["task"].tolist() == env.tasks[2].tolist()
    assert env.reset()[1]["task"].tolist() == env.tasks[2].tolist()
    for odd in (99, [1.0, 2.0], [np.nan], "fast", None):
        with pytest.raises(InputError, match=r"expected 1 finite parameters \(target_velocity\), or the number of a"):
            oyster.envs.make("cheetah-vel", task=odd)
    with pytest.raises(InputError, match="did you mean cheetah-vel"):
        oyster.envs.make("cheetah-vell")
    with pytest.raises(InputError, match=r"has the shape \(2,\); expected \(6,\)"):
        env.step(np.zeros(2))


def test_several_are_stepped_as_a_vector():
    tasks = ([0.0, 1.0], [1.0, 0.0])
    envs = gymnasium.vector.SyncVectorEnv([lambda t=t: oyster.envs.make("sparse-point-robot", task=t) for t in tasks])
    envs.reset()
    _, rewards, *_ = envs.step(np.zeros((2, 2), np.float32))
    assert rewards.tolist() == [0.0, 0.0]
