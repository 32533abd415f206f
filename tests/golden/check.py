"""Compare oyster's gradient step with golden arrays: `python tests/golden/check.py FILE.npz`

The file says all: which encoder (recurrent where it has an LSTM), whether there is an information bottleneck (a
posterior variance), whether the context holds next observations (its width), the sizes and the number of steps. Prints
the largest relative error (max abs difference over max abs value of the golden array) of each group.
"""

import re
import sys
from pathlib import Path

import numpy as np
import torch

from oyster.algorithms.pearl.agent import Agent, encoder_sizes
from oyster.algorithms.pearl.encoder_file import load_encoder_class
from oyster.algorithms.pearl.gradient_step import Batch, GradientStep

ROOT = Path(__file__).resolve().parents[2]
HYPERPARAMETERS = {
    "learning_rate": 3e-4,
    "discount": 0.99,
    "reward_scale": 5.0,
    "kl_lambda": 0.1,
    "soft_target_tau": 0.005,
}
NETWORKS = ("context_encoder", "qf1", "qf2", "vf", "target_vf", "policy")
TOLERANCE = 1e-9


def relative_error(ours: torch.Tensor, golden: np.ndarray) -> float:
    ours = ours.detach().numpy().reshape(golden.shape)
    return float(np.abs(ours - golden).max() / max(np.abs(golden).max(), np.finfo(float).tiny))


def build_agent(golden) -> Agent:
    """The agent that the file's parameters fit into, with those parameters, in float64."""
    hidden = sorted(key for key in golden if re.fullmatch(r"init/context_encoder/fc\d+\.weight", key))
    observation_dim, action_dim = golden["step0/obs"].shape[-1], golden["step0/actions"].shape[-1]
    latent_dim = golden["step0/z"].shape[-1]
    bottleneck = "step0/posterior_var" in golden
    next_obs = golden["step0/context"].shape[-1] > observation_dim + action_dim + 1
    input_size, output_size = encoder_sizes(observation_dim, action_dim, latent_dim, bottleneck, next_obs)
    name = "recurrent" if any(key.startswith("init/context_encoder/lstm") for key in golden) else "mlp"
    encoder = load_encoder_class(ROOT / "encoders" / f"{name}.py")(
        hidden_sizes=[golden[key].shape[0] for key in hidden], input_size=input_size, output_size=output_size
    )
    net_size = golden["init/vf/fc0.weight"].shape[0]
    agent = Agent(encoder, observation_dim, action_dim, latent_dim, net_size, bottleneck).double()
    agent.load_state_dict(
        {
            f"{network}.{key.split('/')[2]}": torch.from_numpy(golden[key])
            for network in NETWORKS
            for key in golden
            if key.startswith(f"init/{network}/")
        }
    )
    return agent


def batch_of(golden, step: int) -> Batch:
    def tensor(name):
        return torch.from_numpy(golden[f"step{step}/{name}"])

    z_noise = tensor("z_noise") if f"step{step}/z_noise" in golden else torch.zeros_like(tensor("z"))
    names = ("obs", "actions", "rewards", "next_obs", "terminals", "context")
    return Batch(*map(tensor, names), z_noise, tensor("action_noise"))


def check(path: str | Path) -> dict[str, float]:
    """Largest relative error of each group: posterior, z, losses, and the parameters after each recorded step."""
    with np.load(path) as file:
        golden = {key: file[key] for key in file.files}
    agent = build_agent(golden)
    gradient_step = GradientStep(agent, **HYPERPARAMETERS)
    num_steps = 1 + max(int(match[1]) for key in golden if (match := re.match(r"step(\d+)/", key)))
    errors: dict[str, float] = {}

    def compare(group, ours, key):
        if key in golden:
            error = relative_error(ours, golden[key])
            errors[group] = max(errors.get(group, 0.0), np.inf if np.isnan(error) else error)

    for step in range(num_steps):
        agent.context_encoder.reset(num_tasks=golden[f"step{step}/z"].shape[0])
        result = gradient_step(batch_of(golden, step))
        compare("posterior", result.posterior.mean, f"step{step}/posterior_mean")
        if result.posterior.variance is not None:
            compare("posterior", result.posterior.variance, f"step{step}/posterior_var")
        compare("z", result.z, f"step{step}/z")
        for name, loss in result.losses._asdict().items():
            compare("losses", loss, f"step{step}/{name}")
        for name, parameter in agent.state_dict().items():
            network, _, layer = name.partition(".")
            compare(f"parameters after {step + 1}", parameter, f"after{step + 1}/{network}/{layer}")
    return errors


def main(path: str) -> int:
    errors = check(path)
    for group, error in errors.items():
        print(f"{group:20} {error:.3e}")
    if not any(group.startswith("parameters") for group in errors):
        print("no parameters to compare: the file holds no after<k>/… arrays")
        return 1
    worst = max(errors.values())
    print(f"{'largest':20} {worst:.3e}  ({'within' if worst < TOLERANCE else 'OUTSIDE'} {TOLERANCE:g})")
    return 0 if worst < TOLERANCE else 1


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python tests/golden/check.py FILE.npz")
    sys.exit(main(sys.argv[1]))
