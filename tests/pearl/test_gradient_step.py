"""The gradient step's precision stops at the encoder, which a trial tests and no author wrote for bfloat16."""

import pytest
import torch

from oyster.algorithms.pearl import gradient_step as module
from oyster.algorithms.pearl.agent import Agent
from oyster.algorithms.pearl.encoder_file import load_encoder_class
from oyster.algorithms.pearl.gradient_step import Batch, GradientStep
from oyster.algorithms.pearl.settings import find_encoder_file
from oyster.grid import load_params, trial_settings
from oyster.reproduce.keep import FOLDER

TASKS, TRANSITIONS, OBSERVATION, ACTION, LATENT = 4, 16, 2, 2, 5


def recurrent_agent() -> Agent:
    torch.manual_seed(0)
    encoder_class = load_encoder_class(find_encoder_file("recurrent"))
    encoder = encoder_class(hidden_sizes=[32], input_size=OBSERVATION + ACTION + 1, output_size=2 * LATENT)
    return Agent(encoder, OBSERVATION, ACTION, LATENT, net_size=32)


def batch() -> Batch:
    torch.manual_seed(1)
    shapes = [(TASKS, TRANSITIONS, width) for width in (OBSERVATION, ACTION, 1, OBSERVATION)]
    observation, action, reward, next_observation = (torch.randn(shape) for shape in shapes)
    context = torch.randn(TASKS, 10, OBSERVATION + ACTION + 1)
    z_noise, action_noise = torch.randn(TASKS, LATENT), torch.randn(TASKS, TRANSITIONS, ACTION)
    terminal = torch.zeros(TASKS, TRANSITIONS, 1)
    return Batch(observation, action, reward, next_observation, terminal, context, z_noise, action_noise)


def step(agent: Agent, precision: str) -> GradientStep:
    return GradientStep(
        agent,
        learning_rate=3e-4,
        discount=0.99,
        reward_scale=5.0,
        kl_lambda=0.1,
        soft_target_tau=0.005,
        precision=precision,
    )


def test_the_encoder_is_in_float32_whatever_the_precision():
    exact, rounded = (step(recurrent_agent(), precision)(batch()) for precision in ("float32", "bfloat16"))
    assert torch.equal(exact.posterior.mean, rounded.posterior.mean)
    assert torch.equal(exact.posterior.variance, rounded.posterior.variance)
    assert exact.losses.qf_loss != rounded.losses.qf_loss  # and the critics are not


def test_a_saturated_lstm_still_learns():
    agent = recurrent_agent()
    lstm = agent.context_encoder.lstm
    with torch.no_grad():
        lstm.bias_ih_l0.fill_(8.0)  # in bfloat16 sigmoid(8) and tanh(8) are 1, and their derivatives 0
    before = {name: parameter.clone() for name, parameter in lstm.named_parameters()}
    step(agent, "bfloat16")(batch())
    for name, parameter in lstm.named_parameters():
        assert not torch.equal(parameter, before[name]), name


def test_a_step_from_settings_has_each_of_them():
    settings = trial_settings(
        load_params(FOLDER / "params.yaml"), environment="point-robot", agent="mlp", seed=0, preset="canary"
    )
    names = ("discount", "reward_scale", "kl_lambda", "soft_target_tau")
    changes = {name: 0.1 + 0.1 * k for k, name in enumerate(names)} | {"learning_rate": 0.007, "precision": "bfloat16"}
    made = GradientStep.from_settings(recurrent_agent(), settings.model_copy(update=changes))
    assert {name: getattr(made, name) for name in names} == {name: changes[name] for name in names}
    assert made.bfloat16
    assert {adam.learning_rate for adam in made.optimizers().values()} == {0.007}


def test_the_optimisers_serve_every_network_but_the_target():
    agent = recurrent_agent()
    made = step(agent, "float32").optimizers()
    assert list(made) == ["critic", "actor"]
    served = {name: {id(p) for p in adam.parameters} for name, adam in made.items()}
    networks = {"critic": (agent.qf1, agent.qf2, agent.context_encoder), "actor": (agent.vf, agent.policy)}
    for name, owners in networks.items():
        assert served[name] == {id(p) for owner in owners for p in owner.parameters()}


def test_an_encoder_may_have_parameters_that_it_does_not_use():
    agent = recurrent_agent()
    agent.context_encoder.unused = torch.nn.Parameter(torch.ones(3))
    agent.context_encoder.fixed = torch.nn.Parameter(torch.ones(3), requires_grad=False)
    made = step(agent, "float32")
    made(batch())
    assert agent.context_encoder.unused.tolist() == agent.context_encoder.fixed.tolist() == [1, 1, 1]


def test_a_step_leaves_no_gradients_and_no_graph():
    agent = recurrent_agent()
    result = step(agent, "float32")(batch())
    assert all(parameter.grad is None for parameter in agent.parameters())
    assert not any(part.requires_grad for part in (*result.losses, *result.posterior, result.z))


@pytest.mark.parametrize("precision, dtype", [("float32", None), ("bfloat16", torch.bfloat16)])
def test_only_the_critics_that_the_actor_learns_from_are_frozen(precision, dtype, monkeypatch):
    """Their weight gradients would be computed and thrown away."""
    agent, calls, fused_mlp = recurrent_agent(), [], module.fused_mlp
    names = {id(network): name for name, network in agent.named_children()}

    def watched(network, *inputs, frozen=False, dtype=None):
        calls.append((names[id(network)], frozen, dtype))
        return fused_mlp(network, *inputs, frozen=frozen, dtype=dtype)

    monkeypatch.setattr(module, "fused_mlp", watched)
    step(agent, precision)(batch())
    order = [("qf1", False), ("qf2", False), ("target_vf", False), ("policy", False)]
    assert calls == [(*call, dtype) for call in [*order, ("qf1", True), ("qf2", True), ("vf", False)]]


def test_the_target_follows_the_value_function_and_terminal_states_have_no_future():
    agent, given = recurrent_agent(), batch()
    before = [parameter.clone() for parameter in agent.target_vf.parameters()]
    step(agent, "float32")(given)
    for old, new, fast in zip(before, agent.target_vf.parameters(), agent.vf.parameters(), strict=True):
        torch.testing.assert_close(new, old + 0.005 * (fast - old))
    ended = given._replace(terminal=torch.ones_like(given.terminal))
    losses = [
        step(recurrent_agent(), "float32")(data).losses.qf_loss
        for data in (ended, ended._replace(next_observation=ended.next_observation + 5), given)
    ]
    assert losses[0] == losses[1] != losses[2]
