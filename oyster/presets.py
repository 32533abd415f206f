"""Presets: how long and how large. An algorithm's stand beside its code, a user's own in params.yaml. No torch."""

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

from oyster.algorithms import find
from oyster.algorithms.settings import Model
from oyster.envs import families
from oyster.runtime.errors import InputError
from oyster.runtime.validated import listed, nearest, unknown, validated
from oyster.runtime.yaml_file import read_plain_yaml

ALL = "all"  # the section for every family


class OwnPreset(NamedTuple):
    """One preset of one algorithm: the sections by family, each a model of what it says."""

    extends: str | None
    sections: dict[str, Model]


@cache
def algorithm_presets(algorithm: str) -> dict[str, OwnPreset]:
    """The presets that stand beside an algorithm's code."""
    own, presets = find(algorithm), {}
    for name, content in read_plain_yaml(own.presets).items():
        place = f"{own.presets.name}, {name}"
        if not isinstance(content, dict):
            raise InputError(f"{place}: expected sections, as {{all: {{…}}}}.")
        sections = {family: section for family, section in content.items() if family != "extends"}
        if problems := [*unknown_families(name, sections, besides=(ALL,))]:
            raise InputError(f"{own.presets.name}, {problems[0]}.")
        read = {
            family: validated(own.section, section, f"{place}, {family}", lambda place: own.section.model_fields)
            for family, section in sections.items()
        }
        presets[name] = OwnPreset(content.get("extends"), read)
    return presets


def chain(users: Mapping[str, Any], preset: str, theirs: Mapping[str, Any]) -> list[str]:
    """A preset and what it extends, itself first. `users`: params.yaml's own, `theirs`: the algorithm's, by name."""
    found: list[str] = []
    name: str | None = preset
    while name is not None:
        if name not in users and name not in theirs:
            extended = f"presets.{found[-1]}.extends: " if found else ""
            raise InputError(extended + unknown("preset", name, [*users, *theirs]))
        if name in found:
            raise InputError(f"presets.{name} extends itself, by way of {' → '.join([*found, name])}.")
        found.append(name)
        name = theirs[name].extends if name in theirs else users[name].extends
    return found


def preset_settings(users: Mapping[str, Any], preset: str, algorithm: str, family: str) -> dict[str, Any]:
    """What a preset and those that it extends say of a family: its section over `all`, the extending over the extended.

    A setting is replaced as a whole.
    """
    theirs, merged = algorithm_presets(algorithm), {ALL: {}, family: {}}
    for name in reversed(chain(users, preset, theirs)):
        sections = theirs[name].sections if name in theirs else getattr(users[name], algorithm, {})
        for part in merged.keys() & sections.keys():
            merged[part] |= sections[part].model_dump(mode="json", exclude_unset=True)
    return merged[ALL] | merged[family]


def unknown_families(place: str, names: Iterable[str], *, besides: tuple[str, ...] = ()) -> Iterator[str]:
    """Sentences about names that are no family's."""
    known = families()
    for name in names:
        if name not in (*known, *besides):
            yield f"{place}.{name}: no such family{nearest(name, known)} (there: {listed(known)})"
