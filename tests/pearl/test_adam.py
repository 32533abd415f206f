"""The optimiser is torch.optim.Adam to the last bit, and spares a trial the import of torch.compile's machinery."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from oyster.rl.adam import Adam

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("learning_rate", [3e-4, 1e-2])
def test_the_same_numbers_as_torchs_own(learning_rate):
    draws = torch.Generator().manual_seed(0)
    ours = [torch.nn.Parameter(torch.randn(shape, generator=draws)) for shape in ((7, 300), (300,), (1,), (5, 5))]
    theirs = [torch.nn.Parameter(parameter.detach().clone()) for parameter in ours]
    mine, torchs = Adam(ours, learning_rate), torch.optim.Adam(theirs, lr=learning_rate, fused=True)
    for step in range(20):
        scale = 10.0 ** (step % 7 - 3)
        gradients = [scale * torch.randn(parameter.shape, generator=draws) for parameter in ours]
        if step % 3 == 1:
            gradients[2] = None  # a parameter that this step did not use
        for parameter, gradient in zip(theirs, gradients, strict=True):
            parameter.grad = gradient
        mine.step(gradients)
        torchs.step()
        for place, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            assert torch.equal(one, other), (step, place)
            for name, value in torchs.state[other].items():
                assert torch.equal(mine.state[place][name], value), (step, place, name)


def test_a_trial_loads_no_compiler(tmp_path):
    code = """
import sys
from oyster.cli import main
arguments = "train --env point-robot --encoder mlp --seed 1 --budget canary --params tests/canary/params.yaml"
main([*arguments.split(), "--set", "num_iterations=1", "--out", sys.argv[1]], standalone_mode=False)
assert not {"torch._dynamo", "torch._inductor"} & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "out")], cwd=ROOT, check=True)
