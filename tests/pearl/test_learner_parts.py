"""Parts of the learner that whole trials do not show at once: its looks at the losses, how a start is told, batches."""

from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch

from oyster.algorithms.pearl.learner import Learner, load_sources, make_agent, transition_capacity
from oyster.envs import load_family
from oyster.rl.replay import Positions
from oyster.runtime.errors import TrialFailure
from tests.pearl.test_protocol_details import make as make_training

MLP = Path(__file__).resolve().parents[2] / "encoders" / "mlp.py"


def make(environment: str = "point-robot", **changes) -> Learner:
    return make_training(environment, **changes)[0].learner


def test_losses_that_are_not_finite_are_found_every_fifty_steps():
    learner = make()
    learner._collect()
    learner.loss_sums.fill_(torch.nan)
    learner.steps_taken = 48
    learner._take_gradient_step()  # the 49th
    with pytest.raises(TrialFailure, match="losses became non-finite by gradient step 2"):
        learner._take_gradient_step()
    learner._take_gradient_step()


def test_losses_that_are_not_finite_are_found_at_an_iterations_end():
    learner = make()
    course = learner.train()
    for _ in range(3):
        next(course)
    learner.loss_sums[1] = torch.inf
    with pytest.raises(TrialFailure, match="losses became non-finite by gradient step 3"):
        next(course)


def test_losses_are_summed_in_float64():
    assert make().loss_sums.dtype == torch.float64


def test_a_start_is_told_by_twenty_losses_and_the_dense_rewards_of_twenty_steps():
    learner = make("sparse-point-robot", num_train_steps_per_itr=23, num_iterations=2)
    list(learner.train())
    start = learner.start()
    assert np.shape(start["first_losses"])[0] == 20 and np.isfinite(start["first_losses"]).all()
    assert len(start["first_rewards"]) == len(learner.train_tasks)
    for task, told in enumerate(start["first_rewards"]):
        begin, length = learner.replay.episodes[task][0]
        reached = learner.store.rows[begin + 1 : begin + 1 + min(length, 20), :2].numpy()  # after each step
        assert told == pytest.approx(-np.linalg.norm(reached - learner.train_tasks[task], axis=1).sum(), rel=1e-5)


def test_a_start_without_finite_losses_can_be_written():
    learner = make()
    learner.first_losses = [torch.tensor([1.0, torch.nan, -torch.inf])]
    assert learner.start()["first_losses"] == [[1.0, None, None]]


def test_a_batch_has_a_familys_sizes_and_the_streams_noise():
    learner = make("cheetah-vel", num_initial_steps=200, num_tasks_sample=1, num_steps_posterior=0)
    learner._collect()
    noise = deepcopy(learner.rngs["noise"])
    s, tasks, family = learner.settings, np.array([1, 0, 1]), load_family("cheetah-vel")
    batch = learner._draw_batch(tasks, torch.zeros(3, 4, family.observation_dim + family.action_dim + 1))
    observation = (3, s.batch_size, family.observation_dim)
    action = (3, s.batch_size, family.action_dim)
    assert batch.observation.shape == batch.next_observation.shape == observation
    assert batch.action.shape == batch.action_noise.shape == action
    np.testing.assert_array_equal(batch.z_noise, noise.standard_normal((3, s.latent_dim), dtype=np.float32))
    np.testing.assert_array_equal(batch.action_noise, noise.standard_normal(action, dtype=np.float32))


def test_without_a_context_z_comes_from_the_prior():
    learner = make()
    belief = learner._infer(Positions(2), np.arange(2))
    assert belief.mean.abs().max() == 0 and (belief.variance == 1).all()


def test_the_capacity_is_all_that_can_be_collected():
    changes = {
        "num_tasks_sample": 3,
        "num_steps_prior": 30,
        "num_steps_posterior": 0,
        "num_extra_rl_steps_posterior": 7,
    }
    s = make(**changes, num_initial_steps=45, num_iterations=2, train_tasks=4).settings
    assert transition_capacity(s, 20) == 4 * (45 + 19) + 2 * 3 * ((30 + 19) + (7 + 19))


def test_the_contracts_warnings_come_with_the_agent():
    s = make(encoder_arguments={"nobody_takes": 1}).settings
    agent = make_agent(s, load_family("point-robot"), load_sources(s, {"encoder": MLP}), torch.device("cpu"))
    assert any("nobody_takes" in warning for warning in agent.warnings)
