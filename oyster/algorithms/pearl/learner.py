"""PEARL's meta-training: collect, take gradient steps; a row per iteration (Rakelly et al. 2019, algorithm 1).

The state is explicit, so that training can stop between any two gradient steps and go on as if it had not: nothing else
is alive there, since every trajectory begins with a reset.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from oyster.algorithms.pearl import encoder_state
from oyster.algorithms.pearl.agent import Agent, encoder_sizes
from oyster.algorithms.pearl.contract import require_contract
from oyster.algorithms.pearl.encoder_file import load_encoder_class
from oyster.algorithms.pearl.gradient_step import Batch, GradientStep, Losses
from oyster.algorithms.pearl.posterior import Posterior
from oyster.algorithms.pearl.settings import Settings
from oyster.envs.family import TaskFamily
from oyster.rl.replay import Layout, Positions, TransitionStore
from oyster.rl.rollout import rollout
from oyster.runtime.checkpoint import Log
from oyster.runtime.device import to_device
from oyster.runtime.errors import TrialFailure, encoder_at_fault
from rlkit.torch import pytorch_util as ptu

FIRST_STEPS = 20  # environment steps, and as many gradient steps, by which a start is told (see `start`)
COUNTERS = ("iteration", "steps_taken", "gradient_steps", "train_returns", "first_rewards")
FINITE_CHECK_EVERY = 50  # gradient steps between two looks at the losses; on a GPU, which a look would stop, none


class Row(NamedTuple):
    """One iteration, as progress.csv shows it beside its meta-test. Steps are cumulative, without the meta-test's."""

    iteration: int
    environment_steps: int
    gradient_steps: int
    train_return: float  # mean return of the trajectories collected in this iteration
    qf_loss: float  # losses: means over the iteration's gradient steps
    vf_loss: float
    policy_loss: float
    kl_divergence: float
    posterior_variance: float  # mean variance of q(z|c) over the iteration's gradient steps


def load_sources(settings: Settings, sources: Mapping[str, Path]) -> type[nn.Module]:
    """The encoder class. InputError where its file cannot be used."""
    return load_encoder_class(sources["encoder"])


def make_agent(
    settings: Settings, family: type[TaskFamily], encoder_class: type[nn.Module], device: torch.device
) -> Agent:
    """TrialFailure where the encoder breaks the contract, or its constructor raises."""
    ptu.set_gpu_mode(device.type == "cuda")  # encoders may ask where they are
    warnings = require_contract(encoder_class, settings, family)
    s, dims = settings, (family.observation_dim, family.action_dim)
    input_size, output_size = encoder_sizes(
        *dims, s.latent_dim, s.use_information_bottleneck, s.use_next_obs_in_context
    )
    with encoder_at_fault():
        encoder = encoder_class(
            hidden_sizes=list(settings.encoder_hidden_sizes),
            input_size=input_size,
            output_size=output_size,
            **deepcopy(settings.encoder_arguments),
        ).to(device)
    agent = Agent.from_settings(encoder, settings, family).to(device)
    agent.warnings = warnings
    return agent


class Learner:
    def __init__(
        self,
        settings: Settings,
        agent: Agent,
        family: Callable[[int], TaskFamily],
        train_tasks: np.ndarray,
        streams: Mapping[str, np.random.Generator],
    ):
        """`family(num_rows)` builds the task family; tasks are (task, parameter)."""
        self.settings, self.agent, self.rngs = settings, agent, dict(streams)
        self.make_family, self.families = family, {}
        self.train_tasks = train_tasks
        self.gradient_step = GradientStep.from_settings(agent, settings)
        rows = self._family(len(train_tasks))
        self.horizon, self.sparse = rows.horizon, rows.sparse
        layout = Layout(rows.observation_dim, rows.action_dim)
        transitions = transition_capacity(settings, rows.horizon)
        self.store = TransitionStore(layout, transitions + -(-transitions // rows.horizon), agent.device)
        self.replay = Positions(len(train_tasks))  # everything ever collected, a list per training task
        self.context = Positions(len(train_tasks))  # the last collection's context, a list per training task
        self.iteration = 0
        self.steps_taken = 0  # gradient steps of the present iteration
        self.gradient_steps = 0
        self.loss_sums = torch.zeros(len(Losses._fields) + 1, dtype=torch.float64, device=agent.device)
        self.train_returns: list[float] = []
        self.first_rewards: list[float] = []  # one per training task
        self.first_losses: list[torch.Tensor] = []  # one per gradient step, (loss,)

    @property
    def environment_steps(self) -> int:
        return int(self.replay.sizes.sum())

    def train(self) -> Iterator[Row | float]:
        """A Row per iteration, and before it, after every gradient step, the share of them taken."""
        while self.iteration < self.settings.num_iterations:
            if self.steps_taken == 0:
                self._collect()
            while self.steps_taken < self.settings.num_train_steps_per_itr:
                self._take_gradient_step()
                yield self.steps_taken / self.settings.num_train_steps_per_itr
            yield self._finish_iteration()

    def _finish_iteration(self) -> Row:
        self._check_finite()
        means = (self.loss_sums / self.steps_taken).tolist()
        train_return = float(np.mean(self.train_returns))
        row = Row(self.iteration, self.environment_steps, self.gradient_steps, train_return, *means)
        self.iteration += 1
        self.steps_taken = 0
        return row

    # --- collecting ---------------------------------------------------------------------------------------------------

    def _collect(self) -> None:
        s = self.settings
        self.agent.train()
        if self.iteration == 0:
            everyone = np.arange(len(self.train_tasks))
            initial = Positions(len(everyone))
            self._collect_phase(everyone, s.num_initial_steps, initial, posterior=False, keep_context=True)
            self._keep_context(everyone, initial)
            self.first_rewards = [self._first_reward(task) for task in everyone]
        self.train_returns = []
        tasks = self.rngs["tasks"].integers(len(self.train_tasks), size=s.num_tasks_sample)
        context = Positions(len(tasks))  # a row each: a task drawn twice is two collections
        self._collect_phase(tasks, s.num_steps_prior, context, posterior=False, keep_context=True)
        self._collect_phase(tasks, s.num_steps_posterior, context, posterior=True, keep_context=True)
        self._collect_phase(tasks, s.num_extra_rl_steps_posterior, context, posterior=True, keep_context=False)
        self._keep_context(tasks, context)
        self.loss_sums.zero_()

    @torch.no_grad()  # not inference_mode: an encoder may keep a tensor that it later trains with
    def _collect_phase(
        self, tasks: np.ndarray, num_steps: int, context: Positions, *, posterior: bool, keep_context: bool
    ) -> None:
        """Collect whole trajectories, one row per task, until each has `num_steps`. Every phase begins at the prior."""
        s = self.settings
        steps = np.zeros(len(tasks), int)
        belief = self.agent.prior(len(tasks))
        num_trajectories = 0
        while (unfinished := np.flatnonzero(steps < num_steps)).size:
            act = self.agent.actor(self.agent.draw_latent(belief, self.rngs["latents"]), self.rngs["actions"])
            rows = self._family(len(tasks))
            trajectories = rollout(rows, self.train_tasks[tasks], act, self.horizon, self.rngs["resets"])
            num_trajectories += 1
            for row in unfinished:  # a row that has its steps idles along
                length = int(trajectories.length[row])
                start = self.store.append(trajectories, row, self.sparse)
                self.replay.add(tasks[row], start, length)
                if keep_context:
                    context.add(row, start, length)
                steps[row] += length
            self.train_returns.extend(trajectories.returns(self.sparse)[unfinished].tolist())
            if not posterior:
                belief = self.agent.prior_again(belief)
            elif num_trajectories % s.update_post_train == 0:
                belief = self._infer(context, np.arange(len(tasks)))

    def _infer(self, context: Positions, lists: np.ndarray) -> Posterior:
        if not context.sizes[lists].all():
            return self.agent.prior(len(lists))
        return self.agent.infer(self._draw_context(context, lists, self.context_length))

    def _keep_context(self, tasks: np.ndarray, collected: Positions) -> None:
        """Replace the tasks' context buffers by what their rows collected; of two rows of a task the second stays."""
        for row, task in enumerate(tasks):
            self.context.replace(task, collected.episodes[row])

    def _first_reward(self, task: int) -> float:
        """The dense reward over the first steps of a task's first trajectory."""
        start, length = self.replay.episodes[task][0]
        return float(self.store.rows[start : start + min(length, FIRST_STEPS), -1].double().sum())

    # --- learning -----------------------------------------------------------------------------------------------------

    @property
    def context_length(self) -> int:
        """Context transitions per task from which the posterior is inferred in training."""
        length = self.settings.embedding_batch_size
        return min(length, self.settings.max_recurrent_context) if self.agent.is_recurrent else length

    def _take_gradient_step(self) -> None:
        """One step, or one a chunk of the context where embedding_mini_batch_size is smaller than the context."""
        s = self.settings
        tasks = self.rngs["tasks"].integers(len(self.train_tasks), size=s.meta_batch)
        context = self._draw_context(self.context, tasks, self.context_length)
        chunk = min(s.embedding_mini_batch_size or self.context_length, self.context_length)
        num_chunks = self.context_length // chunk
        self.agent.reset_encoder(len(tasks))
        for k in range(num_chunks):
            result = self.gradient_step(self._draw_batch(tasks, context[:, k * chunk : (k + 1) * chunk]))
            with encoder_at_fault():
                encoder_state.detach_hidden(self.agent.context_encoder)
            variance = result.posterior.variance
            mean_variance = result.z.new_zeros(()) if variance is None else variance.mean()
            self.loss_sums += torch.stack([*result.losses, mean_variance]).double() / num_chunks
            self.gradient_steps += 1
            if self.iteration == 0 and self.gradient_steps <= FIRST_STEPS:
                self.first_losses.append(torch.stack(result.losses))
        self.steps_taken += 1
        if self.agent.device.type == "cpu" and self.steps_taken % FINITE_CHECK_EVERY == 0:
            self._check_finite()

    def _draw_batch(self, tasks: np.ndarray, context: torch.Tensor) -> Batch:
        s, device = self.settings, self.agent.device
        positions = self.replay.draw(tasks, s.batch_size, self.rngs["batches"])
        drawn = self.store.gather(positions)
        z_noise = self.rngs["noise"].standard_normal((len(tasks), s.latent_dim), dtype=np.float32)
        action_noise = self.rngs["noise"].standard_normal(drawn.action.shape, dtype=np.float32)
        noise = (to_device(array, device) for array in (z_noise, action_noise))
        return Batch(
            drawn.observation, drawn.action, drawn.reward, drawn.next_observation, drawn.terminal, context, *noise
        )

    def _draw_context(self, source: Positions, lists: np.ndarray, length: int) -> torch.Tensor:
        draw = source.draw_ordered if self.agent.is_recurrent else source.draw
        positions = draw(lists, length, self.rngs["batches"])
        return self.store.gather_context(positions, self.settings.use_next_obs_in_context)

    def _check_finite(self) -> None:
        if not torch.isfinite(self.loss_sums).all():
            raise TrialFailure(f"the losses became non-finite by gradient step {self.gradient_steps}")

    # --- the state ----------------------------------------------------------------------------------------------------

    def start(self) -> dict[str, Any]:
        """What other hardware reproduces too, within rounding, before chaos sets in."""
        return {
            "first_rewards": self.first_rewards,
            "first_losses": [_finite(losses.tolist()) for losses in self.first_losses],
        }

    def state_dict(self) -> dict[str, Any]:
        """Tensors are not copied: write them before training goes on."""
        with encoder_at_fault():
            memory, attributes = encoder_state.capture(self.agent.context_encoder)
        return {
            "optimizers": {name: adam.state_dict() for name, adam in self.gradient_step.optimizers().items()},
            "encoder": {"memory": memory, "attributes": attributes},
            "store": Log(self.store.rows[: self.store.size]),
            "replay": self.replay.episodes,
            "context": self.context.episodes,
            "loss_sums": self.loss_sums,
            "first_losses": {str(step): losses for step, losses in enumerate(self.first_losses)},
            **{name: getattr(self, name) for name in COUNTERS},
        }

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, adam in self.gradient_step.optimizers().items():
            adam.load_state_dict(state["optimizers"][name])
        with encoder_at_fault():
            encoder = state["encoder"]
            encoder_state.restore(self.agent.context_encoder, encoder["memory"], encoder["attributes"])
        self.store.extend(state["store"].rows)
        self.replay, self.context = Positions.of(state["replay"]), Positions.of(state["context"])
        self.loss_sums.copy_(state["loss_sums"])
        self.first_losses = [state["first_losses"][str(step)] for step in range(len(state["first_losses"]))]
        for name in COUNTERS:
            setattr(self, name, state[name])

    def _family(self, num_rows: int) -> TaskFamily:
        if num_rows not in self.families:
            self.families[num_rows] = self.make_family(num_rows)
        return self.families[num_rows]


def transition_capacity(settings: Settings, horizon: int) -> int:
    """The most transitions that a trial can collect: whole trajectories, so each phase may run over by almost one."""

    def most(num_steps: int) -> int:
        return num_steps + horizon - 1 if num_steps else 0

    phases = (settings.num_steps_prior, settings.num_steps_posterior, settings.num_extra_rl_steps_posterior)
    an_iteration = settings.num_tasks_sample * sum(most(steps) for steps in phases)
    return settings.train_tasks * most(settings.num_initial_steps) + settings.num_iterations * an_iteration


def _finite(values: list[float]) -> list[float | None]:
    """JSON has no word for what is not finite: None."""
    return [value if math.isfinite(value) else None for value in values]
