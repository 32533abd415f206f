"""params.yaml and presets → a grid's trials, each with its settings. Imports no torch.

Everything that asks what there is to train asks here: the Snakefile, the commands, the keys, the report.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from omegaconf import OmegaConf
from pydantic import AfterValidator, Field, PrivateAttr, ValidationError, model_validator

from oyster.algorithms.settings import (
    Arguments,
    Evaluation,
    FileName,
    FromList,
    Model,
    Name,
    PearlSection,
    Seed,
    Settings,
    short,
)
from oyster.before import RENAMED
from oyster.envs import families, load_family
from oyster.runtime.errors import InputError
from oyster.runtime.yaml_file import read_plain_yaml, shown

PARAMS = Path("params.yaml")
ALGORITHMS = {"pearl": Path(__file__).parent / "algorithms" / "pearl" / "presets.yaml"}  # each algorithm's presets
RESERVED = {  # what no environment, agent, preset or grid can be called
    "all": "it stands for every family, and for the whole benchmark",
    "family": "oyster/envs/family.py is of every family",
    "published": "reports/published holds other people's figures",
    "compared": "reports/compared is where two commits are compared",
    "environment": "the Snakefile has a target of that name",
    "image": "the Snakefile has a target of that name",
    "trial": "the Snakefile has a rule of that name",
    "report": "the Snakefile has a rule of that name",
}
Sections = dict[Name, PearlSection]


def _distinct(items: tuple) -> tuple:
    for item, times in Counter(items).items():
        if times > 1:
            raise ValueError(f": lists {item} twice; keep one")
    return items


Distinct = AfterValidator(_distinct)


class Grid(Model):
    """Every environment x agent x seed is one trial."""

    preset: Name
    """How long and how large: a preset of the agents' algorithms, or one of `presets`."""
    environments: Annotated[tuple[Name, ...], FromList, Distinct]
    """Task families: oyster/envs/NAME.py."""
    agents: Annotated[tuple[Name, ...], FromList, Distinct]
    """Names of `agents`."""
    seeds: Annotated[tuple[Seed, ...], FromList, Distinct]
    beside: Annotated[tuple[Name, ...], Field(strict=False), Distinct] = ()
    """Grids whose results the report sets beside this one's, training nothing."""


class Agent(Model):
    """An algorithm, its encoder, and what differs from the preset."""

    algorithm: Literal["pearl"] = "pearl"
    encoder: FileName
    """encoders/NAME.py."""
    arguments: Arguments = Field(default_factory=dict)
    """Keyword arguments of the encoder, beyond the contract's."""
    settings: PearlSection = PearlSection()
    """What differs from the preset, whatever the family."""


class Preset(Model):
    """A user's own preset."""

    extends: Name | None = None
    """The preset that this one changes."""
    pearl: Sections = Field(default_factory=dict)
    """Settings for `all` families, and for one family by its name."""


class Params(Model):
    """The whole of params.yaml."""

    runtime: Literal["host", "docker", "podman", "apptainer"] = "host"
    """Where a trial's command runs."""
    grids: dict[Name, Grid]
    """What to try, by name: `snakemake NAME`."""
    agents: dict[Name, Agent]
    """Whom to compare, by name."""
    evaluation: dict[Name, dict[Name, Evaluation]]
    """By preset and family: the tasks that every agent meets there."""
    presets: dict[Name, Preset] = Field(default_factory=dict)
    """Your own; those of an algorithm stand beside its code."""
    _merged: dict[tuple[str, str], dict[str, dict[str, Any]]] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _fits_together(self):
        if problems := [*_problems_of_names(self), *_problems_of_presets(self), *_problems_of_grids(self)]:
            raise ValueError("\n  - ".join(dict.fromkeys(problems)))
        return self


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
    params = _validated(Params, content, str(path))
    for name, grid in params.grids.items():
        seed = grid.seeds[0]
        try:
            for environment, agent in product(grid.environments, grid.agents):
                trial_settings(params, environment=environment, agent=agent, seed=seed, preset=grid.preset)
        except InputError as error:
            raise InputError(f"{path}, grids.{name}: {error}") from None
    return params


# --- resolving --------------------------------------------------------------------------------------------------------


def find_grid(params: Params, name: str) -> Grid:
    if name not in params.grids:
        raise InputError(_unknown("grid", name, params.grids))
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
    family = load_family(environment)
    merged = _preset_settings(params, preset, own.algorithm, environment)
    for part in (own.settings, _validated(PearlSection, dict(overrides), "What overrides the preset")):
        merged |= part.model_dump(exclude_unset=True)
    merged |= _evaluation(params, preset, environment).model_dump()
    merged |= {"environment": environment, "agent": name, "seed": seed, "preset": preset}
    merged |= {"encoder": own.encoder, "encoder_arguments": own.arguments}  # copied deeply by their validation
    settings = _validated(Settings, merged, f"Preset '{preset}' on {environment}, agent '{name}',")
    trajectories = -(-settings.num_steps_per_eval // family.horizon)
    if settings.num_exp_traj_eval >= trajectories:
        raise InputError(
            f"Preset '{preset}' on {environment}: num_exp_traj_eval is {settings.num_exp_traj_eval}, but a meta-test "
            f"of {settings.num_steps_per_eval} steps has {trajectories} trajectories of {family.horizon}: none would "
            "be left to act on the posterior."
        )
    return settings


def find_agent(params: Params, name: str) -> Agent:
    if name not in params.agents:
        raise InputError(_unknown("agent", name, params.agents))
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
    return name, _validated(Agent, content | {"encoder": stem}, f"The encoder {encoder!r}")


def evaluated_families(params: Params, preset: str) -> list[str]:
    """The families for which a preset, or one that it extends, has an evaluation."""
    chain = _chain(params, preset, "pearl")
    return list(dict.fromkeys(family for name in chain for family in params.evaluation.get(name, {})))


def parse_overrides(words: Iterable[str]) -> dict[str, Any]:
    """`--set KEY=VALUE`, each a setting of the algorithm."""
    given: dict[str, Any] = {}
    for word in words:
        if "=" not in word:
            raise InputError(f"--set {shown(word)}: expected KEY=VALUE, as --set num_iterations=5.")
        try:
            given |= OmegaConf.to_container(OmegaConf.from_dotlist([word]))
        except Exception:  # of YAML's, OmegaConf's and Python's own kinds
            raise InputError(
                f"--set {shown(word)}: the value cannot be read; expected a number, text, true, false, null or a list, "
                "as --set encoder_hidden_sizes=[64,64]."
            ) from None
    return _validated(PearlSection, given, "--set").model_dump(exclude_unset=True)


def _preset_settings(params: Params, preset: str, algorithm: str, environment: str) -> dict[str, Any]:
    if (preset, algorithm) not in params._merged:
        sections = [_sections(params, each, algorithm) for each in reversed(_chain(params, preset, algorithm))]
        params._merged[preset, algorithm] = OmegaConf.to_container(OmegaConf.merge(*sections), resolve=False)
    merged = params._merged[preset, algorithm]
    return merged.get("all", {}) | merged.get(environment, {})


def _sections(params: Params, preset: str, algorithm: str) -> dict[str, Any]:
    """What one preset itself says, whatever it extends."""
    if preset in params.presets:
        own = getattr(params.presets[preset], algorithm)
    else:
        own = algorithm_presets(algorithm)[preset].pearl
    return {name: section.model_dump(mode="json", exclude_unset=True) for name, section in own.items()}


def _chain(params: Params, preset: str, algorithm: str) -> list[str]:
    """A preset and what it extends, itself first."""
    known = params.presets | algorithm_presets(algorithm)
    chain: list[str] = []
    name: str | None = preset
    while name is not None:
        if name not in known:
            extended = f"presets.{chain[-1]}.extends: " if chain else ""
            raise InputError(extended + _unknown("preset", name, known))
        if name in chain:
            raise InputError(f"presets.{name} extends itself, by way of {' → '.join([*chain, name])}.")
        chain.append(name)
        name = known[name].extends
    return chain


def _evaluation(params: Params, preset: str, environment: str) -> Evaluation:
    """The preset's, or that of the nearest one which it extends."""
    chain = _chain(params, preset, "pearl")
    for name in chain:
        if environment in params.evaluation.get(name, {}):
            return params.evaluation[name][environment]
    raise InputError(
        f"evaluation.{chain[0]}.{environment} is missing: how many train_tasks, test_tasks and evaluations there are. "
        f"Copy a line of another family (families there: {_list(params.evaluation.get(chain[0], {}))})."
    )


_presets_read: dict[str, dict[str, Preset]] = {}


def algorithm_presets(algorithm: str) -> dict[str, Preset]:
    """The presets that stand beside an algorithm's code."""
    if algorithm not in _presets_read:
        path, presets = ALGORITHMS[algorithm], {}
        for name, content in read_plain_yaml(path).items():
            sections = dict(content) if isinstance(content, dict) else content
            extends = sections.pop("extends", None) if isinstance(sections, dict) else None
            presets[name] = _validated(Preset, {"extends": extends, algorithm: sections}, f"{path.name}, {name}")
            if problems := [*_unknown_families(name, sections, besides=("all",))]:
                raise InputError(f"{path.name}, {problems[0]}.")
        _presets_read[algorithm] = presets
    return _presets_read[algorithm]


def schema() -> str:
    """The JSON schema of params.yaml, from which editors complete and check it."""
    return json.dumps(Params.model_json_schema(), indent=2) + "\n"


# --- what does not fit together ---------------------------------------------------------------------------------------


def _problems_of_names(params: Params) -> Iterator[str]:
    named = {"oyster/envs": families(), "grids": params.grids, "agents": params.agents, "presets": params.presets}
    for key, names in named.items():
        for name in RESERVED:
            if name in names:
                yield f"{key}.{name}: `{name}` is taken ({RESERVED[name]}); choose another name"


def _problems_of_presets(params: Params) -> Iterator[str]:
    known = [*algorithm_presets("pearl"), *params.presets]
    for name, preset in params.presets.items():
        if name in algorithm_presets("pearl"):
            yield f"presets.{name}: PEARL has a preset of that name; call yours otherwise, and let it extend {name}"
            continue
        yield from _unknown_families(f"presets.{name}.pearl", preset.pearl, besides=("all",))
        try:
            _chain(params, name, "pearl")
        except InputError as error:
            yield str(error)
    for name, parts in params.evaluation.items():
        if name not in known:
            yield f"evaluation.{name}: no such preset{_nearest(name, known)} (there: {_list(known)})"
        yield from _unknown_families(f"evaluation.{name}", parts)


def _unknown_families(place: str, names: Iterable[str], *, besides: tuple[str, ...] = ()) -> Iterator[str]:
    known = families()
    for name in names:
        if name not in (*known, *besides):
            yield f"{place}.{name}: no such family{_nearest(name, known)} (there: {_list(known)})"


def _problems_of_grids(params: Params) -> Iterator[str]:
    places = {"environments": ("oyster/envs", families()), "agents": ("`agents:`", params.agents)}
    for name, grid in params.grids.items():
        for kind, (place, known) in places.items():
            for each in getattr(grid, kind):
                if each not in known:
                    near = f"{_nearest(each, known)} (there: {_list(known)})"
                    yield f"grids.{name}.{kind}: lists '{each}', which {place} does not have{near}"
        for other in grid.beside:
            if other not in params.grids or other == name:
                near = _nearest(other, params.grids.keys() - {name})
                yield f"grids.{name}.beside: lists '{other}', which is no other grid{near}"
        for stage, same in _sharing(product(grid.environments, grid.agents), "-".join).items():
            both = " and ".join(f"{agent} on {environment}" for environment, agent in same)
            yield f"grids.{name}: {both} would be one stage of DVC, train@{stage}-SEED; rename one of them"


def _sharing(items: Iterable, label: Callable[[Any], str]) -> dict[str, list]:
    """The items with a label that others of them have too, by label."""
    found: dict[str, list] = {}
    for item in items:
        found.setdefault(label(item), []).append(item)
    return {text: same for text, same in found.items() if len(same) > 1}


# --- sentences --------------------------------------------------------------------------------------------------------


def _unknown(kind: str, given: str, known: Iterable[str]) -> str:
    return f"there is no {kind} '{shown(given)}'{_nearest(given, known)}; there are: {_list(sorted(known))}."


def _nearest(given: object, known: Iterable[str]) -> str:
    """Words that suggest the name that may have been meant, where one is near."""
    found = get_close_matches(str(given), list(known), n=1)
    return f", did you mean {found[0]}?" if found else ""


def _list(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


def _validated(model: type[Model], content: Any, where: str):
    try:
        return model.model_validate(content)
    except ValidationError as error:
        lines = [_explain(item, model) for item in error.errors() if not _follows(item)]
        raise InputError(f"{where} cannot be used:\n" + "\n".join(f"  - {line}" for line in lines)) from None


def _follows(item: Mapping) -> bool:
    """Whether another error says all: a list whose items cannot be used counts as empty."""
    return item["type"] == "too_short" and len(item["input"]) > 0


EXPECTED = {  # by pydantic's names of errors; others speak for themselves
    "int_type": "expected an integer",
    "float_type": "expected a number",
    "bool_type": "expected true or false",
    "string_type": "expected text",
    "tuple_type": "expected a list",
    "dict_type": "expected a mapping, as {key: value}",
    "model_type": "expected a mapping, as {key: value}",
    "too_short": "expected at least 1 item",
    "string_too_long": "expected a name of at most 64 characters",
}
PATTERNS = {
    "^[a-z0-9][a-z0-9-]*$": "expected a name of small letters, digits and - that begins with a letter or digit",
    "^[A-Za-z0-9][A-Za-z0-9_-]*$": "expected the name of a file in encoders/, of letters, digits, - and _",
}


def _explain(item: Mapping, model: type[Model]) -> str:
    """One pydantic error as: key, what was given, what is allowed."""
    key = ".".join(shown(str(part)) for part in item["loc"] if part != "[key]") or "top level"
    if item["type"] == "missing":
        return f"{key}: missing; expected a value"
    if item["type"] == "extra_forbidden":
        known = _fields(model, item["loc"])
        nearest = _nearest(item["loc"][-1], known)
        return f"{key}: given {short(item['input'])}; no such key{nearest or f' (there are: {_list(known)})'}"
    message = item["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if item["type"] == "value_error":
        return message if not item["loc"] else key + message
    if item["type"] == "string_pattern_mismatch":
        return f"{key}: given {short(item['input'])}; {PATTERNS[item['ctx']['pattern']]}"
    return f"{key}: given {short(item['input'])}; {EXPECTED.get(item['type'], f'it {message}')}"


def _fields(model: type[Model], key: tuple) -> Iterable[str]:
    """The keys that could stand in the place of `key`."""
    if model is not Params or len(key) == 1:
        return model.model_fields if len(key) == 1 else PearlSection.model_fields
    if key[0] in ("agents", "presets") and len(key) > 3:
        return PearlSection.model_fields
    return {"grids": Grid, "agents": Agent, "evaluation": Evaluation, "presets": Preset}[key[0]].model_fields
