"""The outer loop of a trial, for every algorithm: train, and meta-test whenever the learner wants it."""

from collections import namedtuple
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import nn

from oyster import algorithms
from oyster.algorithms.settings import Settings
from oyster.envs.family import TaskFamily
from oyster.runtime import seeds
from oyster.runtime.errors import TrialFailure
from oyster.trial.meta_test import MetaTest, meta_test

COUNTED = 3  # columns before the return: iteration, environment_steps, gradient_steps


class Training:
    """One trial's meta-training. `run()` yields after every iteration a line of progress.csv, a NamedTuple."""

    def __init__(
        self,
        settings: Settings,
        agent: nn.Module,
        family: Callable[[int], TaskFamily],
        train_tasks: np.ndarray,
        test_tasks: np.ndarray,
    ):
        """`family(num_rows)` builds the task family; tasks are (task, parameter)."""
        self.settings, self.agent, self.family = settings, agent, family
        self.train_tasks, self.test_tasks = train_tasks, test_tasks
        named = (name for name in seeds.STREAMS if name not in ("torch", "meta_test"))
        self.streams = {name: seeds.generator(settings.seed, name) for name in named}
        algorithm = algorithms.load(settings.algorithm)
        self.learner = algorithm.Learner(settings, agent, family, train_tasks, self.streams)
        self.line = progress_line(algorithm.Row)
        self.rows: list[tuple] = []
        self.share = 0.0  # of the present iteration
        self.last_test: MetaTest | None = None

    @property
    def iteration(self) -> int:
        """Those that are done, which is the number of the present one."""
        return len(self.rows)

    def run(self, at_share: Callable[["Training"], None] = lambda training: None) -> Iterator[Any]:
        """Train from wherever the state stands. Raises TrialFailure, with its iteration, where the agent fails.

        `at_share` is called inside an iteration, where a checkpoint may be written.
        """
        try:
            for step in self.learner.train():
                if isinstance(step, float):
                    self.share = step
                    at_share(self)
                else:
                    yield self._finish_iteration(step)
        except TrialFailure as failure:
            failure.iteration = self.iteration
            raise

    def _finish_iteration(self, row: tuple) -> Any:
        if not all(torch.isfinite(value).all() for value in self.agent.state_dict().values()):
            raise TrialFailure(f"the weights became non-finite by gradient step {self.learner.gradient_steps}")
        test = self.meta_test()
        line = self.line(*row[:COUNTED], test.meta_test_return(), *row[COUNTED:])
        self.rows.append(line)
        self.last_test, self.share = test, 0.0
        return line

    def meta_test(self) -> MetaTest:
        """That of the present iteration. Draws from streams of its own, so that testing leaves training as it was."""
        s = self.settings
        family = self.family(len(self.test_tasks) * s.evaluations)
        rng = seeds.generator(s.seed, "meta_test", self.iteration)
        with seeds.separate_torch_stream(s.seed, 1 + self.iteration):
            return meta_test(self.agent, family, self.test_tasks, s, rng)

    def start(self) -> dict[str, Any]:
        """start.json: how the trial began."""
        tasks = {"train_tasks": self.train_tasks.tolist(), "test_tasks": self.test_tasks.tolist()}
        return tasks | self.learner.start()

    def state_dict(self) -> dict[str, Any]:
        """All of it: tensors and plain values, nested. Tensors are not copied: write them before training goes on."""
        return {
            "agent": self.agent.state_dict(),
            "learner": self.learner.state_dict(),
            "streams": {name: stream.bit_generator.state for name, stream in self.streams.items()},
            "torch": seeds.torch_state(),
            "rows": self.rows,
            "share": self.share,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put a freshly assembled Training of the same trial where the other one was."""
        self.agent.load_state_dict(state["agent"])
        self.agent.train()
        self.learner.load_state_dict(state["learner"])
        for name, saved in state["streams"].items():
            self.streams[name].bit_generator.state = saved
        self.rows = [self.line(*row) for row in state["rows"]]
        self.share = state["share"]
        seeds.set_torch_state(state["torch"])


@cache
def progress_line(row: type) -> type:
    """An algorithm's row with meta_test_return as its fourth column."""
    return namedtuple("Row", (*row._fields[:COUNTED], "meta_test_return", *row._fields[COUNTED:]))
