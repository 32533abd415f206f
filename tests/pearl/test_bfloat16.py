"""The benchmark's precision: every bfloat16 gradient is float32's but for rounding, and a trial's setting asks for it.

Rounding, and the few units that it turns on or off, move a gradient by up to 7 % of its norm. One that lost a ReLU mask
is off by far more, one that is zero by all of it.
"""

import pytest
import torch

from oyster.algorithms.pearl.gradient_step import GradientStep
from oyster.algorithms.pearl.settings import Settings, find_encoder_file
from oyster.grid import load_params, trial_settings
from oyster.reproduce.keep import FOLDER
from oyster.rl import fused_mlp as fused_module
from oyster.rl.fused_mlp import fused_mlp
from oyster.rl.networks import Mlp, TanhGaussianPolicy
from oyster.runtime.device import multiplies_bfloat16
from oyster.trial.run import Trial

FARTHEST, COSINE = 0.12, 0.99  # of a bfloat16 gradient from float32's, by its norm; and the least between them
INSTRUCTIONS = multiplies_bfloat16(torch.device("cpu"))


@pytest.fixture(params=["torch", "onednn"])
def arithmetic(request, monkeypatch) -> None:
    """Torch's own bfloat16 products, which every processor has, and oneDNN's, where there are instructions for them."""
    if request.param == "onednn" and not INSTRUCTIONS:
        pytest.skip("this processor has no bfloat16 instructions: oneDNN's products were not run")
    if request.param == "torch":
        monkeypatch.setattr(fused_module, "_ONEDNN_DTYPES", set())


def network_of(kind: str) -> Mlp:
    torch.manual_seed(0)
    network = Mlp(9, [64] * 3, 1) if kind == "critic" else TanhGaussianPolicy(9, [64] * 3, 2)
    for parameter in network.parameters():  # away from the start, where all biases are one number
        parameter.data += 0.05 * torch.randn_like(parameter)
    return network


def gradients(network: Mlp, dtype: torch.dtype, frozen: bool) -> dict[str, torch.Tensor]:
    rng = torch.Generator().manual_seed(1)
    inputs = [torch.randn(200, width, generator=rng).requires_grad_() for width in (5, 4)]
    output = fused_mlp(network, *inputs, frozen=frozen, dtype=dtype)
    wanted = {"input 0": inputs[0], "input 1": inputs[1]} | ({} if frozen else dict(network.named_parameters()))
    weight = torch.randn(output.shape, generator=rng)
    assert output.dtype == torch.float32
    return dict(zip(wanted, torch.autograd.grad((weight * output).sum(), wanted.values()), strict=True))


def hidden_is_masked(network: Mlp) -> bool:
    """Whether each hidden layer has units that are off and units that are on: else its ReLU is not tested."""
    h, masked = torch.randn(200, 9, generator=torch.Generator().manual_seed(1)), True
    for layer in (network.fc0, network.fc1, network.fc2):
        h = torch.relu(layer(h))
        masked &= 0.1 < float((h == 0).float().mean()) < 0.9
    return masked


@pytest.mark.parametrize("kind", ["critic", "policy"])
@pytest.mark.parametrize("frozen", [False, True])
def test_each_gradient_is_float32s_but_for_rounding(arithmetic, kind, frozen):
    network = network_of(kind)
    assert hidden_is_masked(network)
    exact, rounded = (gradients(network, dtype, frozen) for dtype in (torch.float32, torch.bfloat16))
    assert len(exact) == (2 if frozen else 12 if kind == "policy" else 10)
    for name, ours in rounded.items():
        theirs = exact[name]
        assert ours.dtype == torch.float32 and ours.shape == theirs.shape and theirs.norm() > 0, name
        cosine = torch.cosine_similarity(ours.flatten(), theirs.flatten(), dim=0)
        distance = (ours - theirs).norm() / theirs.norm()
        assert distance < FARTHEST and cosine > COSINE, (name, float(distance), float(cosine))
    assert any(not torch.equal(rounded[name], exact[name]) for name in exact)  # it is rounded, not float32


# --- from the settings to the step ------------------------------------------------------------------------------------


def settings(environment: str, precision: str) -> Settings:
    resolved = trial_settings(
        load_params(FOLDER / "params.yaml"), environment=environment, agent="mlp", seed=1, preset="canary"
    )
    return resolved.model_copy(update={"num_iterations": 1, "num_train_steps_per_itr": 3, "precision": precision})


def first_losses(precision: str) -> torch.Tensor:
    training = Trial(settings("point-robot", precision), {"encoder": find_encoder_file("mlp")}, "cpu").assemble()
    list(training.run())
    return torch.stack(training.learner.first_losses)


def test_a_trial_trains_in_the_precision_of_its_settings():
    exact, rounded = first_losses("float32"), first_losses("bfloat16")
    assert (exact != rounded).any()  # nothing but the precision differs between them
    torch.testing.assert_close(rounded, exact, rtol=0.1, atol=0.01)


@pytest.mark.parametrize("precision, expected", [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_the_step_multiplies_in_its_precision(precision, expected, monkeypatch):
    """Three hidden layers in each forward pass of a step: both critics twice, target value, policy, value."""
    training = Trial(settings("point-robot", precision), {"encoder": find_encoder_file("mlp")}, "cpu").assemble()
    assert GradientStep.from_settings(training.agent, training.settings).bfloat16 is (precision == "bfloat16")
    seen, linear = [], fused_module.linear
    training.learner._collect()

    def watched(x, weight, *rest, **options):
        if options.get("relu"):
            seen.append({x.dtype, weight.dtype})
        return linear(x, weight, *rest, **options)

    monkeypatch.setattr(fused_module, "linear", watched)
    training.learner._take_gradient_step()
    assert seen == [{expected}] * 7 * 3
