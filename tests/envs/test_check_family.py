"""`oyster check` of a task family: those here keep the contract, and each way of breaking it is told by its name."""

import time

import numpy as np
import pytest
from click.testing import CliRunner

from oyster.check.family import CHECKS, check_family
from oyster.cli import main
from oyster.envs import families, load_family
from oyster.envs.contract import require_family
from oyster.envs.family import TASK_SEED, Step
from oyster.envs.point_robot import MAX_MOVE, PointRobot, dense_reward
from oyster.runtime.errors import InputError
from tests.needs import need_installed


def step_of(rows, action, **changes) -> Step:
    return PointRobot.step(rows, action)._replace(**changes)


class OneNumber(PointRobot):
    """It declares two observations and returns one, which would be broadcast."""

    def reset(self, tasks, rng):
        return super().reset(tasks, rng)[:, :1]


class Double(PointRobot):
    def step(self, action):
        step = super().step(action)
        return step._replace(reward=step.reward.astype(np.float64))


class Wide(PointRobot):
    def step(self, action):
        return step_of(self, action, trace=np.zeros((1, 2), np.float32))


class Misspelt(PointRobot):
    def orcale_action(self):
        return np.zeros((self.num_rows, 2))


class Undeclared(PointRobot):
    horizon = 20.0


class FlatTasks(PointRobot):
    @staticmethod
    def draw_tasks(count, seed=TASK_SEED):
        return np.random.RandomState(seed).uniform(size=count)


class UnseededTasks(PointRobot):
    @staticmethod
    def draw_tasks(count, seed=TASK_SEED):
        return np.random.default_rng().uniform(-1.0, 1.0, size=(count, 2))


class Reordered(PointRobot):
    """Another seed gives another order of one list: training on the benchmark's test tasks."""

    @staticmethod
    def draw_tasks(count, seed=TASK_SEED):
        return np.random.RandomState(seed).permutation(np.arange(2.0 * count).reshape(count, 2))


class GlobalNumPy(PointRobot):
    def reset(self, tasks, rng):
        np.random.uniform()
        return super().reset(tasks, rng)


class Drifting(PointRobot):
    lived = 0

    def step(self, action):
        self.lived += 1
        step = super().step(action)
        return step._replace(reward=(step.reward - 0.01 * self.lived).astype(np.float32))


class Mixed(PointRobot):
    def step(self, action):
        step = super().step(action)
        return step._replace(reward=(step.reward - self._goals.mean()).astype(np.float32))


class Unclipped(PointRobot):
    def step(self, action):
        self._position = self._position + MAX_MOVE * action
        reward = dense_reward(self._position, self._goals).astype(np.float32)
        observation = self._position.astype(np.float32)
        return Step(observation, reward, reward, np.zeros(self.num_rows, bool), observation)


class Exploding(PointRobot):
    def step(self, action):
        step = super().step(action)
        return step._replace(reward=np.full_like(step.reward, np.inf))


class UpsideDown(PointRobot):
    def oracle_action(self):
        return -super().oracle_action()


class Successless(PointRobot):
    success = True


class Rated(PointRobot):
    """It gives success as a number."""

    success = True

    def step(self, action):
        return step_of(self, action, success=np.ones(self.num_rows, np.float32))


class UntoldSuccess(PointRobot):
    def step(self, action):
        return step_of(self, action, success=np.ones(self.num_rows, bool))


class Raising(PointRobot):
    def oracle_action(self):
        raise ValueError("no oracle today")


BROKEN = {
    OneNumber: "reset and step",
    Double: "reset and step",
    Wide: "reset and step",
    Misspelt: "hooks",
    Undeclared: "declared",
    FlatTasks: "tasks",
    UnseededTasks: "seeded tasks",
    Reordered: "seeded tasks",
    GlobalNumPy: "repeatable",
    Drifting: "resets anew",
    Mixed: "rows kept apart",
    Unclipped: "clipping",
    Exploding: "finite",
    UpsideDown: "oracle above idle",
    Successless: "reset and step",
    Rated: "reset and step",
    UntoldSuccess: "reset and step",
    Raising: "reset and step",
}


@pytest.mark.parametrize("name", families())
def test_every_family_here_keeps_the_contract_in_no_time(name):
    family = load_family(name)
    need_installed(family)
    findings = check_family(family)
    assert {finding.check for finding in findings} == CHECKS.keys()
    assert [finding for finding in findings if finding.verdict == "fail"] == []
    started = time.perf_counter()
    require_family(family)
    assert time.perf_counter() - started < 0.5  # it stands before every trial


@pytest.mark.parametrize("broken", BROKEN, ids=lambda family: family.__name__)
def test_each_breach_is_found_under_its_name_with_a_way_out(broken):
    failed = [finding for finding in check_family(broken) if finding.verdict == "fail"]
    assert BROKEN[broken] in [finding.check for finding in failed]
    assert all(finding.seen and finding.fix for finding in failed)


@pytest.mark.parametrize("broken", [OneNumber, Double, Wide, Misspelt, Undeclared, FlatTasks])
def test_no_trial_begins_in_a_family_that_breaks_the_contract(broken):
    with pytest.raises(InputError, match=f"{broken.__name__} cannot be used.*To fix it"):
        require_family(broken)


FILE = """
from oyster.envs.point_robot import PointRobot

class Mine(PointRobot):
    OWN
"""


def test_the_command_takes_a_name_or_a_file(tmp_path):
    run = CliRunner().invoke
    done = run(main, ["check", "point-robot"])
    assert done.exit_code == 0 and "No check failed" in done.output and "oracle above idle" in done.output
    file = tmp_path / "my_family.py"
    file.write_text(FILE.replace("OWN", "horizon = 5"))
    assert run(main, ["check", str(file)]).exit_code == 0
    file.write_text(FILE.replace("OWN", "horizont = 5"))
    done = run(main, ["check", str(file)])
    assert done.exit_code == 1 and "is horizon meant?" in " ".join(done.output.split())
    file.write_text(FILE.replace("OWN", "raise OSError"))
    done = run(main, ["check", str(file)])
    assert done.exit_code == 2 and "my_family.py cannot be loaded" in done.output
