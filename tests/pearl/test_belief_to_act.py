"""An encoder's optional `belief_to_act`: what draws z where the agent acts, and nowhere else."""

import numpy as np
import pytest
import torch
from torch import nn

from oyster.algorithms.pearl.agent import Agent
from oyster.algorithms.pearl.gradient_step import GradientStep
from oyster.algorithms.pearl.settings import ENCODERS
from oyster.check.encoder import check_encoder
from oyster.grid import encoder_agent, load_params, trial_settings
from oyster.reproduce.keep import canary_encoders
from oyster.runtime.errors import TrialFailure
from tests.pearl.test_protocol_details import make

LENGTH_OF_TRAJECTORY = 20  # point-robot's


class Tells(nn.Module):
    """Its posterior's mean is 7; to act, the mean is the number of transitions that it was given."""

    def __init__(self, output_size):
        super().__init__()
        self.latent = output_size // 2
        self.bias = nn.Parameter(torch.zeros(1))
        self.asked = []

    def _gaussian(self, context, mean):
        mean = torch.full((len(context), self.latent), float(mean)) + self.bias
        return torch.cat([mean, torch.full_like(mean, -20.0)], dim=-1)

    def forward(self, context):
        return self._gaussian(context, 7)

    def belief_to_act(self, context):
        self.asked.append(tuple(context.shape))
        return self._gaussian(context, context.shape[1])

    def reset(self, num_tasks=1):
        pass


def with_tells(**changes):
    training, _ = make(**changes)
    agent = training.agent
    agent.context_encoder = Tells(2 * agent.latent_dim)
    training.learner.gradient_step = GradientStep.from_settings(agent, training.settings)
    return training, agent.context_encoder


def means_of_z(monkeypatch, agent) -> list[float]:
    drawn, actor = [], agent.actor
    monkeypatch.setattr(agent, "actor", lambda z, rng: drawn.append(round(float(z.mean()), 1)) or actor(z, rng))
    return drawn


def test_a_meta_test_acts_on_it_before_anything_was_seen_and_after(monkeypatch):
    training, encoder = with_tells(test_length={"trajectories": 4}, num_exp_traj_eval=2)
    drawn = means_of_z(monkeypatch, training.agent)
    result = training.meta_test()
    seen = [0, 0, 2 * LENGTH_OF_TRAJECTORY, 3 * LENGTH_OF_TRAJECTORY]
    assert drawn == pytest.approx(seen, abs=0.1)
    recorded = [float(mean.mean()) for mean, _ in result.runs[0].posteriors]
    assert recorded == pytest.approx([*seen, 4 * LENGTH_OF_TRAJECTORY], abs=0.1)
    assert encoder.asked[0] == (len(result.runs), 0, training.agent.input_size)


def test_collection_acts_on_it_and_asks_anew_before_every_trajectory(monkeypatch):
    training, encoder = with_tells(
        num_initial_steps=LENGTH_OF_TRAJECTORY, num_steps_prior=2 * LENGTH_OF_TRAJECTORY,
        num_steps_posterior=2 * LENGTH_OF_TRAJECTORY, num_extra_rl_steps_posterior=0,
    )  # fmt: skip
    drawn = means_of_z(monkeypatch, training.agent)
    training.learner._collect()
    context = training.learner.context_length
    assert drawn == pytest.approx([0, 0, 0, 0, context], abs=0.1)  # initial, two of the prior, two of the posterior
    assert sum(shape[1] == 0 for shape in encoder.asked) >= 4


def test_learning_never_asks_it():
    training, encoder = with_tells()
    training.learner._collect()
    encoder.asked.clear()
    training.learner._take_gradient_step()
    assert encoder.asked == []
    assert float(encoder.bias.detach()) != 0.0  # forward was learned from


def test_without_it_the_prior_and_the_posterior_are_acted_on():
    agent = make()[0].agent
    assert agent.belief_to_act is None
    before = agent.prior(3)
    assert not before.mean.any() and (before.variance == 1).all()


def test_one_gaussian_per_task_even_of_no_transitions():
    class Nothing(Tells):
        def belief_to_act(self, context):
            return torch.zeros(len(context), context.shape[1], 2 * self.latent)

    agent = Agent(Nothing(4), 3, 2, 2, 8)
    with pytest.raises(TrialFailure, match="expected one Gaussian"):
        agent.prior(3)


CASES = {
    "return input.new_zeros(len(input), self.output_size)": "pass",
    "return self(input)": "fail",  # of no transitions there is no Gaussian
    "return input.new_full((len(input), self.output_size), float('nan'))": "fail",
    "return torch.from_numpy(np.random.rand(len(input), self.output_size)).float()": "fail",
    "return torch.rand(len(input), self.output_size)": "pass",  # drawn from Torch's generator, which a trial seeds
}


@pytest.mark.parametrize(("body", "verdict"), CASES.items())
def test_check_asks_it_too(tmp_path, body, verdict):
    text = (
        (ENCODERS / "mlp.py")
        .read_text()
        .replace("import torch.nn.functional", "import numpy as np\nimport torch\nimport torch.nn.functional")
    )
    file = tmp_path / "acts.py"
    file.write_text(
        text.replace("    def reset(", f"    def belief_to_act(self, input):\n        {body}\n\n    def reset(")
    )
    np.random.seed(0)
    params = load_params(ENCODERS.parent / "params.yaml")
    found = check_encoder(file, params, environment="point-robot", preset="demo", num_steps=10, timing=False)
    assert {finding.check: finding.verdict for finding in found}["belief to act"] == verdict


def test_check_sees_one_task_move_anothers_belief(tmp_path):
    body = "return input.new_zeros(len(input), self.output_size) + (input.sum() if input.shape[1] else 0)"
    file = tmp_path / "acts.py"
    text = (ENCODERS / "mlp.py").read_text()
    file.write_text(
        text.replace("    def reset(", f"    def belief_to_act(self, input):\n        {body}\n\n    def reset(")
    )
    params = load_params(ENCODERS.parent / "params.yaml")
    found = check_encoder(file, params, environment="point-robot", preset="demo", num_steps=10, timing=False)
    (finding,) = (finding for finding in found if finding.check == "tasks kept apart")
    assert finding.verdict == "fail" and "belief_to_act" in finding.seen


@pytest.mark.parametrize(
    ("encoder", "expected"), [("reward_pooling", ["attention", "reward_pooling"]), ("mlp", ["attention"])]
)
def test_the_canary_covers_results_of_such_an_encoder_by_a_trial_with_it(encoder, expected):
    params = load_params(ENCODERS.parent / "params.yaml")
    agent = encoder_agent(params, encoder)
    settings = trial_settings(params, environment="point-robot", agent=agent, seed=1, preset="demo")
    assert canary_encoders(settings) == expected
