"""Collection and meta-test as the protocol says, watched through an encoder that keeps what it is given."""

import numpy as np
import pytest
import torch
from torch import nn

from oyster.algorithms.pearl import learner
from oyster.algorithms.pearl.agent import Agent, encoder_sizes
from oyster.algorithms.pearl.gradient_step import GradientStep
from oyster.algorithms.pearl.settings import Settings
from oyster.envs import load_family
from oyster.grid import load_params, trial_settings
from oyster.reproduce.keep import FOLDER
from oyster.runtime.errors import TrialFailure
from oyster.trial.meta_test import meta_test
from oyster.trial.training import Training


class Spy(nn.Module):
    """An encoder that remembers every context, reset and mode."""

    def __init__(self, input_size, output_size, recurrent=False):
        super().__init__()
        self.layer = nn.Linear(input_size, output_size)
        self.IS_RECURRENT = recurrent
        self.contexts, self.events = [], []

    def forward(self, context):
        self.contexts.append(context.detach().clone())
        self.events.append(("infer", len(context), self.training))
        output = self.layer(context)
        return output[:, -1] if self.IS_RECURRENT else output

    def reset(self, num_tasks=1):
        self.events.append(("reset", num_tasks, self.training))


def settings(environment="point-robot", **changes) -> Settings:
    resolved = trial_settings(
        load_params(FOLDER / "params.yaml"), environment=environment, agent="mlp", seed=0, preset="canary"
    )
    base = {"use_information_bottleneck": True, "embedding_mini_batch_size": None, "num_train_steps_per_itr": 3}
    return Settings.model_validate(resolved.model_dump() | base | changes)


def make(s: Settings, recurrent=False) -> tuple[Training, Spy]:
    torch.manual_seed(0)
    family = load_family(s.environment)
    dims = family.observation_dim, family.action_dim
    sizes = encoder_sizes(*dims, s.latent_dim, s.use_information_bottleneck, s.use_next_obs_in_context)
    spy = Spy(*sizes, recurrent=recurrent)
    agent = Agent.from_settings(spy, s, family)
    tasks = family.draw_tasks(s.train_tasks + s.test_tasks)
    return Training(s, agent, family, tasks[: s.train_tasks], tasks[-s.test_tasks :]), spy


# --- meta-test --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("explore", [1, 2, 4])
def test_meta_test_explores_then_infers_from_everything_seen(explore):
    s = settings(test_length={"steps": 100}, num_exp_traj_eval=explore, evaluations=2)  # 5 trajectories of 20 steps
    training, spy = make(s)
    rows = 2 * s.test_tasks
    training.agent.train()
    result = meta_test(training.agent, training.family(rows), training.test_tasks, s, np.random.default_rng(0))
    assert training.agent.training  # as it was before
    inferences = [event for event in spy.events if event[0] == "infer"]
    assert inferences == [("infer", rows, False)] * (5 - explore + 1)  # from trajectory `explore` on
    assert [context.shape[1] for context in spy.contexts] == [20 * k for k in range(explore, 6)]
    for shorter, longer in zip(spy.contexts, spy.contexts[1:], strict=False):
        assert torch.equal(longer[:, : shorter.shape[1]], shorter)  # the whole context, in order
    resets = [event[1] for event in spy.events if event[0] == "reset"]
    assert resets == [rows] * (1 + len(inferences))  # at the prior, and before every inference
    assert [(run.task, run.evaluation) for run in result.runs] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    for run in result.runs:
        assert len(run.returns) == 5 and len(run.posteriors) == 6
        for mean, variance in run.posteriors[:explore]:
            assert (mean == 0).all() and (variance == 1).all()
        assert (run.posteriors[explore][1] != 1).all()
        # Positions and rewards of the context are those of this run's own trajectories.
    context = spy.contexts[-1].numpy()
    for row, run in enumerate(result.runs):
        np.testing.assert_allclose(context[row, :, 4].reshape(5, 20).sum(1), run.returns, rtol=1e-4)
        np.testing.assert_array_equal(context[row, :, :2].reshape(5, 20, 2), np.stack(run.traces)[:, :-1])


def test_meta_test_return_is_the_last_trajectory_over_evaluations_then_tasks():
    s = settings(evaluations=2)
    training, _ = make(s)
    result = meta_test(training.agent, training.family(4), training.test_tasks, s, np.random.default_rng(0))
    last = [[run.returns[-1] for run in result.runs if run.task == task] for task in (0, 1)]
    assert result.task_returns() == pytest.approx([np.mean(values) for values in last])
    assert result.meta_test_return() == pytest.approx(np.mean([np.mean(values) for values in last]))
    assert result.trajectory_returns()[-1] == pytest.approx(result.meta_test_return())


def test_meta_test_is_deterministic_given_its_generator():
    training, _ = make(settings())
    results = [
        meta_test(
            training.agent, training.family(4), training.test_tasks, training.settings, np.random.default_rng(seed)
        )
        for seed in (1, 1, 2)
    ]
    assert results[0].meta_test_return() == results[1].meta_test_return() != results[2].meta_test_return()


# --- collection -------------------------------------------------------------------------------------------------------


def test_collection_phases(monkeypatch):
    """Initial collection for every task, then prior, posterior and extra phases; z drawn anew for every trajectory."""
    s = settings(num_initial_steps=40, num_steps_prior=40, num_steps_posterior=60, num_extra_rl_steps_posterior=40)
    training, spy = make(s)
    latents, draw = [], training.agent.draw_latent
    monkeypatch.setattr(training.agent, "draw_latent", lambda *args: latents.append(draw(*args)) or latents[-1])
    training.learner._collect()
    assert [len(z) for z in latents] == [4, 4, *[3] * (2 + 3 + 2)]
    assert len({tuple(z.flatten().tolist()) for z in latents}) == len(latents)
    every = [name for name, *_ in spy.events]
    # a reset at each phase's prior; in a posterior phase an inference (with a reset) after every trajectory
    assert every == ["reset", "reset"] + ["reset"] + ["reset", "infer"] * 3 + ["reset"] + ["reset", "infer"] * 2
    assert all(training_mode for *_, training_mode in spy.events)
    assert {tuple(context.shape[:2]) for context in spy.contexts} == {(3, s.embedding_batch_size)}
    collected = 4 * 40 + 3 * (40 + 60 + 40)
    assert training.learner.environment_steps == collected == training.learner.replay.sizes.sum()
    assert (
        training.learner.context.sizes.max() == 100
    )  # prior and posterior phases; the extra phase is not kept as context


def test_a_task_drawn_twice_is_two_collections_and_the_second_stays():
    s = settings(num_tasks_sample=3)
    training, _ = make(s)
    training.learner._collect()
    before = training.learner.context.episodes[1]
    training.learner.rngs["tasks"] = Fixed(np.array([2, 0, 2]))
    training.learner.iteration = 1
    size = training.learner.store.size
    training.learner._collect()
    assert training.learner.context.episodes[1] == before  # not drawn: kept
    # Rows of one rollout are stored in order: of the two rows of task 2, the later one is in its context.
    starts = sorted(start for start, _ in training.learner.replay.episodes[2] if start >= size)
    prior_trajectories = s.num_steps_prior // load_family(s.environment).horizon
    assert [start for start, _ in training.learner.context.episodes[2]] == starts[1 : 2 * prior_trajectories : 2]


class Fixed:
    def __init__(self, tasks):
        self.tasks = tasks

    def integers(self, high, size):
        return self.tasks


def test_recurrent_context_is_ordered_and_capped():
    s = settings("sparse-point-robot", embedding_batch_size=500, max_recurrent_context=50, evaluations=1)
    training, spy = make(s, recurrent=True)
    next(training.run())
    train_lengths = {c.shape[1] for c, e in zip(spy.contexts, _inferences(spy), strict=True) if e[2]}
    assert train_lengths == {50}
    tested = [c.shape[1] for c, e in zip(spy.contexts, _inferences(spy), strict=True) if not e[2]]
    assert tested == [20 * k for k in range(5, 11)]  # the meta-test feeds all that was explored
    for context, event in zip(spy.contexts, _inferences(spy), strict=True):
        if event[2]:
            starts = context[:, ::20, :2]
            assert (starts == 0).all()  # whole episodes of 20 steps, each from the origin


def _inferences(spy):
    return [event for event in spy.events if event[0] == "infer"]


def test_a_smaller_mini_batch_is_a_step_a_chunk():
    s = settings(embedding_batch_size=40, embedding_mini_batch_size=16)
    training, spy = make(s)
    training.learner._collect()
    spy.contexts.clear()
    spy.events.clear()
    training.learner._take_gradient_step()
    assert [context.shape[1] for context in spy.contexts] == [16, 16]
    assert training.learner.gradient_steps == 2 and training.learner.steps_taken == 1
    assert [name for name, *_ in spy.events] == ["reset", "infer", "infer"]  # one context: hidden state is carried, cut


def test_hidden_state_is_detached_between_chunks():
    training, spy = make(settings())
    spy.hidden = (torch.ones(2, requires_grad=True) * 2, torch.ones(2, requires_grad=True) * 3, None)
    training.learner._collect()
    training.learner._take_gradient_step()
    assert [part is not None and part.requires_grad for part in spy.hidden] == [False, False, False]


def test_next_observations_in_context():
    training, spy = make(settings(use_next_obs_in_context=True))
    next(training.run())
    context = spy.contexts[-1]
    assert context.shape[-1] == 2 + 2 + 1 + 2
    np.testing.assert_allclose(context[..., :2] + 0.1 * context[..., 2:4].clamp(-1, 1), context[..., 5:], atol=1e-6)


def test_the_encoder_learns_through_the_critics_and_the_kl_only():
    s = settings()
    training, _ = make(s)
    training.learner._collect()
    tasks = np.array([0, 1])
    batch = training.learner._draw_batch(tasks, training.learner._draw_context(training.learner.context, tasks, 10))
    before = {name: value.clone() for name, value in training.agent.state_dict().items()}
    step = GradientStep(
        training.agent, learning_rate=1e-2, discount=0.0, reward_scale=1.0, kl_lambda=0.0, soft_target_tau=0.0
    )
    for qf in (training.agent.qf1, training.agent.qf2):  # critics that do not look at z: nothing is left to learn from
        with torch.no_grad():
            qf.fc0.weight[:, -s.latent_dim :] = 0
    step(batch)
    after = training.agent.state_dict()
    for name in before:
        if name.startswith("context_encoder") or name.startswith("target_vf"):
            assert torch.equal(before[name], after[name]), name
        if name.startswith(("policy", "vf")):
            assert not torch.equal(before[name], after[name]), name


def test_failures_carry_their_iteration():
    training, spy = make(settings(num_iterations=3))
    rows = []
    with pytest.raises(TrialFailure, match=r"posterior is not finite|non-finite") as caught:
        for row in training.run():
            rows.append(row)
            if row.iteration == 0:
                with torch.no_grad():
                    spy.layer.weight.fill_(float("nan"))
    assert len(rows) == 1 and caught.value.iteration == 1


def test_non_finite_losses_are_found_without_looking_at_every_step(monkeypatch):
    training, _ = make(settings(num_train_steps_per_itr=200))
    monkeypatch.setattr(learner, "FINITE_CHECK_EVERY", 10)
    taken = 0

    def poison(current):
        nonlocal taken
        taken += 1
        if taken == 17:
            with torch.no_grad():
                current.agent.vf.last_fc.bias.fill_(float("inf"))

    with pytest.raises(TrialFailure, match="losses became non-finite by gradient step 20"):
        list(training.run(poison))


def test_cumulative_steps_in_progress():
    training, _ = make(settings(num_iterations=2))
    rows = list(training.run())
    s = training.settings
    an_iteration = s.num_tasks_sample * (s.num_steps_prior + s.num_extra_rl_steps_posterior)
    assert [row.environment_steps for row in rows] == [4 * 100 + an_iteration, 4 * 100 + 2 * an_iteration]
    assert [row.gradient_steps for row in rows] == [3, 6]
