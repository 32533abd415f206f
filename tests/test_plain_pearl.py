"""tests/plain/plain_pearl.py, the control of the engine: it must itself be PEARL.

It is held to the engine where the two can be compared number by number (tasks, rewards, the gradient step, which
reproduces the golden arrays) and to the protocol's counts where draws differ.
"""

import pickle

import numpy as np
import pytest
import torch

from oyster.algorithms.pearl.agent import Agent
from oyster.algorithms.pearl.encoder_file import load_encoder_class
from oyster.algorithms.pearl.gradient_step import Batch, GradientStep
from oyster.algorithms.pearl.settings import Settings, find_encoder_file
from oyster.envs import load_family
from oyster.grid import load_params, trial_settings
from oyster.reproduce.keep import FOLDER
from tests.plain.plain_pearl import ENVIRONMENTS, PlainPearl, Robot, draw_goals


def settings(environment: str, **changes) -> Settings:
    params = load_params(FOLDER / "params.yaml")
    resolved = trial_settings(params, environment=environment, agent="mlp", seed=3, preset="canary")
    return Settings.model_validate(resolved.model_dump() | {"precision": "float32"} | changes)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_tasks_and_rewards_are_the_engines(environment):
    goals, rows = draw_goals(environment, 50), load_family(environment)(50)
    np.testing.assert_array_equal(goals, rows.draw_tasks(50))
    rng = np.random.default_rng(0)
    rows.reset(goals, rng)
    rows._position = starts = goals + 0.15 * rng.normal(size=(50, 2))  # within the goal's radius and without
    actions = 2 * rng.normal(size=(50, 2))
    engine, robot = rows.step(actions), Robot(environment, rng)
    assert robot.reset().any() != robot.sparse  # which starts in the centre
    for row in range(50):
        robot.position = starts[row]
        observation, reward, felt = robot.step(actions[row], goals[row])
        np.testing.assert_allclose(observation, engine.observation[row], atol=1e-6)
        assert reward == pytest.approx(engine.reward[row], abs=1e-6)
        assert felt == pytest.approx(engine.sparse_reward[row], abs=1e-6)
    assert 0 < np.count_nonzero(engine.sparse_reward) < 50 or not robot.sparse


def engines_agent(pearl: PlainPearl) -> Agent:
    """The engine's agent with the same weights, in float64."""
    s = pearl.s
    encoder = load_encoder_class(find_encoder_file("mlp"))(
        hidden_sizes=list(s.encoder_hidden_sizes), input_size=5, output_size=2 * s.latent_dim
    )
    agent = Agent(encoder, 2, 2, s.latent_dim, s.net_size).double()
    engines = [encoder, agent.qf1, agent.qf2, agent.vf, agent.target_vf, agent.policy]
    for ours, theirs in zip(engines, weights(pearl), strict=True):
        ours.load_state_dict(dict(zip(ours.state_dict(), theirs, strict=True)))
    return agent


def weights(pearl: PlainPearl) -> list[list[torch.Tensor]]:
    """A list a network, in the engine's order; the engine's policy has a layer for either half of the last one."""
    *networks, policy = (
        [parameter.detach() for parameter in network.parameters()]
        for network in (pearl.encoder, pearl.q1, pearl.q2, pearl.v, pearl.target_v, pearl.policy)
    )
    *hidden, weight, bias = policy
    return [*networks, [*hidden, weight[:2], bias[:2], weight[2:], bias[2:]]]


def test_the_gradient_step_is_the_engines(monkeypatch):
    s = settings("sparse-point-robot", kl_lambda=0.7)
    pearl = PlainPearl(s)
    for network in (pearl.encoder, pearl.q1, pearl.q2, pearl.v, pearl.target_v, pearl.policy):
        network.double()
    agent = engines_agent(pearl)
    step = GradientStep.from_settings(agent, s)
    rng = np.random.default_rng(1)
    pearl.contexts = pearl.replay = [[None]] * s.train_tasks
    for _ in range(3):
        rows = torch.from_numpy(rng.normal(size=(s.meta_batch, s.batch_size, 7)))
        context = torch.from_numpy(rng.normal(size=(s.meta_batch, s.embedding_batch_size, 5)))
        z_noise = torch.from_numpy(rng.normal(size=(s.meta_batch, s.latent_dim)))
        action_noise = torch.from_numpy(rng.normal(size=(s.meta_batch, s.batch_size, 2)))
        draws, noises = iter([context, rows]), iter([z_noise, action_noise.flatten(0, 1)])
        monkeypatch.setattr(pearl, "draw", lambda *_, draws=draws: next(draws))
        monkeypatch.setattr(pearl, "noise", lambda *_, noises=noises: next(noises))
        pearl.take_gradient_step()
        observation, action, reward, next_observation = rows.split([2, 2, 1, 2], dim=-1)
        terminal = torch.zeros_like(reward)
        step(Batch(observation, action, reward, next_observation, terminal, context, z_noise, action_noise))
    assert not list(draws) and not list(noises)
    engines = [agent.context_encoder, agent.qf1, agent.qf2, agent.vf, agent.target_vf, agent.policy]
    for ours, theirs in zip(engines, weights(pearl), strict=True):
        for mine, plain in zip(ours.state_dict().values(), theirs, strict=True):
            torch.testing.assert_close(mine, plain, rtol=1e-9, atol=1e-12)


def test_its_meta_test_explores_on_the_prior_then_infers_from_all_it_saw(monkeypatch):
    s = settings("sparse-point-robot", evaluations=1)
    pearl, beliefs, contexts = PlainPearl(s), [], []
    walk, posterior = pearl.walk, pearl.posterior

    def watched_walk(goal, belief, deterministic):
        beliefs.append(belief)
        rows, felt_rows = walk(goal, belief, deterministic)
        felt_rows[-1, -1] += len(beliefs)  # tells the walks apart by their returns
        return rows, felt_rows

    def watched_posterior(context):
        contexts.append(context.shape[1])
        return posterior(context)

    monkeypatch.setattr(pearl, "walk", watched_walk)
    monkeypatch.setattr(pearl, "posterior", watched_posterior)
    walks, explore = s.test_length.steps // load_family(s.environment).horizon, s.num_exp_traj_eval
    figure = pearl.meta_test()
    assert contexts == [load_family(s.environment).horizon * k for k in range(explore, walks + 1)] * s.test_tasks
    on_prior = [bool((variance == 1).all()) for _, variance in beliefs]
    assert on_prior == ([True] * explore + [False] * (walks - explore)) * s.test_tasks
    last = [walks * (task + 1) for task in range(s.test_tasks)]  # an untrained agent meets no goal besides
    assert figure == np.mean(last)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_it_collects_what_the_protocol_says_and_goes_on_as_if_it_had_not_stopped(environment):
    s = settings(environment, num_train_steps_per_itr=2)
    pearl = PlainPearl(s)
    pearl.iterate()
    a_collection = s.num_steps_prior + s.num_steps_posterior
    collected = [
        (len(rows[0]) - s.num_initial_steps) / (a_collection + s.num_extra_rl_steps_posterior) for rows in pearl.replay
    ]
    assert sum(collected) == s.num_tasks_sample and all(times == int(times) for times in collected)
    assert [len(rows[0]) for rows in pearl.contexts] == [a_collection if k else s.num_initial_steps for k in collected]
    again = pickle.loads(pickle.dumps(pearl))
    for one in (pearl, again):
        one.iterate()
    assert again.curve == pearl.curve and len(again.curve) == 2
    assert all(
        torch.equal(mine, plain) for mine, plain in zip(again.q1.parameters(), pearl.q1.parameters(), strict=True)
    )
