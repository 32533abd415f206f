"""The gradient step's precision stops at the encoder, which a trial tests and no author wrote for bfloat16."""

import torch

from oyster.encoder_file import find_encoder_file, load_encoder_class
from oyster.pearl.agent import Agent
from oyster.pearl.gradient_step import Batch, GradientStep

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
