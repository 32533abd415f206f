"""A task family as a gymnasium environment: one task at a time, for whatever speaks gymnasium."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.error import ResetNeeded
from gymnasium.spaces import Box
from numpy.typing import ArrayLike

from oyster.envs import family_name, load_family
from oyster.envs.family import TaskFamily
from oyster.runtime.errors import InputError


def make(name: str, task: int | ArrayLike = 0, seed: int = 0) -> "TaskEnv":
    """A gymnasium environment of a task family, in one task.

    name: a task family, as cheetah-vel, or the file of one's own. `oyster.envs.families()` lists them.
    task: its parameters, as [1.5] for 1.5 m/s; or a number, of the family's short list of test tasks
    (`TaskEnv.tasks`). A trained agent's `test_tasks` are those of its trial.
    seed: of the start states; reset(seed=…) starts anew from another one.

    The reward is the one that an agent is shown and judged by: the sparse one where the family is sparse. An info has
    `reward_dense`, `reward_sparse`, `return` (of the episode so far) and `task`; `success` too where the family says
    it. InputError where there is no such family or task.
    """
    name = family_name(str(name))
    env = TaskEnv(load_family(name), task, seed)
    arguments = {"name": name, "task": task, "seed": seed}
    env.spec = EnvSpec(f"oyster/{name}-v0", f"{__name__}:make", max_episode_steps=env.horizon, kwargs=arguments)
    return env


class TaskEnv(gymnasium.Env):
    """One row of a family. Actions lie in [-1, 1]; what lies outside is clipped. It is cut at the horizon."""

    metadata = {"render_modes": []}  # noqa: RUF012  gymnasium's own way

    def __init__(self, family: type[TaskFamily], task: int | ArrayLike = 0, seed: int = 0):
        self.family, self.horizon = family, family.horizon
        self.observation_space = Box(-np.inf, np.inf, (family.observation_dim,), np.float32)
        self.action_space = Box(-1.0, 1.0, (family.action_dim,), np.float32, seed=seed)
        self.task = self._parameters(task)  # (parameter,) float64
        self._rows = family(1)
        self._steps_left, self._return = 0, 0.0
        super().reset(seed=seed)

    @property
    def tasks(self) -> np.ndarray:
        """The family's short list of test tasks, (task, parameter)."""
        return self.family.tasks(*self.family.task_counts)[1]

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """A start state and its info. options: {"task": …} as `make` takes it, for this episode and those after it."""
        super().reset(seed=seed)
        if options and "task" in options:
            self.task = self._parameters(options["task"])
        observation = self._rows.reset(self.task[None], self.np_random)
        self._steps_left, self._return = self.horizon, 0.0
        return observation[0].copy(), {"task": self.task.copy()}

    def step(self, action: ArrayLike) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """observation (observation_dim,), reward, terminated, truncated, info. ResetNeeded where no episode runs."""
        if not self._steps_left:
            raise ResetNeeded("No episode is running: call reset() first, and again after each episode's end.")
        action = np.array(action, np.float32)
        if action.shape != self.action_space.shape:
            raise InputError(f"The action has the shape {action.shape}; expected {self.action_space.shape}.")
        step = self._rows.step(action[None])
        dense, sparse, terminal = float(step.reward[0]), float(step.sparse_reward[0]), bool(step.terminal[0])
        reward = sparse if self.family.sparse else dense
        self._steps_left = 0 if terminal else self._steps_left - 1
        self._return += reward
        info = {"reward_dense": dense, "reward_sparse": sparse, "return": self._return, "task": self.task.copy()}
        if self.family.success:
            info["success"] = bool(step.success[0])
        return step.observation[0].copy(), reward, terminal, not terminal and not self._steps_left, info

    def _parameters(self, task: int | ArrayLike) -> np.ndarray:
        """(parameter,) float64 of a task, or of a number in the list. InputError for anything else."""
        width, names = self.family.task_width(), ", ".join(self.family.parameter_names)
        expected = f"{width} finite parameters{names and f' ({names})'}, or the number of a test task, 0 to "
        expected += f"{len(self.tasks) - 1}"
        if isinstance(task, (int, np.integer)) and not isinstance(task, bool):
            if not 0 <= task < len(self.tasks):
                raise InputError(f"{self.family.__name__} has no test task {task}; expected {expected}.")
            return np.array(self.tasks[task], float)
        try:
            parameters = np.array(task, float)
        except (TypeError, ValueError):
            parameters = np.array(np.nan)
        if parameters.shape != (width,) or not np.isfinite(parameters).all():
            raise InputError(f"{self.family.__name__} cannot use the task {task!r}; expected {expected}.")
        return parameters
