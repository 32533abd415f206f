"""Files of before agents and presets, read in the names of now. Results and commits of then hold them."""

from collections.abc import Mapping
from typing import Any

from oyster.envs.family import TASK_SEED

RENAMED = {  # of params.yaml
    "grid": "grids, each with a `preset`",
    "encoders": "agents",
    "budgets": "presets",
    "environments": "evaluation (tasks), presets (discount, reward_scale, kl_lambda) and a family's class",
}
SETTINGS = {"budget": "preset", "num_train_tasks": "train_tasks", "num_test_tasks": "test_tasks"}
SETTINGS |= {"num_evals": "evaluations"}
OF_THE_FAMILY = ("max_path_length", "sparse_rewards")


def grids_of_before(content: Mapping[str, Any]) -> dict[str, Any]:
    """The grids of a params.yaml of any version. A grid of before was trained at the budget of its name."""
    grids = content.get("grid")
    if not isinstance(grids, dict):
        return content.get("grids")
    return {name: _grid(name, grid) for name, grid in grids.items()}


def _grid(name: str, grid: Any) -> Any:
    if not isinstance(grid, dict):
        return grid
    return {"preset": name} | {"agents" if key == "encoders" else key: value for key, value in grid.items()}


def settings_of_before(recorded: Mapping[str, Any]) -> dict[str, Any]:
    """A trial's recorded settings. What the family's class says now (horizon, sparse reward) is left out."""
    settings = dict(recorded)
    if "budget" in settings:
        named = {SETTINGS.get(key, key): value for key, value in settings.items() if key not in OF_THE_FAMILY}
        agent = str(settings.get("encoder", "")).lower().replace("_", "-")
        settings = {"agent": agent, "task_seed": TASK_SEED} | named
    if "num_steps_per_eval" in settings:
        length = {"steps": settings.pop("num_steps_per_eval"), "trajectories": None}
        settings |= {"test_length": length, "counted": [-1, -1]}
    return settings
