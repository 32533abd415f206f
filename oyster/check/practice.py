"""An encoder at work on made-up tasks: a short training by real gradient steps, and what such steps cost."""

import gc
import time
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from oyster.algorithms.pearl.agent import Agent
from oyster.algorithms.pearl.gradient_step import Batch, GradientStep, Losses
from oyster.algorithms.pearl.settings import Settings
from oyster.algorithms.pearl.subject import Breach, Subject
from oyster.runtime.errors import TrialFailure
from rlkit.torch import pytorch_util as ptu

NUM_TASKS, BATCH_SIZE, CONTEXT_LENGTH, NET_SIZE = 4, 16, 16, 32  # of the short training
TRAINING_SECONDS = 15.0  # at most: a slow encoder takes fewer steps
FINITE_CHECK_EVERY = 20  # gradient steps
TIMINGS, SECONDS_AN_ENVIRONMENT = 9, 4.0


class Practice:
    """An agent that takes gradient steps on made-up tasks: an action's reward is its distance from a hidden one."""

    def __init__(self, subject: Subject, encoder: nn.Module, net_size: int):
        s = subject.settings
        agent = Agent(encoder, *subject.dims, s.latent_dim, net_size, s.use_information_bottleneck).to(ptu.device)
        self.subject, self.encoder = subject, encoder
        self.gradient_step = GradientStep.from_settings(agent, s)
        self.rng = np.random.Generator(np.random.PCG64(0))

    def step(self) -> Losses:
        """A small gradient step on new tasks."""
        return self.learn(self.draw(NUM_TASKS, BATCH_SIZE, CONTEXT_LENGTH))

    def learn(self, batch: Batch) -> Losses:
        """From a fresh reset, as in a trial."""
        self.encoder.reset(num_tasks=len(batch.context))
        return self.gradient_step(batch).losses

    def draw(self, num_tasks: int, batch_size: int, context_length: int) -> Batch:
        settings, (observation_dim, action_dim), rng = self.subject.settings, self.subject.dims, self.rng
        hidden_action = rng.uniform(-1.0, 1.0, (num_tasks, 1, action_dim))

        def transitions(count: int) -> list[torch.Tensor]:
            observation = rng.standard_normal((num_tasks, count, observation_dim))
            action = rng.uniform(-1.0, 1.0, (num_tasks, count, action_dim))
            reward = -np.square(action - hidden_action).mean(axis=-1, keepdims=True)
            next_observation = observation + 0.1 * rng.standard_normal(observation.shape)
            return [ptu.from_numpy(array) for array in (observation, action, reward, next_observation)]

        context = torch.cat(transitions(context_length)[: 4 if settings.use_next_obs_in_context else 3], dim=-1)
        observation, action, reward, next_observation = transitions(batch_size)
        noise_shapes = (num_tasks, settings.latent_dim), action.shape
        noise = (ptu.from_numpy(rng.standard_normal(shape)) for shape in noise_shapes)
        return Batch(observation, action, reward, next_observation, torch.zeros_like(reward), context, *noise)


class Candidate(Subject):
    """A subject that is also judged after a short training, where what started at zero has come to life."""

    def __init__(self, encoder_class, settings: Settings, family, num_steps: int):
        super().__init__(encoder_class, settings, family)
        self.num_steps, self.steps_taken = num_steps, 0

    @cached_property
    def trained(self) -> nn.Module | TrialFailure:
        """An encoder after the short training, or how that failed."""
        try:
            return self._train()
        except TrialFailure as failure:
            return failure

    @property
    def states(self) -> list[dict[str, torch.Tensor] | None]:
        """`state` for `construct`: fresh (None) and, where the training went well, trained."""
        return [None] if isinstance(self.trained, TrialFailure) else [None, self.trained.state_dict()]

    def _train(self) -> nn.Module:
        encoder = self.construct()
        practice = Practice(self, encoder, NET_SIZE)
        fix = "look for sums that grow from call to call, and for logs, exps and divisions without a clamp or epsilon"
        deadline = time.monotonic() + TRAINING_SECONDS
        for step in range(1, self.num_steps + 1):
            try:
                losses = practice.step()
            except TrialFailure as failure:
                raise Breach(f"gradient step {step}: {failure.reason}", fix) from failure
            if step % FINITE_CHECK_EVERY == 0 and not torch.isfinite(torch.stack(losses)).all():
                raise Breach(f"by gradient step {step} the losses were not finite", fix)
            self.steps_taken = step
            if time.monotonic() > deadline:
                break
        if not all(torch.isfinite(value).all() for value in encoder.state_dict().values()):
            raise Breach(f"after {self.steps_taken} gradient steps the weights are not finite", fix)
        for mode in (True, False):
            self.posterior(encoder.train(mode), self.context(NUM_TASKS, CONTEXT_LENGTH))
        return encoder.eval()


def graphs_released(subject: Candidate) -> str:
    """Two steps in a row, then ten in which nothing piles up."""
    practice = Practice(subject, subject.construct(), NET_SIZE)
    fix = "compute in forward whatever needs a gradient; drop or detach() what is kept, at the latest in reset"
    practice.step()
    try:
        practice.step()
    except TrialFailure as failure:
        raise Breach(f"the first gradient step went well, the second did not: {failure.reason}", fix) from failure
    before = _alive()
    for _ in range(10):
        practice.step()
    tensors, nodes = (after - first for after, first in zip(_alive(), before, strict=True))
    if tensors >= 10 or nodes >= 10:
        raise Breach(f"10 gradient steps left {tensors} more tensors and {nodes} more graph nodes in memory", fix)
    return "12 gradient steps in a row; nothing piles up"


def _alive() -> tuple[int, int]:
    """Tensors in memory, and autograd nodes that hang on them."""
    gc.collect()
    tensors = [thing for thing in gc.get_objects() if issubclass(type(thing), torch.Tensor)]
    waiting, nodes = [tensor.grad_fn for tensor in tensors if tensor.grad_fn is not None], set()
    while waiting:
        node = waiting.pop()
        if node not in nodes:
            nodes.add(node)
            waiting.extend(following for following, _ in node.next_functions if following is not None)
    return len(tensors), len(nodes)


class Cost(NamedTuple):
    """Of one environment, at the budget's sizes."""

    environment: str
    milliseconds: float  # a gradient step
    milliseconds_mlp: float
    num_steps: int  # gradient steps of a trial


def measure_cost(subject: Subject, mlp: Subject) -> Cost:
    """Gradient steps of both, in turn: the medians."""
    s = subject.settings
    learners = []
    for each in (subject, mlp):
        encoder = each.construct()
        recurrent = getattr(encoder, "IS_RECURRENT", False)
        length = min(s.embedding_batch_size, s.max_recurrent_context) if recurrent else s.embedding_batch_size
        practice = Practice(each, encoder, s.net_size)
        learners.append((practice, practice.draw(s.meta_batch, s.batch_size, length), []))
    started = time.perf_counter()
    for _ in range(1 + TIMINGS):
        for practice, batch, seconds in learners:
            before = time.perf_counter()
            float(practice.learn(batch).qf_loss)  # waits for the device
            seconds.append(time.perf_counter() - before)
        if time.perf_counter() - started > SECONDS_AN_ENVIRONMENT:
            break
    # The first one warms up; where one is too slow for a second, it has to do.
    own, reference = (1000.0 * float(np.median(seconds[1:] or seconds)) for *_, seconds in learners)
    return Cost(s.environment, own, reference, s.num_iterations * s.num_train_steps_per_itr)
