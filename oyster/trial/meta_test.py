"""Meta-test: explore with z from the prior, infer the posterior from what was seen, adapt (protocol of the reference).

The context comes from the exploration itself and from nothing else.
"""

from typing import NamedTuple

import numpy as np
import torch

from oyster.algorithms.pearl.agent import Agent
from oyster.algorithms.pearl.posterior import Posterior
from oyster.algorithms.settings import Settings
from oyster.envs.family import TaskFamily
from oyster.rl.rollout import Trajectories, rollout
from oyster.runtime.errors import TrialFailure


class Run(NamedTuple):
    """One test task, met once."""

    task: int
    evaluation: int
    returns: list[float]  # a trajectory each; the last one is the result
    posteriors: list[tuple[np.ndarray, np.ndarray | None]]  # before each trajectory and after the last: mean, variance
    traces: list[np.ndarray]  # a trajectory each


class MetaTest(NamedTuple):
    runs: list[Run]  # tasks in order, evaluations within

    def meta_test_return(self) -> float:
        """The last trajectory's return, averaged over evaluations, then over tasks."""
        return float(np.mean(self.task_returns()))

    def task_returns(self) -> list[float]:
        by_task: dict[int, list[float]] = {}
        for run in self.runs:
            by_task.setdefault(run.task, []).append(run.returns[-1])
        return [float(np.mean(returns)) for returns in by_task.values()]

    def trajectory_returns(self) -> list[float]:
        """Mean over all runs at each adaptation trajectory that every run has."""
        shared = min(len(run.returns) for run in self.runs)
        return [float(np.mean([run.returns[k] for run in self.runs])) for k in range(shared)]


@torch.no_grad()  # not inference_mode: an encoder may keep a tensor that it later trains with
def meta_test(
    agent: Agent, family: TaskFamily, tasks: np.ndarray, settings: Settings, rng: np.random.Generator
) -> MetaTest:
    """Meet every test task `evaluations` times, all at once: `family` has len(tasks) · evaluations rows. The policy is
    deterministic; `rng` draws resets and z. Leaves the agent in the mode (train or eval) in which it was.
    """
    was_training = agent.training
    agent.set_mode(training=False)
    rows_task = np.repeat(np.arange(len(tasks)), settings.evaluations)  # (row,)
    runs = [Run(int(task), row % settings.evaluations, [], [], []) for row, task in enumerate(rows_task)]
    context = [np.empty((0, 0), np.float32)] * len(runs)  # a row's transitions so far, (transition, feature)
    steps = np.zeros(len(runs), int)

    posterior = agent.prior(len(runs))
    _record(posterior, runs, range(len(runs)))
    num_trajectories = 0
    while (unfinished := np.flatnonzero(steps < settings.num_steps_per_eval)).size:
        z = agent.draw_latent(posterior, rng)
        trajectories = rollout(family, tasks[rows_task], agent, z, family.horizon, resets=rng, actions=None)
        returns = trajectories.returns(family.sparse)
        num_trajectories += 1
        for row in unfinished:  # a row that has its steps idles along
            seen = context_features(trajectories, row, family.sparse, settings.use_next_obs_in_context)
            context[row] = np.concatenate([context[row], seen]) if len(context[row]) else seen
            steps[row] += trajectories.length[row]
            runs[row].returns.append(float(returns[row]))
            runs[row].traces.append(trajectories.trace_of(row))
        if num_trajectories >= settings.num_exp_traj_eval:
            posterior = _infer(agent, context)
        _record(posterior, runs, unfinished)
    agent.set_mode(training=was_training)
    return MetaTest(runs)


def context_features(trajectories: Trajectories, row: int, sparse: bool, next_obs: bool) -> np.ndarray:
    """A row's trajectory as context transitions, (transition, feature): the columns of replay.Layout's prefix."""
    length = trajectories.length[row]
    reward = trajectories.sparse_reward if sparse else trajectories.reward
    columns = [trajectories.observation[row], trajectories.action[row], reward[row, :, None]]
    if next_obs:
        columns.append(trajectories.next_observation[row])
    return np.concatenate([column[:length] for column in columns], axis=1)


def _infer(agent: Agent, context: list[np.ndarray]) -> Posterior:
    """All rows at once where their contexts are equally long, else (where episodes end by themselves) one by one."""
    if len({len(rows) for rows in context}) == 1:
        return agent.infer(torch.from_numpy(np.stack(context)).to(agent.device))
    alone = [agent.infer(torch.from_numpy(rows[None]).to(agent.device)) for rows in context]
    variance = None if alone[0].variance is None else torch.cat([posterior.variance for posterior in alone])
    return Posterior(torch.cat([posterior.mean for posterior in alone]), variance)


def _record(posterior: Posterior, runs: list[Run], rows) -> None:
    mean = posterior.mean.cpu().numpy()
    variance = None if posterior.variance is None else posterior.variance.cpu().numpy()
    if not all(np.isfinite(part).all() for part in (mean, variance) if part is not None):
        raise TrialFailure("the encoder's posterior is not finite")
    for row in rows:
        runs[row].posteriors.append((mean[row], None if variance is None else variance[row]))
