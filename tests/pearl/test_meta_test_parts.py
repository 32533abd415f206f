"""Parts of the meta-test that whole runs do not show: contexts by setting, rows inferred alone, what is not finite."""

import numpy as np
import pytest
import torch
from torch import nn

from oyster.algorithms.pearl.agent import Agent
from oyster.algorithms.pearl.posterior import Posterior
from oyster.rl.rollout import Trajectories
from oyster.runtime.errors import TrialFailure
from oyster.trial import meta_test as module
from oyster.trial.meta_test import Run, context_features


def trajectories() -> Trajectories:
    rng = np.random.default_rng(0)
    rows, steps = 2, 4
    parts = [rng.normal(size=(rows, steps, *shape)) for shape in ((3,), (2,), (), (), (3,))]
    return Trajectories(*parts, np.zeros((rows, steps), bool), np.array([4, 2]), np.zeros((rows, steps)))


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("next_observation", [False, True])
def test_a_context_has_the_columns_that_the_settings_ask_for(sparse, next_observation):
    seen = trajectories()
    features = context_features(seen, 1, sparse, next_observation)
    reward = (seen.sparse_reward if sparse else seen.reward)[1, :, None]
    parts = [seen.observation[1], seen.action[1], reward, *([seen.next_observation[1]] if next_observation else [])]
    np.testing.assert_array_equal(features, np.concatenate(parts, axis=1)[:2])


class Linear(nn.Linear):
    def reset(self, num_tasks=1):
        pass


@pytest.mark.parametrize("bottleneck", [True, False])
@pytest.mark.parametrize("lengths", [[3, 3], [3, 5, 1]])
@torch.no_grad()
def test_each_row_is_inferred_from_its_own_context(bottleneck, lengths):
    agent = Agent(Linear(4, 4 if bottleneck else 2), 1, 2, 2, 8, bottleneck)
    contexts = [torch.randn(length, 4) for length in lengths]
    found = module._infer(agent, [context.numpy() for context in contexts])
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
    module._record(good, runs, [1])
    module._record(good._replace(variance=None), runs, [1])
    assert [len(run.posteriors) for run in runs] == [0, 2]
    assert runs[1].posteriors[0][1].tolist() == [1, 1, 1] and runs[1].posteriors[1][1] is None
    spoilt = getattr(good, part).clone()
    spoilt[0, 1] = torch.inf
    with pytest.raises(TrialFailure, match="not finite"):
        module._record(good._replace(**{part: spoilt}), runs, [1])
