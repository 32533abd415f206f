"""The switches that make the same trial give the same bytes, and float32 mean float32: each is set, by every trial."""

import os
import subprocess
import sys

import pytest
import torch

from oyster.algorithms.pearl.settings import find_encoder_file
from oyster.grid import load_params, trial_settings
from oyster.reproduce.keep import FOLDER
from oyster.runtime.device import fix_arithmetic
from oyster.trial.run import Trial


def switches() -> dict:
    denormal = torch.tensor([1e-38])
    return {
        "threads": torch.get_num_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "warns only": torch.is_deterministic_algorithms_warn_only_enabled(),
        "fills": torch.utils.deterministic.fill_uninitialized_memory,
        "matmul": torch.get_float32_matmul_precision(),
        "matmul in TF32": torch.backends.cuda.matmul.allow_tf32,
        "cuDNN in TF32": torch.backends.cudnn.allow_tf32,
        "cuDNN tries out": torch.backends.cudnn.benchmark,
        "denormals": bool(denormal * 0.1 != 0),
    }


FIXED = {
    "threads": 1, "deterministic": True, "warns only": False, "fills": False, "matmul": "highest",
    "matmul in TF32": False, "cuDNN in TF32": False, "cuDNN tries out": False, "denormals": False,
}  # fmt: skip


@pytest.fixture
def all_wrong():
    """Every switch where a trial must not leave it; afterwards where trials want them."""
    torch.set_num_threads(2)
    torch.use_deterministic_algorithms(False)
    torch.utils.deterministic.fill_uninitialized_memory = True
    torch.set_float32_matmul_precision("medium")
    torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    torch.set_flush_denormal(False)
    wrong = switches()
    assert [key for key in FIXED if wrong[key] == FIXED[key]] == ["warns only"]
    yield
    fix_arithmetic(1)


def fixed() -> dict:
    """FIXED, without what this processor cannot do."""
    return FIXED | ({} if torch.set_flush_denormal(True) else {"denormals": True})


def test_every_switch_is_set(all_wrong):
    fix_arithmetic(1)
    found = switches()
    assert found == fixed()
    fix_arithmetic(3)
    assert torch.get_num_threads() == 3


def test_a_warning_is_not_enough(all_wrong):
    torch.use_deterministic_algorithms(True, warn_only=True)
    fix_arithmetic(1)
    assert not torch.is_deterministic_algorithms_warn_only_enabled()


def test_every_trial_sets_them(all_wrong):
    settings = trial_settings(
        load_params(FOLDER / "params.yaml"), environment="point-robot", agent="mlp", seed=1, preset="canary"
    )
    Trial(settings, {"encoder": find_encoder_file("mlp")}, "cpu").assemble()
    found = switches()
    assert found == fixed()


@pytest.mark.parametrize("own", [None, ":16:8"])
def test_cublas_has_a_fixed_workspace(own):
    """Which it reads when it is first used: so the import sets it. A choice of the user's stays."""
    environment = {key: value for key, value in os.environ.items() if key != "CUBLAS_WORKSPACE_CONFIG"}
    environment |= {"CUBLAS_WORKSPACE_CONFIG": own} if own else {}
    code = "import oyster.runtime.device, os; print(os.environ['CUBLAS_WORKSPACE_CONFIG'])"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=FOLDER.parents[1], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == (own or ":4096:8")
