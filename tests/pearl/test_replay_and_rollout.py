"""What is stored, what is drawn, what a trajectory is; with a tiny family whose episodes end by themselves."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from oyster.algorithms.pearl.agent import Agent
from oyster.algorithms.pearl.learner import transition_capacity
from oyster.envs import load_family
from oyster.envs.family import Step, TaskFamily
from oyster.grid import load_params, trial_settings
from oyster.rl.replay import Layout, Positions, TransitionStore
from oyster.rl.rollout import Trajectories, rollout
from rlkit.torch.networks import MlpEncoder


class Counter(TaskFamily):
    """Counts its steps; row r ends when it has counted to its task."""

    observation_dim, action_dim, parameter_names, trace_name = 1, 1, ("end",), "count"

    @staticmethod
    def draw_tasks(count, seed=0):
        return np.arange(1, count + 1, dtype=float)[:, None]

    def reset(self, tasks, rng):
        self.ends, self.count = tasks[:, 0], np.zeros(len(tasks))
        return self.count[:, None].astype(np.float32)

    def step(self, action):
        self.count = self.count + 1
        reward = self.count.astype(np.float32)
        return Step(reward[:, None], reward, -reward, self.count >= self.ends, reward)


def agent() -> Agent:
    return Agent(MlpEncoder(hidden_sizes=[4], input_size=3, output_size=4), 1, 1, 2, 8)


def run(tasks, horizon, actions=None):
    rng = np.random.default_rng(0)
    family = Counter(len(tasks))
    z = torch.zeros(len(tasks), 2)
    return rollout(family, np.array(tasks)[:, None], agent().actor(z, actions), horizon, rng)


def test_rows_end_by_themselves_or_are_cut():
    trajectories = run([2.0, 9.0, 4.0], 5)
    assert trajectories.length.tolist() == [2, 5, 4]
    assert trajectories.returns(sparse=False).tolist() == [3, 15, 10]
    assert trajectories.returns(sparse=True).tolist() == [-3, -15, -10]
    assert trajectories.terminal[0, 1] and not trajectories.terminal[0, 0]
    assert not trajectories.terminal[1].any()  # cut at horizon is not terminal
    np.testing.assert_array_equal(trajectories.observation[1, :, 0], [0, 1, 2, 3, 4])
    np.testing.assert_array_equal(trajectories.next_observation[1, :, 0], [1, 2, 3, 4, 5])
    for part in (trajectories.action, trajectories.reward, trajectories.sparse_reward, trajectories.terminal):
        assert part.shape[:2] == (3, 5)


def test_a_batch_that_ends_early_has_no_step_after_that():
    trajectories = run([2.0, 3.0], 9)
    for name in ("observation", "action", "reward", "sparse_reward", "next_observation", "terminal", "trace"):
        assert getattr(trajectories, name).shape[:2] == (2, 3), name


@pytest.mark.parametrize("at_reset", [False, True])
def test_a_trace_is_a_rows_and_ends_with_its_trajectory(at_reset, monkeypatch):
    monkeypatch.setattr(Counter, "trace_at_reset", at_reset)
    monkeypatch.setattr(Counter, "trace", lambda self: self.count.astype(np.float32))
    trajectories = run([2.0, 9.0, 4.0], 5)
    start = [0] if at_reset else []
    for row, length in enumerate([2, 5, 4]):
        assert trajectories.trace_of(row).tolist() == start + list(range(1, length + 1))


def test_returns_are_summed_in_double_precision():
    reward = np.full((1, 1000), 0.1, np.float32)
    part = np.zeros((1, 1000, 1), np.float32)
    data = Trajectories(part, part, reward, -reward, part, reward > 1, np.array([1000]), reward)
    exact = 1000 * float(np.float32(0.1))
    for sparse, sign in ((False, 1), (True, -1)):
        returns = data.returns(sparse)
        assert returns.dtype == np.float64 and returns.tolist() == [pytest.approx(sign * exact, rel=1e-12)]


def test_a_batch_stops_when_every_row_has_ended():
    assert run([2.0, 3.0], 50).observation.shape == (2, 3, 1)


def test_the_deterministic_policy_draws_nothing():
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state
    one = rollout(Counter(2), np.array([[3.0], [3.0]]), agent().actor(torch.ones(2, 2), None), 5, rng)
    assert rng.bit_generator.state == before
    assert np.abs(one.action).max() <= 1
    drawn = np.random.default_rng(1)
    sampled = rollout(Counter(2), np.array([[3.0], [3.0]]), agent().actor(torch.ones(2, 2), drawn), 5, rng)
    assert drawn.bit_generator.state != np.random.default_rng(1).bit_generator.state
    assert not np.array_equal(sampled.action, one.action)


def fill(store: TransitionStore, rng, lengths) -> tuple[Trajectories, list[int]]:
    rows, steps, (o, a) = len(lengths), max(lengths), store.layout
    data = Trajectories(
        *(rng.normal(size=(rows, steps, width)).astype(np.float32) for width in (o, a)),
        *(rng.normal(size=(rows, steps)).astype(np.float32) for _ in range(2)),
        rng.normal(size=(rows, steps, o)).astype(np.float32),
        rng.random((rows, steps)) < 0.5,
        np.array(lengths),
        np.zeros((rows, steps)),
    )
    return data, [store.append(data, row, sparse_context=True) for row in range(rows)]


def test_what_is_stored_comes_back_in_its_columns():
    store = TransitionStore(Layout(3, 2), 4, torch.device("cpu"))  # it grows
    data, starts = fill(store, np.random.default_rng(0), [4, 6, 5])
    assert starts == [0, 5, 12] and store.size == 4 + 6 + 5 + 3  # a row more per trajectory: its last observation
    positions = np.array([[6, 10, 5], [16, 12, 3]])
    observation, action, context_reward, next_observation, terminal, reward = store.gather(positions)
    assert reward.shape == (2, 3, 1) and observation.shape == (2, 3, 3)
    np.testing.assert_array_equal(observation[0, 1], data.observation[1, 5])
    np.testing.assert_array_equal(action[1, 0], data.action[2, 4])
    assert reward[0, 0] == data.reward[1, 1] and context_reward[0, 0] == data.sparse_reward[1, 1]
    assert bool(terminal[1, 2]) == bool(data.terminal[0, 3])
    short, wide = (store.gather_context(positions, flag) for flag in (False, True))
    assert short.shape == (2, 3, 6) and wide.shape == (2, 3, 9)
    torch.testing.assert_close(wide[..., :6], short)
    torch.testing.assert_close(wide[..., 6:], next_observation)
    for place, (row, step) in {(0, 1): (1, 5), (1, 0): (2, 4), (1, 2): (0, 3)}.items():  # of last steps
        np.testing.assert_array_equal(next_observation[place], data.next_observation[row, step])
    np.testing.assert_array_equal(
        next_observation[0, 0], data.observation[1, 2]
    )  # the observation of the step after it
    torch.testing.assert_close(short, torch.cat([observation, action, context_reward], -1))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.lists(st.lists(st.integers(1, 7), min_size=1, max_size=5), min_size=1, max_size=4))
def test_draws_stay_within_their_list(seed, episode_lengths):
    rng = np.random.default_rng(seed)
    positions, next_free, owned, episodes = Positions(len(episode_lengths)), 0, [], []
    for which, lengths in enumerate(episode_lengths):
        owned.append(set())
        episodes.append([])
        for length in lengths:
            positions.add(which, next_free, length)
            episodes[-1].append(list(range(next_free, next_free + length)))
            owned[-1] |= set(episodes[-1][-1])
            next_free += length + 3
    lists = rng.integers(len(episode_lengths), size=6)
    drawn, ordered = positions.draw(lists, 50, rng), positions.draw_ordered(lists, 11, rng)
    assert drawn.shape == (6, 50) and ordered.shape == (6, 11)
    for row, which in enumerate(lists):
        assert set(drawn[row]) <= owned[which]
        rest = ordered[row].tolist()
        while rest:  # whole episodes, the last one cut
            episode = next(e for e in episodes[which] if e[0] == rest[0])
            assert rest[: len(episode)] == episode[: len(rest)]
            rest = rest[len(episode) :]


def test_draws_are_uniform_with_replacement():
    positions = Positions(2)
    positions.add(1, 100, 4)
    positions.add(1, 300, 6)
    drawn = positions.draw(np.array([1]), 50_000, np.random.default_rng(0))[0]
    values, counts = np.unique(drawn, return_counts=True)
    assert values.tolist() == [100, 101, 102, 103, 300, 301, 302, 303, 304, 305]
    np.testing.assert_allclose(counts / 50_000, 0.1, atol=0.01)


def test_a_list_that_grows_keeps_what_it_held_and_grows_by_doubling():
    positions, held, room = Positions(2), [[], []], set()
    for k in range(60):
        start = 10 * k
        positions.add(k % 2, start, 1 + k % 3)
        held[k % 2] += range(start, start + 1 + k % 3)
        room.add(positions._positions.shape[1])
    for which in (0, 1):
        assert positions._positions[which, : positions.sizes[which]].tolist() == held[which]
        assert positions.sizes[which] == len(held[which])
    assert len(room) <= 8  # copied a few times, not at every addition


def test_the_store_is_on_its_device_and_holds_float32():
    store = TransitionStore(Layout(2, 1), 5, torch.device("meta"))
    assert store.rows.device.type == "meta" and store.rows.shape == (5, 6) and store.rows.dtype == torch.float32


def test_replacing_forgets_what_was_there():
    positions = Positions(1)
    positions.add(0, 0, 50)
    positions.replace(0, [(70, 2), (90, 1)])
    assert positions.sizes.tolist() == [3]
    assert set(positions.draw(np.array([0]), 200, np.random.default_rng(0))[0]) == {70, 71, 90}
    assert positions.episodes == [[(70, 2), (90, 1)]]


@pytest.mark.parametrize("environment", ["cheetah-vel", "point-robot", "sparse-point-robot"])
def test_replay_holds_what_the_protocol_can_put_into_it(environment):
    s = trial_settings(load_params(), environment=environment, agent="mlp", seed=0, preset="benchmark")
    steps = s.num_steps_prior + s.num_steps_posterior + s.num_extra_rl_steps_posterior
    exact = s.train_tasks * s.num_initial_steps + s.num_iterations * s.num_tasks_sample * steps
    assert exact <= transition_capacity(s, load_family(environment).horizon) < 1.5 * exact
    assert (
        transition_capacity(s, load_family(environment).horizon) * 50 * 4 < 60e6
    )  # bytes, at most 50 float32 a transition
