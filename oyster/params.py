"""What params.yaml may hold, and what in it does not fit together. Imports no torch."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import product
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo, create_model, field_validator, model_validator

from oyster.algorithms import find, names
from oyster.algorithms.settings import (
    AlgorithmName,
    Arguments,
    Evaluation,
    FileName,
    FromList,
    Length,
    Model,
    Name,
    Seed,
)
from oyster.envs import families
from oyster.presets import ALL, algorithm_presets, chain, unknown_families
from oyster.runtime.errors import InputError
from oyster.runtime.validated import listed, nearest

RESERVED = {  # what no environment, agent, preset or grid can be called
    "all": "it stands for every family, and for the whole benchmark",
    **dict.fromkeys(
        ("bodies", "contract", "family", "metaworld", "moving-target", "reference-policies", "variants"),
        "oyster/envs has a file of that name for all families",
    ),
    "published": "reports/published holds other people's figures",
    "compared": "reports/compared is where two commits are compared",
    "environment": "the Snakefile has a target of that name",
    "image": "the Snakefile has a target of that name",
    "trial": "the Snakefile has a rule of that name",
    "report": "the Snakefile has a rule of that name",
}


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

    algorithm: AlgorithmName = "pearl"
    """A folder of oyster/algorithms, or an importable package by its dotted name."""
    encoder: FileName | None = None
    """encoders/NAME.py, where the algorithm has one."""
    arguments: Arguments = Field(default_factory=dict)
    """Keyword arguments of the encoder, beyond the contract's."""
    settings: Any = Field(default_factory=dict, validate_default=True)
    """What differs from the preset, whatever the family: settings of the algorithm."""

    @field_validator("algorithm")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            find(name)
        except InputError as error:
            raise ValueError(f": {error}") from None
        return name

    @field_validator("settings")
    @classmethod
    def _of_the_algorithm(cls, value: Any, info: ValidationInfo) -> Model:
        return find(info.data["algorithm"]).section.model_validate(value) if "algorithm" in info.data else value

    @model_validator(mode="after")
    def _has_its_encoder(self):
        takes = "encoder" in find(self.algorithm).settings.model_fields
        if takes and self.encoder is None:
            raise ValueError(".encoder: missing; expected a value")
        if not takes and (self.encoder or self.arguments):
            raise ValueError(f": algorithm {self.algorithm} takes no encoder; remove `encoder` and `arguments`")
        return self


def _sections(algorithm: str) -> Any:
    return dict[Name, find(algorithm).section]


class _Preset(Model):
    """Settings by algorithm, for `all` families and for one family by its name."""

    extends: Name | None = None
    """The preset that this one changes."""


Preset = create_model(
    "Preset", __base__=_Preset, **{name: (_sections(name), Field(default_factory=dict)) for name in names()}
)


class Params(Model):
    """The whole of params.yaml."""

    runtime: Literal["host", "docker", "podman", "apptainer"] = "host"
    """Where a trial's command runs."""
    grids: dict[Name, Grid]
    """What to try, by name: `snakemake NAME`."""
    agents: dict[Name, Agent]
    """Whom to compare, by name."""
    evaluation: dict[Name, dict[Name, Evaluation]]
    """By preset and family, `all` for those without a line: the tasks that every agent meets there."""
    presets: dict[Name, Preset] = Field(default_factory=dict)
    """Your own; those of an algorithm stand beside its code."""

    @model_validator(mode="after")
    def _fits_together(self):
        if problems := [*_problems_of_names(self), *_problems_of_presets(self), *_problems_of_grids(self)]:
            raise ValueError("\n  - ".join(dict.fromkeys(problems)))
        return self


def keys_at(content: Any, place: tuple) -> Iterable[str]:
    """The keys that could stand where one stands that cannot be used; `content`: of the file."""
    match place:
        case (*_, "test_length", _):
            return Length.model_fields
        case ("agents", name, "settings", _):
            return find(content["agents"][name].get("algorithm", "pearl")).section.model_fields
        case ("presets", _, algorithm, _, _):
            return find(algorithm).section.model_fields
        case (_,):
            return Params.model_fields
        case _:
            return {"grids": Grid, "agents": Agent, "evaluation": Evaluation, "presets": Preset}[place[0]].model_fields


def schema() -> str:
    """The JSON schema of params.yaml, from which editors complete and check it."""
    content = Params.model_json_schema()
    sections = {name: find(name).section.model_json_schema() for name in names()}
    for section in sections.values():
        content["$defs"] |= section.pop("$defs", {})
    content["$defs"]["Agent"]["properties"]["settings"] |= {"anyOf": list(sections.values())}
    return json.dumps(content, indent=2) + "\n"


# --- what does not fit together ---------------------------------------------------------------------------------------


def _problems_of_names(params: Params) -> Iterator[str]:
    named = {"oyster/envs": families(), "grids": params.grids, "agents": params.agents, "presets": params.presets}
    for key, given in named.items():
        for name in RESERVED:
            if name in given:
                yield f"{key}.{name}: `{name}` is taken ({RESERVED[name]}); choose another name"


def _problems_of_presets(params: Params) -> Iterator[str]:
    used = dict.fromkeys([*names(), *(agent.algorithm for agent in params.agents.values())])
    theirs = {preset: algorithm for algorithm in used for preset in algorithm_presets(algorithm)}
    known = {preset: own for algorithm in used for preset, own in algorithm_presets(algorithm).items()}
    for name, preset in params.presets.items():
        if name in theirs:
            whose = theirs[name]
            yield f"presets.{name}: {whose} has a preset of that name; call yours otherwise, and let it extend {name}"
            continue
        for algorithm in names():
            yield from unknown_families(f"presets.{name}.{algorithm}", getattr(preset, algorithm), besides=(ALL,))
        try:
            chain(params.presets, name, known)
        except InputError as error:
            yield str(error)
    known |= params.presets
    for name, parts in params.evaluation.items():
        if name not in known:
            yield f"evaluation.{name}: no such preset{nearest(name, known)} (there: {listed(known)})"
        yield from unknown_families(f"evaluation.{name}", parts, besides=(ALL,))


def _problems_of_grids(params: Params) -> Iterator[str]:
    places = {"environments": ("oyster/envs", families()), "agents": ("`agents:`", params.agents)}
    for name, grid in params.grids.items():
        for kind, (place, known) in places.items():
            for each in getattr(grid, kind):
                if each not in known:
                    near = f"{nearest(each, known)} (there: {listed(known)})"
                    yield f"grids.{name}.{kind}: lists '{each}', which {place} does not have{near}"
        for other in grid.beside:
            if other not in params.grids or other == name:
                near = nearest(other, params.grids.keys() - {name})
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
