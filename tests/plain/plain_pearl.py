"""PEARL on one page: the point robots with the mlp encoder, written from the protocol alone.

It shares nothing with the engine but the settings: one environment, one task and one trajectory at a time, ordinary
modules in float32, five optimisers, random draws of its own in an order of its own. Where it and a trial of the
benchmark learn alike, that is no accident of one implementation. A control, not a twin: no number is the same.

`python -m tests.plain.plain_pearl --env sparse-point-robot --seed 0` trains at the benchmark's preset and prints the
learning curve as it grows. Killed? Run the same command again: it goes on from the iteration that was finished last.
What it gave stands in docs/measured/plain_pearl.csv.
"""

import os
import pickle
from pathlib import Path

import click
import numpy as np
import torch
from torch import nn

from oyster.algorithms.pearl.settings import Settings
from oyster.grid import load_params, trial_settings

ROOT = Path(__file__).resolve().parents[2]
STATES = ROOT / "results" / "plain-pearl"  # which git does not keep
HORIZON = 20  # steps of a trajectory
ENVIRONMENTS = ["point-robot", "sparse-point-robot"]


# --- the world --------------------------------------------------------------------------------------------------------


def draw_goals(environment: str, count: int) -> np.ndarray:
    """(count, 2): anywhere in the square, or in random order on the upper half circle."""
    rng = np.random.RandomState(1337)
    if environment == "point-robot":
        return np.array([[rng.uniform(-1, 1), rng.uniform(-1, 1)] for _ in range(count)])
    goals = [(np.cos(angle), np.sin(angle)) for angle in np.linspace(0, np.pi, count)]
    rng.shuffle(goals)
    return np.array(goals)


class Robot:
    """A point that walks to a goal. Its episodes never end by themselves, so nothing here speaks of terminal states."""

    def __init__(self, environment: str, rng: np.random.Generator):
        self.sparse, self.rng = environment == "sparse-point-robot", rng

    def reset(self) -> np.ndarray:
        self.position = np.zeros(2) if self.sparse else self.rng.uniform(-1, 1, 2)
        return self.position.copy()

    def step(self, action: np.ndarray, goal: np.ndarray) -> tuple[np.ndarray, float, float]:
        """The next observation, the reward that the critics learn from, and the one that is felt and reported."""
        self.position = self.position + 0.1 * np.clip(action, -1, 1)
        distance = float(np.hypot(*(self.position - goal)))
        felt = (1 - distance if distance <= 0.2 else 0.0) if self.sparse else -distance
        return self.position.copy(), -distance, felt


# --- the networks -----------------------------------------------------------------------------------------------------


def linear(inputs: int, outputs: int, bound: float | None = None) -> nn.Linear:
    """An output layer, uniform within `bound`; without one a hidden layer, initialised by its number of outputs."""
    layer = nn.Linear(inputs, outputs)
    nn.init.uniform_(layer.weight, -(bound or outputs**-0.5), bound or outputs**-0.5)
    if bound:
        nn.init.uniform_(layer.bias, -bound, bound)
    else:
        nn.init.constant_(layer.bias, 0.1)
    return layer


def mlp(inputs: int, hidden: list[int], outputs: int, bound: float = 3e-3) -> nn.Sequential:
    sizes = [inputs, *hidden]
    layers = [part for size, width in zip(sizes, hidden, strict=False) for part in (linear(size, width), nn.ReLU())]
    return nn.Sequential(*layers, linear(sizes[-1], outputs, bound))


def normal_log_prob(x, mean, log_std):
    return -0.5 * ((x - mean) / log_std.exp()) ** 2 - log_std - 0.5 * np.log(2 * np.pi)


# --- PEARL ------------------------------------------------------------------------------------------------------------


class PlainPearl:
    def __init__(self, settings: Settings):
        self.s, self.horizon = settings, HORIZON
        s = settings
        self.rng = np.random.default_rng(s.seed)
        torch.manual_seed(s.seed)
        goals = draw_goals(s.environment, s.train_tasks + s.test_tasks)
        self.train_goals, self.test_goals = goals[: s.train_tasks], goals[s.train_tasks :]
        self.robot = Robot(s.environment, self.rng)

        width, latent = [s.net_size] * 3, s.latent_dim
        self.encoder = mlp(2 + 2 + 1, list(s.encoder_hidden_sizes), 2 * latent)
        self.q1, self.q2 = mlp(2 + 2 + latent, width, 1), mlp(2 + 2 + latent, width, 1)
        self.v, self.target_v = mlp(2 + latent, width, 1), mlp(2 + latent, width, 1)
        self.target_v.load_state_dict(self.v.state_dict())
        self.policy = mlp(2 + latent, width, 2 + 2, bound=1e-3)  # means, then log standard deviations
        networks = (self.encoder, self.q1, self.q2, self.v, self.policy)
        self.adams = [torch.optim.Adam(network.parameters(), lr=s.learning_rate) for network in networks]

        self.replay = [[] for _ in self.train_goals]  # a task's trajectories: observation, action, reward, next one
        self.contexts = [[] for _ in self.train_goals]  # likewise: observation, action, felt reward
        self.curve: list[float] = []

    def iterate(self) -> None:
        """One iteration: collect, take gradient steps, meta-test."""
        s = self.s
        if not self.curve:
            for task in range(len(self.train_goals)):
                self.collect(task, s.num_initial_steps, posterior=False, keep_context=True)
        for task in self.rng.integers(len(self.train_goals), size=s.num_tasks_sample):
            self.contexts[task] = []
            self.collect(task, s.num_steps_prior, posterior=False, keep_context=True)
            self.collect(task, s.num_steps_posterior, posterior=True, keep_context=True)
            self.collect(task, s.num_extra_rl_steps_posterior, posterior=True, keep_context=False)
        self.replay = [[np.concatenate(trajectories)] for trajectories in self.replay]
        self.contexts = [[np.concatenate(trajectories)] for trajectories in self.contexts]
        for _ in range(s.num_train_steps_per_itr):
            self.take_gradient_step()
        self.curve.append(self.meta_test())

    # --- acting -------------------------------------------------------------------------------------------------------

    def noise(self, *shape: int) -> torch.Tensor:
        return torch.from_numpy(self.rng.standard_normal(shape, dtype=np.float32))

    def posterior(self, context: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and variance of z (task, latent), from contexts (task, transition, feature)."""
        mean, variance = self.encoder(context).chunk(2, dim=-1)
        variance = nn.functional.softplus(variance).clamp(min=1e-7)
        fused = 1 / (1 / variance).sum(dim=1)
        return fused * (mean / variance).sum(dim=1), fused

    def prior(self) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.zeros(1, self.s.latent_dim), torch.ones(1, self.s.latent_dim)

    @torch.no_grad()
    def walk(self, goal: np.ndarray, belief, deterministic: bool) -> tuple[np.ndarray, np.ndarray]:
        """A trajectory with one z drawn from `belief`, as rows for the replay and rows for the context."""
        mean, variance = belief
        z = mean + variance.sqrt() * self.noise(*mean.shape)
        rows, felt_rows = [], []
        observation = self.robot.reset()
        for _ in range(self.horizon):
            state = torch.from_numpy(observation.astype(np.float32))[None]
            centre, log_std = self.policy(torch.cat([state, z], dim=1)).chunk(2, dim=1)
            if not deterministic:
                centre = centre + log_std.clamp(-20, 2).exp() * self.noise(1, 2)
            action = torch.tanh(centre)[0].numpy().astype(np.float64)
            next_observation, reward, felt = self.robot.step(action, goal)
            rows.append([*observation, *action, reward, *next_observation])
            felt_rows.append([*observation, *action, felt])
            observation = next_observation
        return np.array(rows, np.float32), np.array(felt_rows, np.float32)

    @torch.no_grad()
    def collect(self, task: int, num_steps: int, posterior: bool, keep_context: bool) -> None:
        belief, steps = self.prior(), 0
        while steps < num_steps:
            rows, felt_rows = self.walk(self.train_goals[task], belief, deterministic=False)
            steps += len(rows)
            self.replay[task].append(rows)
            if keep_context:
                self.contexts[task].append(felt_rows)
            if posterior:
                context = np.concatenate(self.contexts[task])
                belief = self.posterior(self.draw([context], self.s.embedding_batch_size))

    @torch.no_grad()
    def meta_test(self) -> float:
        s, returns = self.s, []
        for goal in self.test_goals:
            for _ in range(s.evaluations):
                belief, context = self.prior(), []
                for k in range(-(-s.test_length.steps // self.horizon)):
                    _, felt_rows = self.walk(goal, belief, deterministic=True)
                    context.append(felt_rows)
                    if k + 1 >= s.num_exp_traj_eval:
                        belief = self.posterior(torch.from_numpy(np.concatenate(context))[None])
                returns.append(felt_rows[:, -1].sum(dtype=np.float64))
        return float(np.mean(returns))

    # --- learning -----------------------------------------------------------------------------------------------------

    def draw(self, sources: list[np.ndarray], count: int) -> torch.Tensor:
        """`count` rows of each of `sources`, with replacement: (source, count, column)."""
        return torch.from_numpy(np.stack([rows[self.rng.integers(len(rows), size=count)] for rows in sources]))

    def take_gradient_step(self) -> None:
        s = self.s
        tasks = self.rng.integers(len(self.train_goals), size=s.meta_batch)
        context = self.draw([self.contexts[task][0] for task in tasks], s.embedding_batch_size)
        batch = self.draw([self.replay[task][0] for task in tasks], s.batch_size).flatten(0, 1)
        observation, action, reward, next_observation = batch.split([2, 2, 1, 2], dim=1)

        mean, variance = self.posterior(context)
        z = mean + variance.sqrt() * self.noise(*mean.shape)
        z = z.repeat_interleave(s.batch_size, dim=0)
        fixed_z = z.detach()
        centre, log_std = self.policy(torch.cat([observation, fixed_z], dim=1)).chunk(2, dim=1)
        log_std = log_std.clamp(-20, 2)
        before_tanh = centre + log_std.exp() * self.noise(*centre.shape)
        new_action = torch.tanh(before_tanh)
        log_prob = normal_log_prob(before_tanh, centre, log_std) - torch.log(1 - new_action**2 + 1e-6)
        log_prob = log_prob.sum(dim=1, keepdim=True)
        value = self.v(torch.cat([observation, fixed_z], dim=1))
        with torch.no_grad():
            next_value = self.target_v(torch.cat([next_observation, fixed_z], dim=1))
            target = s.reward_scale * reward + s.discount * next_value

        q_input = torch.cat([observation, action, z], dim=1)
        kl = 0.5 * (mean**2 + variance - 1 - variance.log()).sum()
        critics_loss = ((self.q1(q_input) - target) ** 2).mean() + ((self.q2(q_input) - target) ** 2).mean()
        self.update([0, 1, 2], critics_loss + s.kl_lambda * kl)

        q_input = torch.cat([observation, new_action, fixed_z], dim=1)
        best = torch.min(self.q1(q_input), self.q2(q_input))
        policy_loss = (log_prob - best).mean() + 1e-3 * (centre**2).mean() + 1e-3 * (log_std**2).mean()
        self.update([3], ((value - (best - log_prob).detach()) ** 2).mean())
        self.update([4], policy_loss)
        with torch.no_grad():
            for slow, fast in zip(self.target_v.parameters(), self.v.parameters(), strict=True):
                slow += s.soft_target_tau * (fast - slow)

    def update(self, which: list[int], loss: torch.Tensor) -> None:
        """Adam's step of some of the networks (encoder, q1, q2, v, policy)."""
        parameters = [p for k in which for group in self.adams[k].param_groups for p in group["params"]]
        for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            parameter.grad = gradient
        for k in which:
            self.adams[k].step()


def train(environment: str, seed: int) -> None:
    """Train, or go on training, and print the curve as it grows."""
    settings = trial_settings(
        load_params(ROOT / "params.yaml"), environment=environment, agent="mlp", seed=seed, preset="benchmark"
    )
    state = STATES / f"{environment}-{seed}.pickle"
    state.parent.mkdir(parents=True, exist_ok=True)
    pearl = pickle.loads(state.read_bytes()) if state.exists() else PlainPearl(settings)
    while len(pearl.curve) < settings.num_iterations:
        pearl.iterate()
        partial = state.with_suffix(".partial")
        partial.write_bytes(pickle.dumps(pearl))
        os.replace(partial, state)
        click.echo(f"{environment}, seed {seed}: {pearl.curve[-1]:.2f} after iteration {len(pearl.curve) - 1}")


@click.command()
@click.option("--env", "environment", type=click.Choice(ENVIRONMENTS), default="sparse-point-robot")
@click.option("--seed", "seeds", type=int, multiple=True, required=True)
def main(environment: str, seeds: tuple[int, ...]) -> None:
    """Train what is not finished yet, one trial after the other."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    for seed in seeds:
        train(environment, seed)


if __name__ == "__main__":
    main()
