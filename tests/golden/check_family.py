"""Compare a task family with recorded episodes: `python tests/golden/check_family.py FILE.npz`

The family is the one that the file is named after; episodes are found by their keys, `episode<i>/…`: any number of
them, of any length. Each starts from its recorded state, as its only row, and takes its recorded actions. Prints the
largest error of each quantity, element by element over max(1, |golden|). Values have to agree over steps 0 to 20, for
chaos makes more of rounding later; terminals over all of them. Meta-World's run on the MuJoCo of the recording, from a
start that the task says: they have to agree over all steps, in goal, distance and success too.
"""

import re
import sys
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from oyster.envs import load_family
from oyster.envs.family import Step, TaskFamily

STEPS = 20  # that values are compared over
TOLERANCE = 1e-6  # observations and rewards are float32
FIELDS = ("body_mass", "body_inertia", "dof_damping", "geom_friction")  # of tasks that are model parameters, in order
QUANTITIES = ("observations", "rewards", "terminals")
META_WORLD = ("goal", "obj_to_target", "successes")  # recorded of its episodes alone


class Errors(NamedTuple):
    """Largest errors by quantity; of terminals, the number that differ."""

    early: dict[str, float]  # over steps 0 to 20
    whole: dict[str, float]  # over whole episodes
    episodes: int

    def agree(self) -> bool:
        compared = self.whole if "goal" in self.whole else self.early
        values = (error for name, error in compared.items() if name != "terminals")
        return self.episodes > 0 and all(error <= TOLERANCE for error in values) and not self.whole["terminals"]


def check(path: str | Path) -> Errors:
    golden, family = read(path), load_family(Path(path).stem.replace("_", "-"))
    numbers = sorted({int(found[1]) for key in golden if (found := re.match(r"episode(\d+)/", key))})
    errors = Errors({}, dict.fromkeys(QUANTITIES, 0.0), len(numbers))
    for number in numbers:
        episode = {key.partition("/")[2]: value for key, value in golden.items() if key.startswith(f"episode{number}/")}
        ours = replay(family, episode)
        steps = {
            "observations": episode.get("observation_steps", np.arange(len(ours["observations"]))),
            "rewards": np.arange(len(ours["rewards"])),
        }
        steps |= {name: np.arange(len(episode[name])) for name in META_WORLD if name in episode}
        for name, at in steps.items():
            differences = relative(ours[name][at], episode[name])
            _worst(errors.early, name, differences[at <= STEPS])
            _worst(errors.whole, name, differences)
        if "terminals" in episode:
            errors.whole["terminals"] += float((ours["terminals"] != episode["terminals"]).sum())
    return errors


def read(path: str | Path) -> dict[str, np.ndarray]:
    with np.load(path) as file:
        return {key: file[key] for key in file.files}


def replay(family: type[TaskFamily], episode: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What the family does from the episode's state under its actions: QUANTITIES, and META_WORLD where recorded."""
    rows = family(1)
    observations, steps, distances = [start(rows, episode)], [], []
    act = getattr(rows, "_step_as_given", rows.step)  # where the source charges the action that was given, unclipped
    for action in episode["actions"]:
        steps.append(Step(*(part[0].copy() for part in act(action[None]).parts())))
        distances.append(float(getattr(rows, "_distance", [np.nan])[0]))
    observations += [step.observation for step in steps]
    return {
        "observations": np.array(observations, float),
        "rewards": np.array([step.reward for step in steps], float),
        "terminals": np.array([step.terminal for step in steps]),
        "goal": getattr(rows, "_goal", np.full((1, 3), np.nan))[0],
        "obj_to_target": np.array(distances),
        "successes": np.array([step.success for step in steps], float),
    }


def start(rows: TaskFamily, episode: dict[str, np.ndarray]) -> np.ndarray:
    """Set the one row's state, task and schedule. Returns its observation."""
    if "rand_vec" in episode:  # which says the start; the recorded state is there to be looked at
        return rows.reset(task_of(rows, episode)[None], np.random.default_rng(0))[0]
    state = [episode[name][None] for name in ("qpos", "qvel", "state") if name in episode]
    schedule = {"active": episode["active"].reshape(1, -1)} if "active" in episode else {}
    return rows.set_state(task_of(rows, episode)[None], *state, **schedule)[0]


def task_of(family: TaskFamily, episode: dict[str, np.ndarray]) -> np.ndarray:
    """(parameter,): given as one array, or under the parameters' names."""
    given = next(([name] for name in ("parameters", "rand_vec") if name in episode), None)
    names = given or family.parameter_names or FIELDS
    return np.concatenate([np.ravel(episode[name]) for name in names]).astype(float)


def relative(ours: np.ndarray, golden: np.ndarray) -> np.ndarray:
    """Over max(1, |golden|), element by element; infinite where either is not a number."""
    errors = np.abs(ours - golden) / np.maximum(1.0, np.abs(golden))
    return np.where(np.isnan(errors), np.inf, errors)


def _worst(errors: dict[str, float], name: str, differences: np.ndarray) -> None:
    errors[name] = max(errors.get(name, 0.0), float(differences.max(initial=0.0)))


def main(path: str) -> int:
    errors = check(path)
    print(f"{errors.episodes} episodes{'steps 0-20':>15}{'all steps':>15}")
    for name, error in errors.early.items():
        print(f"{name:14}{error:15.3e}{errors.whole[name]:15.3e}")
    print(f"{'terminals':14}{'':15}{errors.whole['terminals']:9.0f} wrong")
    print("agrees" if errors.agree() else f"DIFFERS (beyond {TOLERANCE:g} in steps 0-20, or in a terminal)")
    return 0 if errors.agree() else 1


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python tests/golden/check_family.py FILE.npz")
    if not Path(sys.argv[1]).is_file() or not zipfile.is_zipfile(sys.argv[1]):
        sys.exit(f"{sys.argv[1]!r} is no .npz file; expected one of recorded episodes, named after its family.")
    sys.exit(main(sys.argv[1]))
