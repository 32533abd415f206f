"""Two gradient steps without information bottleneck, against the reference's arrays: z is the encoder's mean output.

The file stores no gradients, and Adam's first step shows but their signs: the second step's parameters count.
"""

from pathlib import Path

import numpy as np
import pytest
from check import HYPERPARAMETERS, build_agent, check, main

FILE = Path(__file__).parent / "pearl_deterministic.npz"
TOLERANCE = 1e-10  # of the reference's numbers; a second implementation reached 2e-16


@pytest.fixture
def golden() -> dict[str, np.ndarray]:
    with np.load(FILE) as file:
        return dict(file)


def test_the_file_is_of_the_ablation_and_of_these_settings(golden):
    assert not [key for key in golden if "posterior" in key or "z_noise" in key or "kl_" in key]
    settings = {key.removeprefix("hyper/"): float(golden[key]) for key in golden if key.startswith("hyper/")}
    assert settings == {key: value for key, value in HYPERPARAMETERS.items() if key != "kl_lambda"}
    agent = build_agent(golden)
    assert agent.information_bottleneck is False and agent.context_encoder.output_size == agent.latent_dim == 5
    assert any(golden[f"step{k}/terminals"].any() for k in range(2))


def test_the_gradient_step_reproduces_the_arrays():
    errors = check(FILE)
    assert set(errors) == {"z", "losses", "parameters after 1", "parameters after 2"}
    assert max(errors.values()) < TOLERANCE, errors
    assert main(FILE) == 0


@pytest.mark.parametrize("key", ["step0/context", "step1/rewards", "init/context_encoder/last_fc.bias", "step1/z"])
def test_a_perturbed_file_is_outside(key, golden, tmp_path):
    golden[key] = golden[key] * (1 + 1e-5)
    np.savez(tmp_path / "perturbed.npz", **golden)
    assert max(check(tmp_path / "perturbed.npz").values()) > TOLERANCE


def test_every_network_of_the_file_is_compared(golden):
    """And moves by more than the tolerance, so that a network which never learned would be seen."""
    for name in ("context_encoder", "qf1", "qf2", "vf", "target_vf", "policy"):
        layers = [key.partition("/")[2] for key in golden if key.startswith(f"init/{name}/")]
        assert len(layers) >= 8
        for after in ("after1", "after2"):
            moved = [np.abs(golden[f"{after}/{layer}"] - golden[f"init/{layer}"]).max() for layer in layers]
            assert min(moved) > 1e-6, name
