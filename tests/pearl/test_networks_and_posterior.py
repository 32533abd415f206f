"""Distributions against torch.distributions and closed forms; initialisation as the reference's; fused as plain."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.distributions import Normal, TanhTransform, TransformedDistribution, kl_divergence

from oyster.algorithms.pearl.posterior import Posterior, infer_posterior, prior, product_of_gaussians
from oyster.rl import fused_mlp as fused_module
from oyster.rl.fused_mlp import FrozenMlp, fused_mlp, linear
from oyster.rl.networks import Mlp, TanhGaussianPolicy, squashed_sample
from oyster.runtime.errors import MachineError, TrialFailure


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 20))
def test_product_of_gaussians(seed, n):
    rng = torch.Generator().manual_seed(seed)
    mean = torch.randn(3, n, 4, generator=rng, dtype=torch.float64)
    variance = torch.rand(3, n, 4, generator=rng, dtype=torch.float64) + 0.01
    fused_mean, fused_variance = product_of_gaussians(mean, variance)
    torch.testing.assert_close(1 / fused_variance, (1 / variance).sum(1))  # precisions add
    torch.testing.assert_close(fused_mean / fused_variance, (mean / variance).sum(1))
    order = torch.randperm(n, generator=rng)
    for one, other in zip(
        product_of_gaussians(mean[:, order], variance[:, order]), (fused_mean, fused_variance), strict=True
    ):
        torch.testing.assert_close(one, other)
    assert (fused_variance <= variance.min(dim=1).values + 1e-12).all()


def test_a_single_gaussian_is_itself_and_variances_are_clamped():
    mean, variance = torch.randn(2, 1, 3), torch.rand(2, 1, 3) + 0.1
    fused = product_of_gaussians(mean, variance)
    torch.testing.assert_close(fused[0], mean[:, 0])
    torch.testing.assert_close(fused[1], variance[:, 0])
    tiny = product_of_gaussians(mean, torch.zeros_like(variance))[1]
    torch.testing.assert_close(tiny, torch.full_like(tiny, 1e-7), rtol=1e-5, atol=0.0)


def test_kl_and_sample():
    mean, variance = torch.randn(4, 5, dtype=torch.float64), torch.rand(4, 5, dtype=torch.float64) + 0.1
    posterior = Posterior(mean, variance)
    expected = kl_divergence(Normal(mean, variance.sqrt()), Normal(torch.zeros_like(mean), torch.ones_like(mean))).sum()
    torch.testing.assert_close(posterior.kl_to_prior(), expected)
    noise = torch.randn(4, 5, dtype=torch.float64)
    torch.testing.assert_close(posterior.sample(noise), mean + variance.sqrt() * noise)
    assert prior(3, 2, torch.device("cpu")).kl_to_prior() == 0


def test_without_bottleneck_z_is_the_mean_and_starts_at_zero():
    encoder = nn.Linear(4, 2)
    context = torch.randn(3, 6, 4)
    posterior = infer_posterior(encoder, context, 2, information_bottleneck=False)
    torch.testing.assert_close(posterior.sample(torch.randn(3, 2)), encoder(context).mean(1))
    assert prior(3, 2, torch.device("cpu"), information_bottleneck=False).sample(torch.randn(3, 2)).abs().max() == 0


class Returns(nn.Module):
    def __init__(self, output):
        super().__init__()
        self.output = output

    def forward(self, context):
        if isinstance(self.output, Exception):
            raise self.output
        return self.output


def test_the_prior_has_a_row_a_task_on_its_device():
    for device in ("cpu", "meta"):
        mean, variance = prior(3, 2, torch.device(device))
        assert mean.shape == variance.shape == (3, 2) and {mean.device.type, variance.device.type} == {device}
    assert prior(3, 2, torch.device("cpu"), information_bottleneck=False).variance is None


def test_the_first_half_of_an_output_is_the_mean_and_the_second_the_variance_before_softplus():
    torch.manual_seed(0)
    output = torch.randn(2, 8, 4)
    posterior = infer_posterior(Returns(output), torch.randn(2, 8, 3), 2)
    variance = torch.log1p(output[..., 2:].exp())
    torch.testing.assert_close(posterior.variance, 1 / (1 / variance).sum(1))
    torch.testing.assert_close(posterior.mean, (output[..., :2] / variance).sum(1) * posterior.variance)
    doubled = infer_posterior(Returns(output.double()), torch.randn(2, 8, 3), 2)
    assert doubled.mean.dtype == torch.float32  # the context's, whatever the encoder computes in


@pytest.mark.parametrize("shape", [(4,), (1, 4), (1, 1, 4)])
def test_of_one_transition_of_one_task_the_output_may_be_flat(shape):
    assert infer_posterior(Returns(torch.randn(shape)), torch.randn(1, 1, 3), 2).mean.shape == (1, 2)


@pytest.mark.parametrize("shape", [(2, 8, 4), (16, 4), (2, 4), (2, 1, 4)])
def test_outputs_that_view_as_gaussians_are_taken(shape):
    assert infer_posterior(Returns(torch.randn(shape)), torch.randn(2, 8, 3), 2).mean.shape == (2, 2)


@pytest.mark.parametrize("shape", [(2, 8, 5), (8, 4), (4,), (2, 3, 4), (1, 8, 4), (), (2, 4, 8), (8,), (17, 4), (3, 4)])
def test_wrong_shapes_are_the_encoders_failure(shape):
    with pytest.raises(TrialFailure, match="returned shape"):
        infer_posterior(Returns(torch.randn(shape)), torch.randn(2, 8, 3), 2)


def test_what_an_encoder_raises_is_its_failure_but_not_running_out_of_memory():
    with pytest.raises(TrialFailure, match=r"ValueError: bad luck \(test_networks_and_posterior.py, line \d+\)"):
        infer_posterior(Returns(ValueError("bad luck")), torch.randn(2, 8, 3), 2)
    with pytest.raises(TrialFailure, match="returned a NoneType"):
        infer_posterior(Returns(None), torch.randn(2, 8, 3), 2)
    for error in (MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried …")):
        with pytest.raises(MachineError):
            infer_posterior(Returns(error), torch.randn(2, 8, 3), 2)


def test_squashed_log_probability():
    mean, log_std, noise = (torch.randn(50, 3, dtype=torch.float64) for _ in range(3))
    action, log_prob = squashed_sample(mean, log_std, noise)
    squashed = TransformedDistribution(Normal(mean, log_std.exp()), [TanhTransform(cache_size=1)])
    pre_tanh = mean + log_std.exp() * noise
    inside = action.abs().max(dim=1).values < 0.99  # the 1e-6 in the logarithm matters at the border only
    expected = squashed.log_prob(torch.tanh(pre_tanh)).sum(1, keepdim=True)
    torch.testing.assert_close(log_prob[inside], expected[inside], rtol=1e-3, atol=1e-3)
    by_hand = Normal(mean, log_std.exp()).log_prob(pre_tanh) - torch.log(1 - action**2 + 1e-6)
    torch.testing.assert_close(log_prob, by_hand.sum(1, keepdim=True))


def test_policy_clamps_its_log_std():
    policy = TanhGaussianPolicy(4, [8] * 3, 2)
    for bias, expected in ((100.0, 2.0), (-100.0, -20.0)):
        nn.init.constant_(policy.last_fc_log_std.bias, bias)
        assert (policy(torch.randn(5, 4))[1] == expected).all()


@pytest.mark.parametrize(
    "network, heads, init_w", [(Mlp(7, [64] * 3, 1), 1, 3e-3), (TanhGaussianPolicy(7, [64] * 3, 2), 2, 1e-3)]
)
def test_initialisation_is_the_references(network, heads, init_w):
    hidden = [network.fc0, network.fc1, network.fc2]
    for layer in hidden:
        bound = 1 / math.sqrt(64)  # of out_features, also for the first layer
        assert layer.weight.abs().max() <= bound and layer.weight.abs().max() > 0.95 * bound
        assert (layer.bias == 0.1).all()
    for layer in [network.last_fc, getattr(network, "last_fc_log_std", None)][:heads]:
        assert 0.5 * init_w < layer.weight.abs().max() <= init_w
        assert 0 < layer.bias.abs().max() <= init_w


@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize("kind", ["critic", "policy"])
@pytest.mark.parametrize("frozen", [False, True])
def test_fused_mlp_is_the_plain_one(dtype, tolerance, kind, frozen):
    torch.manual_seed(0)
    network = (Mlp(9, [40] * 3, 1) if kind == "critic" else TanhGaussianPolicy(9, [40] * 3, 3)).to(dtype)
    for parameter in network.parameters():
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    results = []
    for plain in (True, False):
        a, b = (
            torch.randn(70, 5, dtype=dtype, generator=torch.Generator().manual_seed(1)),
            torch.ones(70, 4, dtype=dtype),
        )
        a.requires_grad_()
        b.requires_grad_()
        if plain:
            output = torch.cat(network(a, b), -1) if kind == "policy" else network(a, b)
        else:
            output = fused_mlp(network, a, b, frozen=frozen)
        wanted = [a, b, *([] if frozen else network.parameters())]
        results.append((output, *torch.autograd.grad((output**2).sum(), wanted)))
        if frozen and not plain:
            assert all(parameter.grad is None for parameter in network.parameters())
    for ours, theirs in zip(*results, strict=True):
        assert (ours - theirs).abs().max() <= tolerance * theirs.abs().max()


def test_bfloat16_is_near_and_keeps_float32_outside():
    torch.manual_seed(0)
    network, x = Mlp(9, [64] * 3, 1), torch.randn(200, 9)
    exact, rounded = network(x), fused_mlp(network, x, dtype=torch.bfloat16)
    assert rounded.dtype == torch.float32
    assert 0 < (exact - rounded).abs().max() < 0.02 * exact.abs().max()
    for gradient, parameter in zip(
        torch.autograd.grad(rounded.sum(), network.parameters()), network.parameters(), strict=True
    ):
        assert gradient.dtype == torch.float32 and gradient.shape == parameter.shape


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_linear_without_onednn_is_the_same(dtype, monkeypatch):
    x, weight, bias = torch.randn(20, 6), torch.randn(4, 6), torch.randn(4)
    with_it = linear(x.to(dtype), weight.to(dtype), bias.to(dtype), relu=True)
    monkeypatch.setattr(fused_module, "_ONEDNN_DTYPES", set())
    without = linear(x.to(dtype), weight.to(dtype), bias.to(dtype), relu=True)
    np.testing.assert_allclose(with_it.float(), without.float(), atol=0.05 if dtype == torch.bfloat16 else 1e-5)


@pytest.mark.parametrize("network", [Mlp(7, [16] * 3, 3), TanhGaussianPolicy(7, [16] * 3, 2)])
def test_a_frozen_copy_gives_the_plain_outputs_and_keeps_the_weights_of_its_moment(network):
    torch.manual_seed(0)
    for parameter in network.parameters():  # every layer's bias is its own
        parameter.data.add_(0.2 * torch.randn_like(parameter))
    x, frozen = torch.randn(5, 7), FrozenMlp(network)
    output = network(x)
    expected = torch.cat(output, -1) if isinstance(output, tuple) else output
    torch.testing.assert_close(frozen(x), expected)
    assert not frozen(x).requires_grad


def test_weight_gradients_are_the_same_where_the_input_needs_none():
    torch.manual_seed(0)
    network, x = Mlp(9, [24] * 3, 2), torch.randn(30, 9)
    for parameter in network.parameters():
        parameter.data.add_(0.2 * torch.randn_like(parameter))
    weight = torch.randn(30, 2)
    ours, theirs = (
        torch.autograd.grad((weight * output).sum(), network.parameters())
        for output in (fused_mlp(network, x), network(x))
    )
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_inputs_are_joined_column_by_column():
    network = Mlp(5, [8] * 3, 1)
    a, b = torch.randn(4, 2), torch.randn(4, 3)
    torch.testing.assert_close(fused_mlp(network, a, b), network(torch.cat([a, b], 1)))


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("bfloat16", [True, False])
def test_onednn_is_asked_for_what_it_multiplies(there, bfloat16, monkeypatch):
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: there)
    monkeypatch.setattr(fused_module, "multiplies_bfloat16", lambda device: bfloat16)
    expected = {torch.float32} | ({torch.bfloat16} if bfloat16 else set()) if there else set()
    assert fused_module._onednn_dtypes() == expected


@pytest.mark.skipif(not fused_module._ONEDNN_DTYPES, reason="this build of torch has no oneDNN")
def test_on_a_cpu_the_fused_product_is_taken_where_there_is_one(monkeypatch):
    x, weight, bias = torch.randn(20, 6), torch.randn(4, 6), torch.randn(4)
    expected = torch.nn.functional.linear(x, weight, bias)
    monkeypatch.setattr(torch.nn.functional, "linear", None)
    torch.testing.assert_close(linear(x, weight, bias), expected)
    torch.testing.assert_close(linear(x, weight, bias, relu=True), expected.relu())
