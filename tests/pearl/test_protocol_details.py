"""What the protocol says in half a sentence: whose actions, whose rewards, which context, means over what."""

from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import nn

from oyster.algorithms.pearl import learner
from oyster.algorithms.pearl.agent import Agent, encoder_sizes
from oyster.algorithms.pearl.posterior import MIN_VARIANCE, product_of_gaussians
from oyster.algorithms.pearl.settings import Settings
from oyster.envs import load_family
from oyster.grid import load_params, trial_settings
from oyster.reproduce.keep import FOLDER
from oyster.runtime.errors import TrialFailure
from oyster.trial.training import Training


class Spy(nn.Module):
    """An encoder, different in every weight, that remembers the contexts it was given."""

    def __init__(self, input_size, output_size):
        super().__init__()
        self.layer = nn.Linear(input_size, output_size)
        self.contexts = []

    def forward(self, context):
        self.contexts.append(context.detach().clone())
        return self.layer(context)

    def reset(self, num_tasks=1):
        pass


def make(environment="point-robot", **changes) -> tuple[Training, Spy]:
    resolved = trial_settings(
        load_params(FOLDER / "params.yaml"), environment=environment, agent="mlp", seed=0, preset="canary"
    )
    base = {"use_information_bottleneck": True, "embedding_mini_batch_size": None, "num_train_steps_per_itr": 3}
    s = Settings.model_validate(resolved.model_dump() | base | changes)
    torch.manual_seed(0)
    family = load_family(s.environment)
    dims = family.observation_dim, family.action_dim
    spy = Spy(*encoder_sizes(*dims, s.latent_dim, s.use_information_bottleneck, s.use_next_obs_in_context))
    agent = Agent.from_settings(spy, s, family)
    tasks = family.draw_tasks(s.train_tasks + s.test_tasks)
    return Training(s, agent, family, tasks[: s.train_tasks], tasks[-s.test_tasks :]), spy


class Watched(NamedTuple):
    """One trajectory in every row."""

    z: torch.Tensor  # (row, latent)
    observation: list[np.ndarray]  # by step
    action: list[np.ndarray]


def watch_actors(monkeypatch, agent) -> list[Watched]:
    """Of every trajectory that the agent acts in: z, and what it was shown and did."""
    seen, actor = [], agent.actor

    def watched(z, rng):
        act = actor(z, rng)
        seen.append(Watched(z.clone(), [], []))

        def noted(observation):
            action = act(observation)
            seen[-1].observation.append(observation.copy())
            seen[-1].action.append(action.copy())
            return action

        return noted

    monkeypatch.setattr(agent, "actor", watched)
    return seen


@torch.no_grad()
def off_the_mean(agent, trajectories: Watched) -> np.ndarray:
    """How far the actions lie from the policy's mean, (row, step, action)."""
    observation = torch.from_numpy(np.stack(trajectories.observation, axis=1))
    mean, _ = agent.policy(observation, trajectories.z[:, None].expand(-1, observation.shape[1], -1))
    return np.stack(trajectories.action, axis=1) - torch.tanh(mean).numpy()


def test_the_target_value_network_starts_as_the_value_network():
    agent = make()[0].agent
    for name, value in agent.vf.state_dict().items():
        assert torch.equal(agent.target_vf.state_dict()[name], value)


def test_variances_are_clamped_from_below():
    mean = torch.tensor([[[2.0], [4.0]]], dtype=torch.float64)
    fused_mean, fused_variance = product_of_gaussians(mean, torch.zeros_like(mean))
    assert fused_variance.item() == pytest.approx(MIN_VARIANCE / 2, rel=1e-12) == pytest.approx(5e-8)
    assert fused_mean.item() == pytest.approx(3.0)


# --- acting -----------------------------------------------------------------------------------------------------------


def test_a_meta_test_acts_by_the_policys_mean_and_draws_z_anew(monkeypatch):
    training, _ = make(test_length={"steps": 100}, num_exp_traj_eval=3)
    training.agent.policy.last_fc.bias.data.fill_(0.7)  # where tanh shows; the std, near 1, would show too
    seen = watch_actors(monkeypatch, training.agent)
    training.meta_test()
    assert len(seen) == 5
    for trajectories in seen:
        np.testing.assert_allclose(off_the_mean(training.agent, trajectories), 0.0, atol=1e-5)
    latents = torch.cat([trajectories.z for trajectories in seen])
    assert len(torch.unique(latents, dim=0)) == len(latents)


def test_collection_samples_its_actions(monkeypatch):
    training, _ = make()
    seen = watch_actors(monkeypatch, training.agent)
    training.learner._collect()
    assert seen
    for trajectories in seen:  # the initial policy has a standard deviation near 1
        assert np.abs(off_the_mean(training.agent, trajectories)).mean() > 0.2
        assert np.abs(trajectories.action).max() <= 1


def test_networks_are_in_train_mode_again_after_anything_that_left_them_in_eval_mode():
    training, _ = make()
    training.agent.eval()
    training.learner._collect()
    assert training.agent.training and training.agent.context_encoder.training


# --- contexts ---------------------------------------------------------------------------------------------------------


def test_a_meta_tests_context_holds_the_sparse_reward(monkeypatch):
    training, spy = make("sparse-point-robot", evaluations=1)
    training.test_tasks = np.array([[0.05, 0.0], [1.0, 0.0]])  # the first is felt from the start
    steps, step = [], training.family.step
    monkeypatch.setattr(training.family, "step", lambda rows, action: steps.append(step(rows, action)) or steps[-1])
    test = training.meta_test()
    sparse = np.stack([each.sparse_reward for each in steps], axis=1)
    assert sparse[0].max() > 0.5 and (np.stack([each.reward for each in steps], axis=1) < 0).all()
    np.testing.assert_array_equal(spy.contexts[-1][..., -1], sparse)
    assert [run.returns[-1] for run in test.runs] == pytest.approx(sparse[:, -20:].sum(axis=1), abs=1e-5)


def test_the_recorded_posteriors_are_those_that_z_was_drawn_from(monkeypatch):
    training, _ = make(test_length={"steps": 80}, num_exp_traj_eval=2)
    inferred, infer = [], training.agent.infer
    monkeypatch.setattr(training.agent, "infer", lambda context: inferred.append(infer(context)) or inferred[-1])
    test = training.meta_test()
    assert len(inferred) == 3
    for row, run in enumerate(test.runs):
        for (mean, variance), posterior in zip(run.posteriors[2:], inferred, strict=True):
            np.testing.assert_array_equal(mean, posterior.mean[row])
            np.testing.assert_array_equal(variance, posterior.variance[row])
    assert len({tuple(run.posteriors[-1][0]) for run in test.runs}) == len(test.runs)


@pytest.mark.parametrize("every, inferences", [(1, 5), (2, 2), (5, 1), (6, 0)])
def test_the_posterior_is_inferred_every_so_many_trajectories(every, inferences):
    training, spy = make(num_steps_posterior=100, num_extra_rl_steps_posterior=0, update_post_train=every)
    training.learner._collect()  # five trajectories of 20 steps
    assert len(spy.contexts) == inferences


class Fixed:
    def __init__(self, tasks):
        self.tasks = tasks

    def integers(self, high, size):
        return self.tasks


def watch_gradient_steps(training) -> list[tuple]:
    """Of every gradient step: the batch and the losses."""
    seen, take = [], training.learner.gradient_step

    def watched(batch):
        result = take(batch)
        seen.append((batch, result.losses))
        return result

    training.learner.gradient_step = watched
    return seen


def test_a_gradient_step_takes_all_rewards_from_replay_and_context_from_the_last_collection_only():
    """Every stored transition is marked by its task and by whether it is the last collection's context."""
    training, _ = make()
    training.learner._collect()
    training.learner.iteration, training.learner.rngs["tasks"] = 1, Fixed(np.array([0, 2, 3]))
    training.learner._collect()
    context_reward, dense_reward = 4, -1  # columns, after two of the observation and two of the action
    for task, (episodes, kept) in enumerate(
        zip(training.learner.replay.episodes, training.learner.context.episodes, strict=True)
    ):
        for start, length in episodes:
            rows = training.learner.store.rows[start : start + length]
            rows[:, dense_reward] = task
            rows[:, context_reward] = task + 10 if (start, length) in kept else float("nan")
    tasks = np.array([2, 0, 2, 3])
    assert (training.learner.context.sizes < training.learner.replay.sizes)[tasks].all()
    training.learner.rngs["tasks"] = Fixed(tasks)
    seen = watch_gradient_steps(training)
    training.learner._take_gradient_step()
    ((batch, _),) = seen
    assert batch.context.shape[:2] == (4, training.settings.embedding_batch_size)
    np.testing.assert_array_equal(batch.context[..., -1], np.broadcast_to(tasks[:, None] + 10, batch.context.shape[:2]))
    assert batch.reward.shape == (4, training.settings.batch_size, 1)
    np.testing.assert_array_equal(batch.reward[..., 0], np.broadcast_to(tasks[:, None], batch.reward.shape[:2]))
    assert not torch.equal(batch.context[0], batch.context[2])  # a task drawn twice is two draws


def test_chunks_are_consecutive_parts_of_one_context_each_with_a_fresh_batch(monkeypatch):
    training, spy = make(embedding_batch_size=40, embedding_mini_batch_size=20)
    training.learner._collect()
    seen, drawn, draw = watch_gradient_steps(training), [], training.learner._draw_context
    monkeypatch.setattr(training.learner, "_draw_context", lambda *args: drawn.append(draw(*args)) or drawn[-1])
    spy.contexts.clear()
    training.learner._take_gradient_step()
    assert len(drawn) == 1 and len(seen) == 2
    torch.testing.assert_close(torch.cat(spy.contexts, dim=1), drawn[0], rtol=0, atol=0)
    (one, _), (other, _) = seen
    for field in ("observation", "z_noise", "action_noise"):
        assert not torch.equal(getattr(one, field), getattr(other, field)), field


# --- what an iteration reports ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunk", [None, 20])
def test_reported_losses_are_means_over_the_iterations_gradient_steps(chunk):
    training, _ = make(embedding_batch_size=40, embedding_mini_batch_size=chunk, num_iterations=2)
    seen = watch_gradient_steps(training)
    for row in training.run():
        losses = np.array([[float(loss) for loss in losses] for _, losses in seen])
        reported = (row.qf_loss, row.vf_loss, row.policy_loss, row.kl_divergence)
        np.testing.assert_allclose(reported, losses.mean(axis=0), rtol=1e-6)
        seen.clear()


def test_train_return_is_of_this_iterations_trajectories(monkeypatch):
    training, _ = make(num_iterations=2)
    seen, rollout = [], learner.rollout
    monkeypatch.setattr(learner, "rollout", lambda *args: seen.append(rollout(*args)) or seen[-1])
    rows = training.run()
    next(rows)
    seen.clear()
    row = next(rows)
    assert row.train_return == pytest.approx(np.mean([t.returns(sparse=False) for t in seen]))


def test_weights_that_are_not_finite_are_found_before_the_meta_test():
    training, _ = make()

    def spoil_what_no_loss_has_seen_yet(current):
        if current.learner.steps_taken == current.settings.num_train_steps_per_itr:
            current.agent.target_vf.last_fc.bias.data.fill_(float("nan"))

    with pytest.raises(TrialFailure, match="weights became non-finite by gradient step 3"):
        next(training.run(spoil_what_no_loss_has_seen_yet))
    assert training.last_test is None
