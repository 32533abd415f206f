"""The same step on the CPU and on a GPU, and the same bytes twice there. Skipped, and said so, where there is none."""

import pytest
import torch

from benchmarks.gradient_step import hyperparameters, make_agent, make_batch
from oyster.algorithms.pearl.encoder_file import load_encoder_class
from oyster.algorithms.pearl.gradient_step import Batch, GradientStep
from oyster.algorithms.pearl.settings import find_encoder_file
from oyster.grid import load_params, trial_settings
from oyster.reproduce.keep import FOLDER
from oyster.runtime.device import fix_arithmetic
from oyster.runtime.records import DETERMINISTIC
from oyster.trial.run import run_trial

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here: the GPU path was not run")


@pytest.mark.parametrize("encoder", ["mlp", "recurrent", "attention"])
def test_a_step_on_the_gpu_is_the_cpus(encoder):
    fix_arithmetic(threads=1)
    settings = trial_settings(load_params(), environment="point-robot", agent=encoder, seed=0, preset="demo")
    encoder_class = load_encoder_class(find_encoder_file(encoder))
    batch = make_batch(settings, 32, torch.Generator().manual_seed(0))
    agents = {}
    for device in ("cpu", "cuda"):
        agents[device] = make_agent(settings, encoder_class).to(device)
        step = GradientStep(agents[device], **hyperparameters(settings))
        for _ in range(3):
            losses = step(Batch(*(part.to(device) for part in batch))).losses
        agents[device].losses = torch.stack(losses).cpu()
    torch.testing.assert_close(agents["cpu"].losses, agents["cuda"].losses, rtol=1e-4, atol=1e-4)
    for ours, theirs in zip(agents["cpu"].parameters(), agents["cuda"].parameters(), strict=True):
        torch.testing.assert_close(ours, theirs.cpu(), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("environment, encoder", [("cheetah-vel", "mlp"), ("sparse-point-robot", "recurrent")])
def test_the_same_bytes_twice_on_the_same_gpu(environment, encoder, tmp_path):
    params = load_params(FOLDER / "params.yaml")
    settings = trial_settings(params, environment=environment, agent=encoder, seed=1, preset="canary")
    outputs = []
    for name in ("one", "two"):
        run_trial(settings, {"encoder": find_encoder_file(encoder)}, tmp_path / name, device="cuda")
        outputs.append({file: (tmp_path / name / file).read_bytes() for file in DETERMINISTIC})
    assert outputs[0] == outputs[1]
