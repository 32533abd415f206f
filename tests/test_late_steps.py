"""Training goes on: what a start cannot show, as it covers the first twenty gradient steps alone.

Every network moves in every later step, and a whole tiny trial is followed, number by number, by an independent PEARL.
"""

import copy

import numpy as np
import pytest
import torch

from oyster.algorithms.pearl.agent import Agent
from oyster.algorithms.pearl.learner import FIRST_STEPS
from oyster.algorithms.pearl.settings import Settings, find_encoder_file
from oyster.envs import families, load_family
from oyster.grid import encoder_agent, load_params, trial_settings
from oyster.reproduce.keep import CANARY, FOLDER, OTHERS
from oyster.trial.run import Trial
from oyster.trial.training import Training
from tests.plain.plain_pearl import PlainPearl

NETWORKS = ("context_encoder", "qf1", "qf2", "vf", "policy", "target_vf")


def settings(environment: str, encoder: str, **changes) -> Settings:
    params = load_params(FOLDER / "params.yaml")
    resolved = trial_settings(params, environment=environment, agent=encoder, seed=1, preset="canary")
    return Settings.model_validate(resolved.model_dump() | changes)


def assembled(s: Settings) -> Training:
    return Trial(s, {"encoder": find_encoder_file(s.encoder)}, "cpu").assemble()


def parameters(agent: Agent) -> dict[str, list[torch.Tensor]]:
    """A network's parameters as they are now."""
    return {name: [p.detach().clone() for p in getattr(agent, name).parameters()] for name in NETWORKS}


@pytest.mark.parametrize("environment, encoder", [*CANARY.items()])
def test_every_network_moves_in_every_step(environment, encoder):
    s = settings(environment, encoder, num_train_steps_per_itr=25, evaluations=1)
    training, moved = assembled(s), []
    before = [parameters(training.agent)]

    def look(training: Training) -> None:
        now = parameters(training.agent)
        still = {
            name
            for name in NETWORKS
            if not any(torch.any(old != new) for old, new in zip(before[0][name], now[name], strict=True))
        }
        moved.append((training.learner.gradient_steps, still))
        before[0] = now

    list(training.run(look))
    assert moved[-1][0] > 2 * FIRST_STEPS and len(moved) == 50
    assert [(step, still) for step, still in moved if still] == []


# --- a whole trial, followed by tests/plain/plain_pearl.py ------------------------------------------------------------


def networks_of(pearl: PlainPearl) -> dict[str, list[torch.Tensor]]:
    """Like `parameters`; the engine's policy has a layer for either half of the plain one's last layer."""
    plain = (pearl.encoder, pearl.q1, pearl.q2, pearl.v, pearl.policy, pearl.target_v)
    found = {name: list(network.parameters()) for name, network in zip(NETWORKS, plain, strict=True)}
    *hidden, weight, bias = found["policy"]
    return found | {"policy": [*hidden, weight[:2], bias[:2], weight[2:], bias[2:]]}


@torch.no_grad()
def copy_weights(agent: Agent, pearl: PlainPearl) -> None:
    ours = parameters(agent)
    for name, theirs in networks_of(pearl).items():
        for mine, plain in zip(ours[name], theirs, strict=True):
            plain.copy_(mine)  # a half of the last layer is a view of it


def test_a_whole_trial_is_what_an_independent_pearl_makes_of_the_same_draws(monkeypatch):
    s = settings("point-robot", "mlp", use_information_bottleneck=True, evaluations=1)
    training = assembled(s)
    pearl = PlainPearl(s)
    copy_weights(training.agent, pearl)
    start = parameters(training.agent)

    batches, latents, step, draw_latent = [], [], training.learner.gradient_step, Agent.draw_latent

    def watched_step(batch):
        batches.append([part.clone() for part in batch])
        return step(batch)

    def watched_latent(agent, posterior, rng):
        noise = copy.deepcopy(rng).standard_normal(posterior.mean.shape, dtype=np.float32)
        latents.append(torch.from_numpy(noise))
        return draw_latent(agent, posterior, rng)

    training.learner.gradient_step = watched_step
    monkeypatch.setattr(Agent, "draw_latent", watched_latent)
    for iteration, row in enumerate(training.run()):
        ours, taken = parameters(training.agent), len(batches)
        assert taken == s.num_train_steps_per_itr == 60
        for observation, action, reward, next_observation, _, context, z_noise, action_noise in batches:
            rows = torch.cat([observation, action, reward, next_observation], dim=-1)
            draws, noises = iter([context, rows]), iter([z_noise, action_noise.flatten(0, 1)])
            pearl.contexts = pearl.replay = [[None]] * s.train_tasks
            monkeypatch.setattr(pearl, "draw", lambda *_, draws=draws: next(draws))
            monkeypatch.setattr(pearl, "noise", lambda *_, noises=noises: next(noises))
            pearl.take_gradient_step()
        for name, theirs in networks_of(pearl).items():  # as far from the start, in the same direction
            for mine, plain, first in zip(ours[name], theirs, start[name], strict=True):
                assert (mine - plain).norm() < 1e-3 * (mine - first).norm(), (iteration, name)

        # The plain robots meet a task at a time: their noise and starts are the engine's, in another order.
        num_walks = -(-s.test_length.steps // load_family("point-robot").horizon)
        runs, order = training.last_test.runs, [(row, k) for row in range(s.test_tasks) for k in range(num_walks)]
        noises = iter([latents[k - num_walks][row][None] for row, k in order])
        starts = iter([runs[row].traces[k][0] for row, k in order])
        monkeypatch.setattr(pearl, "noise", lambda *_, noises=noises: next(noises))

        def reset(starts=starts):
            pearl.robot.position = next(starts).astype(np.float64)
            return pearl.robot.position.copy()

        monkeypatch.setattr(pearl.robot, "reset", reset)
        assert row.meta_test_return == pytest.approx(pearl.meta_test(), rel=1e-4)
        assert not list(noises) and not list(starts)
        batches.clear()
    assert iteration == 1


def test_each_family_has_a_canary():
    """`keep` runs it: the settings resolve, and the family has so many tasks."""
    params = load_params(FOLDER / "params.yaml")
    for name in families():
        agent = encoder_agent(params, CANARY.get(name, OTHERS))
        s = trial_settings(params, environment=name, agent=agent, seed=1, preset="canary")
        load_family(name).tasks(s.train_tasks, s.test_tasks)
