"""params.yaml and presets → a grid's trials, each with its settings. Imports no torch.

Everything that asks what there is to train asks here: the Snakefile, the commands, the keys, the report.
"""

from collections.abc import Iterable, Mapping
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import OmegaConf

from oyster.algorithms import find
from oyster.algorithms.settings import Evaluation, Model, Settings
from oyster.before import RENAMED
from oyster.envs import families, load_family
from oyster.params import Agent, Grid, Params, keys_at
from oyster.presets import ALL, algorithm_presets, chain, preset_settings
from oyster.runtime.errors import InputError
from oyster.runtime.validated import listed, unknown, validated
from oyster.runtime.yaml_file import read_plain_yaml, shown

PARAMS = Path("params.yaml")


class Trial(NamedTuple):
    """One trial of a grid, and where its result lies."""

    grid: str
    settings: Settings

    @property
    def identity(self) -> tuple[str, str, int]:
        return self.settings.environment, self.settings.agent, self.settings.seed

    @property
    def place(self) -> str:
        """`<grid>/<environment>/<agent>/<seed>`, below results/ and weights/."""
        return "/".join([self.grid, *map(str, self.identity)])


# --- reading ----------------------------------------------------------------------------------------------------------


def load_params(path: str | Path = PARAMS) -> Params:
    """Read and validate params.yaml. InputError with one line for every key that cannot be used.

    What a grid's trials would be told when they start is said now.
    """
    content = read_plain_yaml(path)
    if old := [f"`{name}` is now {new}" for name, new in RENAMED.items() if name in content]:
        raise InputError(f"{path} is of an older version: {'; '.join(old)}. The repository's params.yaml shows how.")
    params = validated(Params, content, str(path), lambda place: keys_at(content, place))
    for name, grid in params.grids.items():
        try:
            for environment in grid.environments:
                _require_one_test(params, grid, environment)
        except InputError as error:
            raise InputError(f"{path}, grids.{name}: {error}") from None
    return params


def standard_params(preset: str) -> Params:
    """Where there is no params.yaml: nothing to try, and for each family the smallest lists of tasks that it has."""
    counts = {name: load_family(name).task_counts for name in families()}
    lines = {name: Evaluation(train_tasks=n, test_tasks=m, evaluations=1) for name, (n, m) in counts.items()}
    return Params(grids={}, agents={}, evaluation={preset: lines})


def _require_one_test(params: Params, grid: Grid, environment: str) -> None:
    """InputError where an agent's settings cannot be used, agents would meet other tasks, or a family lacks them."""
    met: dict[str, dict] = {}
    for agent in grid.agents:
        s = trial_settings(params, environment=environment, agent=agent, seed=grid.seeds[0], preset=grid.preset)
        met[agent] = {name: getattr(s, name) for name in Evaluation.model_fields}
        if met[agent] != met[grid.agents[0]]:
            raise InputError(
                f"{agent} and {grid.agents[0]} would meet other tasks on {environment} ({met[agent]}, "
                f"{met[grid.agents[0]]}); give evaluation.{grid.preset}.{environment}."
            )
    load_family(environment).tasks(s.train_tasks, s.test_tasks, s.task_seed)


# --- resolving --------------------------------------------------------------------------------------------------------


def find_grid(params: Params, name: str) -> Grid:
    if name not in params.grids:
        raise InputError(unknown("grid", name, params.grids))
    return params.grids[name]


def trials(params: Params, name: str) -> list[Trial]:
    """A grid's trials, in the file's order."""
    grid = find_grid(params, name)
    pairs = product(grid.environments, grid.agents)
    seed = grid.seeds[0]
    first = [trial_settings(params, environment=e, agent=a, seed=seed, preset=grid.preset) for e, a in pairs]
    return [Trial(name, each.model_copy(update={"seed": seed})) for each in first for seed in grid.seeds]


def trial_settings(
    params: Params, *, environment: str, agent: str | tuple[str, Agent], seed: int, preset: str, overrides: Mapping = {}
) -> Settings:
    """Resolve one trial: the preset's `all` < its section for the family < the agent's settings < `overrides`.

    `agent` is a name of params.yaml, or a name with an agent of one's own. `overrides` are settings of its algorithm.
    """
    name, own = agent if isinstance(agent, tuple) else (agent, find_agent(params, agent))
    algorithm, family = find(own.algorithm), load_family(environment)
    merged = preset_settings(params.presets, preset, own.algorithm, environment)
    for part in (own.settings, _section(own.algorithm, dict(overrides), "What overrides the preset")):
        merged |= part.model_dump(exclude_unset=True)
    merged |= _evaluation(params, preset, own.algorithm, environment).model_dump()
    merged |= {"environment": environment, "agent": name, "algorithm": own.algorithm, "seed": seed, "preset": preset}
    if own.encoder:
        merged |= {"encoder": own.encoder, "encoder_arguments": own.arguments}  # copied deeply by their validation
    settings = validated(algorithm.settings, merged, f"Preset '{preset}' on {environment}, agent '{name}',")
    first, last = settings.counted
    fewest = settings.test_length.trajectories or -(-settings.test_length.steps // family.horizon)
    if last >= fewest or -first > fewest:
        raise InputError(
            f"Preset '{preset}' on {environment}: counted is [{first}, {last}], and a meta-test may have {fewest} "
            "trajectories."
        )
    if problem := algorithm.problem(settings, family.horizon):
        raise InputError(f"Preset '{preset}' on {environment}: {problem}")
    return settings


def find_agent(params: Params, name: str) -> Agent:
    if name not in params.agents:
        raise InputError(unknown("agent", name, params.agents))
    return params.agents[name]


def encoder_agent(params: Params, encoder: str) -> tuple[str, Agent]:
    """The agent of that name; else that encoder, a name or a file, without arguments.

    A file takes the place of the encoder of the agent that is named like it.
    """
    is_file = encoder.endswith(".py") or "/" in encoder
    stem = Path(encoder).stem if is_file else encoder
    name = stem.lower().replace("_", "-")
    known = params.agents.get(name)
    if known and not is_file:
        return name, known
    content = known.model_dump(exclude_unset=True) if known else {}
    return name, validated(
        Agent, content | {"encoder": stem}, f"The encoder {encoder!r}", lambda place: Agent.model_fields
    )


def evaluated_families(params: Params, preset: str) -> list[str]:
    """The families for which a preset of PEARL's, or one that it extends, has an evaluation."""
    extended = chain(params.presets, preset, algorithm_presets("pearl"))
    named = dict.fromkeys(family for name in extended for family in params.evaluation.get(name, {}))
    return families() if ALL in named else list(named)


def parse_overrides(words: Iterable[str], algorithm: str = "pearl") -> dict[str, Any]:
    """`--set KEY=VALUE`, each a setting of the algorithm."""
    given = OmegaConf.create()
    for word in words:
        if "=" not in word:
            raise InputError(f"--set {shown(word)}: expected KEY=VALUE, as --set num_iterations=5.")
        try:
            given = OmegaConf.merge(given, OmegaConf.from_dotlist([word]))
            OmegaConf.to_container(given)
        except Exception:  # of YAML's, OmegaConf's and Python's own kinds
            raise InputError(
                f"--set {shown(word)}: the value cannot be read; expected a number, text, true, false, null or a list, "
                "as --set encoder_hidden_sizes=[64,64]."
            ) from None
    return _section(algorithm, OmegaConf.to_container(given), "--set").model_dump(exclude_unset=True)


def _section(algorithm: str, content: dict[str, Any], where: str) -> Model:
    section = find(algorithm).section
    return validated(section, content, where, lambda place: section.model_fields)


def _evaluation(params: Params, preset: str, algorithm: str, environment: str) -> Evaluation:
    """The preset's line for the family, or its `all`; else those of the nearest one which it extends."""
    extended = chain(params.presets, preset, algorithm_presets(algorithm))
    for name in extended:
        lines = params.evaluation.get(name, {})
        if line := lines.get(environment, lines.get(ALL)):
            return line
    raise InputError(
        f"evaluation.{extended[0]}.{environment} is missing: how many train_tasks, test_tasks and evaluations there "
        f"are. Copy a line of another family (families there: {listed(params.evaluation.get(extended[0], {}))})."
    )
