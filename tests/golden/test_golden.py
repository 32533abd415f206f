"""The gradient step and cheetah-vel against the reference's arrays; `check` itself against a file that is wrong."""

import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from check import HYPERPARAMETERS, batch_of, build_agent, check, main

from benchmarks.plain_step import PlainStep
from oyster.envs import load_family

HERE = Path(__file__).parent
FILES = ("pearl_mlp.npz", "pearl_recurrent.npz")


@pytest.mark.parametrize("name", FILES)
def test_gradient_step_reproduces_the_golden_arrays(name):
    errors = check(HERE / name)
    assert set(errors) == {"posterior", "z", "losses", "parameters after 1", "parameters after 3"}
    assert max(errors.values()) < 1e-9


@pytest.mark.parametrize("key", ["step0/z_noise", "step2/rewards", "init/qf1/fc1.weight", "after3/policy/last_fc.bias"])
def test_a_perturbed_file_is_outside(key, tmp_path):
    golden = dict(np.load(HERE / FILES[0]))
    golden[key] = golden[key] * (1 + 1e-6)
    np.savez(tmp_path / "perturbed.npz", **golden)
    command = [sys.executable, str(HERE / "check.py"), str(tmp_path / "perturbed.npz")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "OUTSIDE" in done.stdout


@pytest.mark.parametrize("spoil", [lambda k, v: v * np.nan, lambda k, v: None])
def test_a_file_with_nan_or_nothing_to_compare_is_outside(spoil, tmp_path):
    golden = dict(np.load(HERE / FILES[0]))
    spoiled = {key: spoil(key, value) if key.startswith("after") else value for key, value in golden.items()}
    np.savez(tmp_path / "spoiled.npz", **{key: value for key, value in spoiled.items() if value is not None})
    assert main(tmp_path / "spoiled.npz") == 1


@pytest.mark.parametrize("name", FILES)
def test_the_plain_twin_reproduces_them_too(name):
    golden = dict(np.load(HERE / name))
    agent = build_agent(golden)
    step = PlainStep(agent, **HYPERPARAMETERS)
    for k in range(3):
        losses = step(batch_of(golden, k)).losses
        for field, loss in losses._asdict().items():
            assert float(loss) == pytest.approx(float(golden[f"step{k}/{field}"]), rel=1e-9)
    for parameter, value in agent.state_dict().items():
        network, _, layer = parameter.partition(".")
        expected = golden[f"after3/{network}/{layer}"]
        assert np.abs(value.numpy() - expected).max() < 1e-9 * np.abs(expected).max()


@pytest.mark.parametrize("bottleneck", [True, False])
@pytest.mark.parametrize("next_obs", [True, False])
def test_the_file_says_bottleneck_and_context(bottleneck, next_obs, tmp_path):
    """A file of the same format made by an independent, obvious step: no posterior_var, or a wider context."""
    path = tmp_path / "made.npz"
    np.savez(path, **obvious_file(bottleneck, next_obs))
    errors = check(path)
    assert {"posterior", "z", "losses", "parameters after 2"} <= set(errors)
    assert max(errors.values()) < 1e-9


def obvious_file(bottleneck: bool, next_obs: bool) -> dict[str, np.ndarray]:
    """Two gradient steps written with nothing of the engine but layers by hand."""
    rng = np.random.default_rng(0)
    tasks, rows, length, o, a, latent, width = 2, 5, 4, 3, 2, 3, 8
    features = o + a + 1 + (o if next_obs else 0)

    def net(sizes, heads=("last_fc",)):
        layers = {}
        for i, (n, m) in enumerate(pairwise(sizes[:-1])):
            layers[f"fc{i}"] = (n, m)
        layers |= dict.fromkeys(heads, (sizes[-2], sizes[-1]))
        return {
            f"{name}.{kind}": torch.tensor(rng.normal(size=(m, n) if kind == "weight" else m) / 3, requires_grad=True)
            for name, (n, m) in layers.items()
            for kind in ("weight", "bias")
        }

    def apply(parameters, x, head="last_fc"):
        for name in sorted(key[:-7] for key in parameters if re.fullmatch(r"fc\d\.weight", key)):
            x = torch.relu(x @ parameters[f"{name}.weight"].T + parameters[f"{name}.bias"])
        return x @ parameters[f"{head}.weight"].T + parameters[f"{head}.bias"]

    nets = {
        "context_encoder": net([features, width, width, (2 if bottleneck else 1) * latent]),
        "qf1": net([o + a + latent, width, width, width, 1]),
        "qf2": net([o + a + latent, width, width, width, 1]),
        "vf": net([o + latent, width, width, width, 1]),
        "policy": net([o + latent, width, width, width, a], ("last_fc", "last_fc_log_std")),
    }
    nets["target_vf"] = {name: value.detach().clone() for name, value in nets["vf"].items()}
    optimizers = {name: torch.optim.Adam(nets[name].values(), lr=3e-4) for name in nets if name != "target_vf"}
    out = {f"init/{name}/{key}": v.detach().numpy().copy() for name, p in nets.items() for key, v in p.items()}
    for k in range(2):
        shapes = {"obs": (rows, o), "actions": (rows, a), "rewards": (rows, 1), "next_obs": (rows, o)}
        shapes |= {
            "terminals": (rows, 1),
            "context": (length, features),
            "action_noise": (rows, a),
            "z_noise": (latent,),
        }
        data = {name: torch.tensor(rng.normal(size=(tasks, *shape))) for name, shape in shapes.items()}
        data["terminals"] = (data["terminals"] > 1).double()
        if not bottleneck:
            del data["z_noise"]
        means, variances = [], []
        for t in range(tasks):
            encoded = apply(nets["context_encoder"], data["context"][t])
            if bottleneck:
                variance = torch.nn.functional.softplus(encoded[:, latent:]).clamp(min=1e-7)
                variances.append(1 / (1 / variance).sum(0))
                means.append(variances[-1] * (encoded[:, :latent] / variance).sum(0))
            else:
                means.append(encoded.mean(0))
        mean = torch.stack(means)
        z = mean + torch.stack(variances).sqrt() * data["z_noise"] if bottleneck else mean
        kl = sum((0.5 * (v + m**2 - 1 - v.log())).sum() for m, v in zip(means, variances, strict=False))
        rep = z.repeat_interleave(rows, 0)
        flat = {
            name: value.reshape(tasks * rows, -1) for name, value in data.items() if name not in ("context", "z_noise")
        }
        q_in = torch.cat([flat["obs"], flat["actions"], rep], 1)
        target_v = apply(nets["target_vf"], torch.cat([flat["next_obs"], rep], 1)).detach()
        target = 5.0 * flat["rewards"] + (1 - flat["terminals"]) * 0.99 * target_v
        qf_loss = sum(((apply(nets[q], q_in) - target) ** 2).mean() for q in ("qf1", "qf2"))
        v_in = torch.cat([flat["obs"], rep.detach()], 1)
        value = apply(nets["vf"], v_in)
        pi_mean = apply(nets["policy"], v_in)
        log_std = apply(nets["policy"], v_in, "last_fc_log_std").clamp(-20, 2)
        for name in ("context_encoder", "qf1", "qf2"):
            optimizers[name].zero_grad()
        (qf_loss + 0.1 * kl).backward()
        for name in ("context_encoder", "qf1", "qf2"):
            optimizers[name].step()
        pre_tanh = pi_mean + log_std.exp() * flat["action_noise"]
        action = pre_tanh.tanh()
        log_prob = torch.distributions.Normal(pi_mean, log_std.exp()).log_prob(pre_tanh) - (1 - action**2 + 1e-6).log()
        log_prob = log_prob.sum(1, keepdim=True)
        new_in = torch.cat([flat["obs"], action, rep.detach()], 1)
        min_q = torch.min(apply(nets["qf1"], new_in), apply(nets["qf2"], new_in))
        vf_loss = ((value - (min_q - log_prob).detach()) ** 2).mean()
        policy_loss = (log_prob - min_q).mean() + 1e-3 * (pi_mean**2).mean() + 1e-3 * (log_std**2).mean()
        for name, loss in (("vf", vf_loss), ("policy", policy_loss)):
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
        for name, slow in nets["target_vf"].items():
            slow.copy_(0.995 * slow + 0.005 * nets["vf"][name].detach())
        out |= {f"step{k}/{name}": value.numpy() for name, value in data.items()}
        out |= {f"step{k}/posterior_mean": mean.detach().numpy(), f"step{k}/z": z.detach().numpy()}
        if bottleneck:
            out[f"step{k}/posterior_var"] = torch.stack(variances).detach().numpy()
            out[f"step{k}/kl_divergence"] = kl.detach().numpy()
        losses = {"qf_loss": qf_loss, "vf_loss": vf_loss, "policy_loss": policy_loss}
        out |= {f"step{k}/{name}": loss.detach().numpy() for name, loss in losses.items()}
    out |= {f"after2/{name}/{key}": v.detach().numpy() for name, p in nets.items() for key, v in p.items()}
    return out


def test_cheetah_reproduces_the_first_20_steps():
    golden = np.load(HERE / "cheetah_vel.npz")

    def stack(name):
        return np.stack([golden[f"episode{i}/{name}"] for i in range(3)])

    family = load_family("cheetah-vel")(3)
    tasks = stack("target_velocity")[:, None]
    np.testing.assert_allclose(tasks, family.draw_tasks(40)[stack("task")], atol=1e-12)
    observation = family.set_state(tasks, stack("qpos"), stack("qvel"))
    np.testing.assert_allclose(observation, stack("observations")[:, 0], atol=1e-6)
    for t in range(20):
        step = family.step(stack("actions")[:, t])
        np.testing.assert_allclose(step.observation, stack("observations")[:, t + 1], atol=1e-6)
        np.testing.assert_allclose(step.reward, stack("rewards")[:, t], atol=1e-6)
