"""PEARL's meta-training loop: collect, take gradient steps, meta-test; a row of progress an iteration.

The loop's state is explicit, so that it can stop between any two gradient steps and go on as if it had not.
"""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch

from oyster.algorithms.pearl.agent import Agent
from oyster.algorithms.pearl.gradient_step import Batch, GradientStep, Losses
from oyster.algorithms.pearl.posterior import Posterior
from oyster.algorithms.settings import Settings
from oyster.envs.family import TaskFamily
from oyster.rl.replay import Layout, Positions, TransitionStore
from oyster.rl.rollout import rollout
from oyster.runtime import seeds
from oyster.runtime.device import to_device
from oyster.runtime.errors import TrialFailure, encoder_at_fault
from oyster.trial.meta_test import MetaTest, meta_test

FIRST_STEPS = 20  # environment steps, and as many gradient steps, by which a start is told (see `start`)
FINITE_CHECK_EVERY = 50  # gradient steps between two looks at the losses; on a GPU, which a look would stop, none


class Row(NamedTuple):
    """One iteration, as progress.csv shows it. Steps are cumulative; meta-test steps are not counted."""

    iteration: int
    environment_steps: int
    gradient_steps: int
    meta_test_return: float
    train_return: float  # mean return of the trajectories collected in this iteration
    qf_loss: float  # losses: means over the iteration's gradient steps
    vf_loss: float
    policy_loss: float
    kl_divergence: float
    posterior_variance: float  # mean variance of q(z|c) over the iteration's gradient steps


class MetaTraining:
    """One trial's meta-training. `run()` yields after every iteration."""

    def __init__(
        self,
        settings: Settings,
        agent: Agent,
        make_family: Callable[[int], TaskFamily],
        train_tasks: np.ndarray,
        test_tasks: np.ndarray,
    ):
        """`make_family(num_rows)` builds the task family; tasks are (task, parameter)."""
        self.settings, self.agent = settings, agent
        self.make_family, self.families = make_family, {}
        self.train_tasks, self.test_tasks = train_tasks, test_tasks
        self.gradient_step = GradientStep.from_settings(agent, settings)
        family = self._family(len(train_tasks))
        self.horizon, self.sparse = family.horizon, family.sparse
        layout = Layout(family.observation_dim, family.action_dim)
        self.store = TransitionStore(layout, transition_capacity(settings, family.horizon), agent.device)
        self.replay = Positions(len(train_tasks))  # everything ever collected, a list a training task
        self.context = Positions(len(train_tasks))  # the last collection's context, a list a training task
        self.rngs = {
            name: seeds.generator(settings.seed, name) for name in seeds.STREAMS if name not in ("torch", "meta_test")
        }
        self.iteration = 0
        self.steps_taken = 0  # gradient steps of the present iteration
        self.gradient_steps = 0
        self.loss_sums = torch.zeros(len(Losses._fields) + 1, dtype=torch.float64, device=agent.device)
        self.train_returns: list[float] = []
        self.rows: list[Row] = []
        self.first_rewards: list[float] = []  # a training task each
        self.first_losses: list[torch.Tensor] = []  # a gradient step each, (loss,)
        self.last_test: MetaTest | None = None

    def run(self, on_gradient_step: Callable[["MetaTraining"], None] = lambda training: None) -> Iterator[Row]:
        """Train from wherever the state stands. Raises TrialFailure, with its iteration, where the encoder fails."""
        try:
            while self.iteration < self.settings.num_iterations:
                if self.steps_taken == 0:
                    self._collect()
                while self.steps_taken < self.settings.num_train_steps_per_itr:
                    self._take_gradient_step()
                    on_gradient_step(self)
                yield self._finish_iteration()
        except TrialFailure as failure:
            failure.iteration = self.iteration
            raise

    # --- collecting ---------------------------------------------------------------------------------------------------

    def _collect(self) -> None:
        s = self.settings
        self.agent.set_mode(training=True)
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
        """Collect whole trajectories, a row a task, until each row has `num_steps`. Every phase begins at the prior."""
        s = self.settings
        steps = np.zeros(len(tasks), int)
        belief = self.agent.prior(len(tasks))
        num_trajectories = 0
        while (unfinished := np.flatnonzero(steps < num_steps)).size:
            trajectories = rollout(
                self._family(len(tasks)),
                self.train_tasks[tasks],
                self.agent,
                self.agent.draw_latent(belief, self.rngs["latents"]),
                self.horizon,
                resets=self.rngs["resets"],
                actions=self.rngs["actions"],
            )
            num_trajectories += 1
            for row in unfinished:  # a row that has its steps idles along
                length = int(trajectories.length[row])
                start = self.store.append(trajectories, row, self.sparse)
                self.replay.add(tasks[row], start, length)
                if keep_context:
                    context.add(row, start, length)
                steps[row] += length
            self.train_returns.extend(trajectories.returns(self.sparse)[unfinished].tolist())
            if posterior and num_trajectories % s.update_post_train == 0:
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
        """Context transitions a task from which the posterior is inferred in training."""
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
                _detach_hidden(self.agent.context_encoder)
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
        observation, action, _, next_observation, terminal, reward = self.store.gather(positions)
        z_noise = self.rngs["noise"].standard_normal((len(tasks), s.latent_dim), dtype=np.float32)
        action_noise = self.rngs["noise"].standard_normal(action.shape, dtype=np.float32)
        noise = (to_device(array, device) for array in (z_noise, action_noise))
        return Batch(observation, action, reward, next_observation, terminal, context, *noise)

    def _draw_context(self, source: Positions, lists: np.ndarray, length: int) -> torch.Tensor:
        draw = source.draw_ordered if self.agent.is_recurrent else source.draw
        positions = draw(lists, length, self.rngs["batches"])
        return self.store.gather_context(positions, self.settings.use_next_obs_in_context)

    def _check_finite(self) -> None:
        if not torch.isfinite(self.loss_sums).all():
            raise TrialFailure(f"the losses became non-finite by gradient step {self.gradient_steps}")

    # --- testing ------------------------------------------------------------------------------------------------------

    def _finish_iteration(self) -> Row:
        self._check_finite()
        if not all(torch.isfinite(value).all() for value in self.agent.weights().values()):
            raise TrialFailure(f"the weights became non-finite by gradient step {self.gradient_steps}")
        test = self._meta_test()
        means = (self.loss_sums / self.steps_taken).tolist()
        row = Row(
            self.iteration,
            self.store.size,
            self.gradient_steps,
            test.meta_test_return(),
            float(np.mean(self.train_returns)),
            *means,
        )
        self.rows.append(row)
        self.last_test = test
        self.iteration += 1
        self.steps_taken = 0
        return row

    def _meta_test(self) -> MetaTest:
        """Draws from streams of its own, so that testing leaves training as it was."""
        s = self.settings
        family = self._family(len(self.test_tasks) * s.evaluations)
        rng = seeds.generator(s.seed, "meta_test", self.iteration)
        with seeds.separate_torch_stream(s.seed, 1 + self.iteration):
            return meta_test(self.agent, family, self.test_tasks, s, rng)

    def start(self) -> dict:
        """How the trial began: what other hardware reproduces too, within rounding, before chaos sets in."""
        return {
            "train_tasks": self.train_tasks.tolist(),
            "test_tasks": self.test_tasks.tolist(),
            "first_rewards": self.first_rewards,
            "first_losses": [_finite(losses.tolist()) for losses in self.first_losses],
        }

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


def _detach_hidden(encoder: torch.nn.Module) -> None:
    """Cut the gradient between two chunks of a context at the encoder's `hidden` (a tensor or a tuple), if any."""
    hidden = getattr(encoder, "hidden", None)
    if isinstance(hidden, torch.Tensor):
        encoder.hidden = hidden.detach()
    elif isinstance(hidden, tuple):
        encoder.hidden = tuple(part.detach() if isinstance(part, torch.Tensor) else part for part in hidden)
