"""Parts of the meta-test that whole runs do not show: contexts by setting, rows inferred alone, what is not finite."""

import numpy as np
import pytest
import torch
from torch import nn

from oyster.algorithms.algorithm import Transition
from oyster.algorithms.pearl.adapter import infer
from oyster.algorithms.pearl.agent import Agent
from oyster.algorithms.pearl.posterior import Posterior
from oyster.runtime.errors import TrialFailure
from oyster.trial import meta_test as module
from oyster.trial.meta_test import Run


class Linear(nn.Linear):
    def reset(self, num_tasks=1):
        pass


@pytest.mark.parametrize("next_observation", [False, True])
def test_a_context_has_the_columns_that_the_settings_ask_for_and_the_steps_that_count(next_observation):
    rng = np.random.default_rng(0)
    agent = Agent(Linear(4, 4), 3, 2, 2, 8, next_obs_in_context=next_observation)
    adapter = agent.adapter(2, rng)
    adapter.belief()
    adapter.begin()
    steps, lengths = [], (4, 2)
    for t in range(4):
        parts = [rng.normal(size=(2, *shape)).astype(np.float32) for shape in ((3,), (2,), (), (3,))]
        steps.append(Transition(*parts, np.zeros(2, bool), np.zeros(2, bool)))
        adapter.observe(steps[-1], active=np.array([t < length for length in lengths]))
    adapter._keep_trajectory()
    for row, length in enumerate(lengths):
        columns = ("observation", "action", "reward", *(["next_observation"] if next_observation else []))
        expected = [np.hstack([getattr(step, name)[row] for name in columns]) for step in steps[:length]]
        np.testing.assert_array_equal(np.concatenate(adapter.context[row]), expected)


def test_while_it_explores_the_prior_is_drawn_again(monkeypatch):
    agent = Agent(Linear(4, 4), 1, 2, 2, 8)
    agent.exploration_trajectories = 3
    monkeypatch.setattr(agent, "prior_again", lambda posterior: posterior._replace(mean=posterior.mean + 1))
    adapter = agent.adapter(2, np.random.default_rng(0))
    for number in range(3):
        assert adapter.belief().mean.tolist() == [[number, number]] * 2
        adapter.begin()


@pytest.mark.parametrize("bottleneck", [True, False])
@pytest.mark.parametrize("lengths", [[3, 3], [3, 5, 1]])
@torch.no_grad()
def test_each_row_is_inferred_from_its_own_context(bottleneck, lengths):
    agent = Agent(Linear(4, 4 if bottleneck else 2), 1, 2, 2, 8, bottleneck)
    contexts = [torch.randn(length, 4) for length in lengths]
    found = infer(agent, [context.numpy() for context in contexts])
    for row, context in enumerate(contexts):
        alone = agent.infer(context[None])
        torch.testing.assert_close(found.mean[row], alone.mean[0])
        if bottleneck:
            torch.testing.assert_close(found.variance[row], alone.variance[0])
    assert (found.variance is None) is not bottleneck and len(found.mean) == len(lengths)


@pytest.mark.parametrize("part", ["mean", "variance"])
def test_a_posterior_that_is_not_finite_is_the_encoders_failure(part):
    """That after the last trajectory, too, from which no z is drawn."""
    runs = [Run(0, 0, [], [], []), Run(1, 0, [], [], [])]
    good = Posterior(torch.zeros(2, 3), torch.ones(2, 3))
    module._note(good, runs, [1])
    module._note(good._replace(variance=None), runs, [1])
    assert [len(run.posteriors) for run in runs] == [0, 2]
    assert runs[1].posteriors[0][1].tolist() == [1, 1, 1] and runs[1].posteriors[1][1] is None
    spoilt = getattr(good, part).clone()
    spoilt[0, 1] = torch.inf
    with pytest.raises(TrialFailure, match="not finite"):
        module._note(good._replace(**{part: spoilt}), runs, [1])
