"""A trial's agent as it was when training ended: built from the recorded settings, filled with the saved weights."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from oyster.algorithms import find
from oyster.algorithms.settings import Settings
from oyster.before import settings_of_before
from oyster.rl.state import differing_weights
from oyster.runtime.errors import InputError, TrialFailure, describe
from oyster.runtime.provenance import sha256_of_json
from oyster.trial.run import Trial


def recorded_settings(provenance: Mapping[str, Any], result: Path) -> Settings:
    """The settings in a result's provenance.json. InputError where they are not those that a trial wrote."""
    return settings_of(provenance, repr(str(result / "provenance.json")))


def settings_of(provenance: Mapping[str, Any], place: str) -> Settings:
    """The settings that a trial recorded; `place` is named where they are others. InputError then."""
    recorded = provenance.get("settings")
    if sha256_of_json(recorded) != provenance.get("settings_sha256"):
        raise InputError(f"The settings in {place} are not those that were recorded: their SHA-256 is another one.")
    try:
        known = settings_of_before(recorded)
        return find(known.get("algorithm", "pearl")).settings.model_validate(known)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "settings"
        raise InputError(f"The settings in {place} cannot be used: {where}: {first['msg']}") from None


def load_agent(
    settings: Settings,
    sources: Mapping[str, Path],
    weights: Path,
    device: str = "auto",
    acting: Collection[str] | None = None,
) -> tuple[Trial, nn.Module]:
    """A trial that was not trained, and its agent, which holds what the file `weights` holds.

    `acting`: the parts of the agent (as policy) that the file has; the others stay as they were made. None: all.
    InputError where that is no weights file, or one of other networks.
    """
    state = read_weights(weights)
    trial = Trial(settings, sources, device)
    try:
        agent = trial.make_agent()
    except TrialFailure as failure:
        raise InputError(f"{_named(sources)} does not construct at these settings: {failure.reason}") from failure
    if acting is not None:
        others = {name: value for name, value in agent.state_dict().items() if name.split(".")[0] not in acting}
        state = others | state
    fill(agent, state, weights, _named(sources))
    return trial, agent


def _named(sources: Mapping[str, Path]) -> str:
    return ", ".join(file.name for file in sources.values()) or "the agent"


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """InputError where the file cannot be read as safetensors."""
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError, KeyError, RuntimeError) as error:
        raise InputError(f"{str(path)!r} cannot be read as a safetensors file: {describe(error)}") from error


def fill(agent: nn.Module, state: Mapping[str, torch.Tensor], weights: Path, name: str) -> None:
    """Put what the file `weights` holds into the agent. InputError where it is of other networks."""
    if odd := differing_weights(agent, state):
        own = agent.state_dict()
        shapes = [tuple(each[odd[0]].shape) if odd[0] in each else "missing" for each in (state, own)]
        raise InputError(
            f"{str(weights)!r} holds other networks than {name} at these settings: {odd[0]} is "
            f"{shapes[0]} there, expected {shapes[1]} ({len(odd)} arrays differ)."
        )
    agent.load_state_dict(dict(state))
