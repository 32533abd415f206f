"""One file with a trained agent: the networks that act, and in the header where they come from.

A safetensors file. Its header has one entry, `oyster`, which is JSON: Packed says what is in it. One entry, since a
header of several is written in an order that changes from run to run.
"""

import os
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from oyster.runtime.errors import InputError, describe
from oyster.runtime.records import Number, Recorded

ENTRY = "oyster"
ACTING = {"pearl": ("policy", "context_encoder")}  # the parts of an agent that acting needs; of other algorithms: all


class Packed(Recorded):
    """The header's entry. Settings and hashes are those of the result's provenance.json."""

    settings: dict[str, Any]
    settings_sha256: str
    encoder_sha256: str | None = None
    key: str | None = None
    commit: str | None = None
    version: str | None = None  # of oyster, when it was packed
    meta_test_return: Number | None = None
    returns: list[Number] = Field(default_factory=list)  # as in adaptation.csv, in its order
    acting: list[str]  # the parts of the agent that the file holds, each whole


def read_packed(place: Path) -> Packed:
    """InputError where the file is none of these."""
    try:
        with safe_open(place, "pt") as file:
            entry = (file.metadata() or {}).get(ENTRY)
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{str(place)!r} cannot be read as a safetensors file: {describe(error)}.") from error
    if entry is None:
        raise InputError(
            f"{str(place)!r} holds weights and does not say of what agent. Give the result's folder instead; "
            "`python agents/pack.py FOLDER OUT` makes one file of it."
        )
    try:
        return Packed.model_validate_json(entry)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the entry"
        raise InputError(f"The header of {str(place)!r} cannot be used: {where}: {first['msg']}.") from None


def write_packed(place: Path, packed: Packed, state: dict[str, Any]) -> None:
    """`state`: the agent's weights, of which the acting parts are kept. The same bytes for the same arguments.

    InputError where `place` does not end in .safetensors, by which such a file is known.
    """
    if place.suffix != ".safetensors":
        raise InputError(f"{str(place)!r} does not end in .safetensors. Give a name as agents/point-robot.safetensors.")
    kept = {name: value.contiguous() for name, value in state.items() if name.split(".")[0] in packed.acting}
    scratch = place.with_name(f"{place.name}.partial")
    scratch.write_bytes(save(kept, {ENTRY: packed.model_dump_json(exclude_unset=True)}))
    os.replace(scratch, place)
