"""Episodes that end by themselves, at another length in every task: as ant, humanoid, walker and hopper have them."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from torch import nn

from oyster.algorithms.pearl.agent import Agent
from oyster.algorithms.pearl.learner import transition_capacity
from oyster.algorithms.pearl.settings import Settings
from oyster.envs.family import Step, TaskFamily
from oyster.grid import load_params, trial_settings
from oyster.reproduce.keep import FOLDER
from oyster.trial.meta_test import MetaTest, Run, meta_test
from oyster.trial.results import _traces
from oyster.trial.training import Training

HORIZON = 6


class Ending(TaskFamily):
    """An episode ends after `end` steps; every reward is `end`, so that rewards tell whose they are."""

    horizon = HORIZON
    observation_dim, action_dim, parameter_names, trace_name = 1, 1, ("end",), "count"

    @staticmethod
    def draw_tasks(count, seed=0):
        return np.arange(1, count + 1, dtype=float)[:, None]

    def reset(self, tasks, rng):
        self.ends, self.count = tasks[:, 0], np.zeros(len(tasks), np.float32)
        return self.count[:, None]

    def step(self, action):
        self.count = self.count + 1
        reward = self.ends.astype(np.float32)
        return Step(self.count[:, None], reward, reward, self.count >= self.ends, self.count)


class Solved(Ending):
    """Its third and fifth steps solve the task, whether or not the episode has ended before."""

    success = True

    def step(self, action):
        step = super().step(action)
        return step._replace(success=(self.count == 3) | (self.count == 5))


class Spy(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 4)
        self.contexts = []

    def forward(self, context):
        self.contexts.append(context.clone())
        return self.layer(context)

    def reset(self, num_tasks=1):
        pass


def make(train_ends, test_ends=(1.0,), **changes) -> tuple[Training, Spy]:
    resolved = trial_settings(
        load_params(FOLDER / "params.yaml"), environment="point-robot", agent="mlp", seed=0, preset="canary"
    )
    base = {
        "train_tasks": len(train_ends),
        "test_tasks": len(test_ends),
        "latent_dim": 2,
        "net_size": 4,
        "evaluations": 1,
        "test_length": {"steps": 12},
        "use_information_bottleneck": True,
    }
    s = Settings.model_validate(resolved.model_dump() | base | changes)
    torch.manual_seed(0)
    spy = Spy()
    explore = s.num_exp_traj_eval
    agent = Agent(spy, 1, 1, s.latent_dim, s.net_size, exploration_trajectories=explore)
    tasks = (np.array(ends, float)[:, None] for ends in (train_ends, test_ends))
    return Training(s, agent, Ending, *tasks), spy


def collected(num_steps: int, end: float) -> int:
    """Transitions of a phase of `num_steps`: whole trajectories."""
    length = int(min(end, HORIZON))
    return -(-num_steps // length) * length


@hypothesis_settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(1, 8), min_size=1, max_size=3),
    st.tuples(*[st.integers(1, 20)] * 2),
    st.integers(0, 15),
    st.integers(0, 15),
)
def test_whole_trajectories_until_each_row_has_its_steps(ends, at_least_one, posterior, extra):
    initial, prior = at_least_one
    phases = {
        "num_initial_steps": initial,
        "num_steps_prior": prior,
        "num_steps_posterior": posterior,
        "num_extra_rl_steps_posterior": extra,
    }
    training, _ = make(ends, num_tasks_sample=2, num_iterations=2, **phases)
    drawn = []
    expected = np.array([collected(initial, end) for end in ends])
    for training.learner.iteration in range(2):
        tasks = np.array([training.iteration % len(ends), -1]) % len(ends)
        training.learner.rngs["tasks"] = Fixed(tasks)
        training.learner._collect()
        drawn.append(tasks)
        for task in tasks:
            expected[task] += sum(collected(steps, ends[task]) for steps in (prior, posterior, extra))
    np.testing.assert_array_equal(
        training.learner.replay.sizes, expected
    )  # a row that has its steps stores nothing more
    store, num_trajectories = training.learner.store, sum(map(len, training.learner.replay.episodes))
    assert training.learner.environment_steps == expected.sum() <= transition_capacity(training.settings, HORIZON)
    assert store.size == expected.sum() + num_trajectories <= len(store.rows)
    last = drawn[-1][-1]
    assert training.learner.context.sizes[last] == collected(prior, ends[last]) + collected(posterior, ends[last])
    terminal, reward = training.learner.store.gather(np.arange(training.learner.store.size - 1)[None])[4:]
    for end, episodes in zip(ends, training.learner.replay.episodes, strict=True):
        for start, length in episodes:
            assert length == min(end, HORIZON)
            assert not terminal[0, start : start + length - 1].any()
            assert bool(terminal[0, start + length - 1]) == (end <= HORIZON)  # a cut is no end
            assert (reward[0, start : start + length] == end).all()


class Fixed:
    def __init__(self, tasks):
        self.tasks = tasks

    def integers(self, high, size):
        return self.tasks


def test_capacity_is_what_the_worst_case_needs():
    phases = ("num_initial_steps", "num_steps_prior", "num_steps_posterior", "num_extra_rl_steps_posterior")
    training, _ = make([9.0, 9.0], num_tasks_sample=2, num_iterations=2, **dict.fromkeys(phases, HORIZON + 1))
    for training.learner.iteration in range(2):
        training.learner._collect()
    transitions, trajectories = 2 * 12 + 2 * 2 * 3 * 12, 2 * 2 + 2 * 2 * 3 * 2
    assert training.learner.environment_steps == transitions
    assert training.learner.store.size == len(training.learner.store.rows) == transitions + trajectories


def test_a_meta_test_keeps_every_runs_own_context():
    ends = [2.0, 5.0, 9.0]  # of 12 steps: 6 trajectories of 2, 3 of 5, 2 that are cut at 6
    training, spy = make([1.0], ends, num_exp_traj_eval=1)
    s = training.settings
    result = meta_test(training.agent, Ending(3), training.test_tasks, s, np.random.default_rng(0))
    assert [run.returns for run in result.runs] == [[4.0] * 6, [25.0] * 3, [54.0] * 2]
    assert [len(run.posteriors) for run in result.runs] == [7, 4, 3]  # before each trajectory, and after the last
    assert result.task_returns() == [4.0, 25.0, 54.0] and result.trajectory_returns() == [83 / 3] * 2
    # After each of the longest run's six trajectories, a row at a time: their contexts differ in length.
    inferred = list(spy.contexts)
    for row, (length, whole) in enumerate([(2, 12), (5, 15), (6, 12)]):
        contexts = inferred[row::3]
        assert [tuple(context.shape[:2]) for context in contexts] == [(1, min(length * k, whole)) for k in range(1, 7)]
        assert all((context[..., -1] == ends[row]).all() for context in contexts)
        last = training.agent.infer(contexts[-1]).mean[0].detach()
        np.testing.assert_allclose(result.runs[row].posteriors[-1][0], last, rtol=1e-5)


def test_a_success_after_the_end_of_a_row_does_not_count():
    ends = [2.0, 3.0, 4.0, 9.0]  # rows of 2 and 3 go on being stepped to 6, as the last one does
    training, _ = make([1.0], ends, num_exp_traj_eval=1)
    rng = np.random.default_rng(0)
    result = meta_test(training.agent, Solved(4), training.test_tasks, training.settings, rng)
    assert [run.successes for run in result.runs] == [[False] * 6, [True] * 4, [True] * 3, [True] * 2]
    assert result.success_rate() == 0.75
    plain = meta_test(training.agent, Ending(4), training.test_tasks, training.settings, rng)
    assert all(run.successes is None for run in plain.runs)


def test_the_success_rate_counts_the_trajectories_that_the_return_counts():
    def run(task: int, evaluation: int, *successes: bool) -> Run:
        return Run(task, evaluation, [float(solved) for solved in successes], [], [], list(successes))

    runs = [run(0, 0, True, False), run(0, 1, False, False, True), run(1, 0, True, True)]
    for counted, rate in (((-1, -1), 0.75), ((0, 0), 0.75), ((0, -1), (5 / 12 + 1) / 2)):
        test = MetaTest(runs, counted)
        assert test.success_rate() == test.meta_test_return() == pytest.approx(rate)


def test_a_trace_ends_where_its_episode_ends():
    training, _ = make([1.0], [2.0, 5.0], num_exp_traj_eval=1)
    result = meta_test(training.agent, Ending(2), training.test_tasks, training.settings, np.random.default_rng(0))
    traces = _traces(result.runs, 2)  # (task, evaluation, trajectory, step)
    np.testing.assert_array_equal(traces[0, 0, 0], [1, 2, np.nan, np.nan, np.nan])
