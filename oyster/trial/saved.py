"""What a trained agent was saved as: a result's folder with its weights, or one file that holds what acting needs."""

import csv
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from oyster import algorithms
from oyster.algorithms.settings import Settings
from oyster.runtime.errors import InputError, describe
from oyster.runtime.files import file_sha256
from oyster.runtime.key_file import differing, find_key_file
from oyster.runtime.records import WEIGHTS, find_weights, problems, read_json
from oyster.trial.packed import read_packed
from oyster.trial.run import Trial
from oyster.trial.saved_agent import load_agent, recorded_settings, settings_of


class Saved(NamedTuple):
    """A trained agent on the disk, before its networks are built."""

    place: Path  # as it was given
    settings: Settings
    recorded: Mapping[str, Any]  # provenance: commit, key and the hashes of the user's files
    weights: Path
    acting: list[str] | None  # the parts of the agent that `weights` holds; None: all of them
    meta_test_return: float | None
    returns: list[float]  # of the last meta-test: tasks in order, evaluations within, then in time

    def sources(self, encoder: str | None = None, warn: Callable[[str], None] = lambda line: None) -> dict[str, Path]:
        """The user's files that determine the agent; `encoder` takes the recorded one's place.

        `warn` is told of a file that is not the one that was trained. InputError where there is no such file.
        """
        algorithm = algorithms.find(self.settings.algorithm)
        if encoder and "encoder" not in algorithm.settings.model_fields:
            raise InputError(
                f"The encoder {encoder} is of no use: the algorithm of {str(self.place)!r}, {self.settings.algorithm}, "
                "has no encoder. Leave it out."
            )
        files = algorithm.sources(self.settings, **({"encoder": encoder} if encoder else {}))
        for name, file in files.items():
            if file_sha256(file) != self.recorded.get(f"{name}_sha256"):
                warn(f"{file.name} is not the file that was trained (other SHA-256): what acts may be another {name}")
        return files

    def load(self, sources: Mapping[str, Path], device: str = "auto") -> tuple[Trial, nn.Module]:
        """The trial, which was not trained, and its agent. InputError where the weights do not fit it."""
        return load_agent(self.settings, sources, self.weights, device, self.acting)


def find_saved(place: Path, weights: Path | None = None) -> Saved:
    """The agent in a result's folder, or in a file of agents/. `weights`: where a result's lie elsewhere.

    InputError where there is none, with what is missing.
    """
    if place.is_file() and place.suffix == ".safetensors":
        return _of_file(place, weights)
    if place.suffix == ".safetensors":
        raise InputError(f"There is no file {str(place)!r}. agents/ has those that come with the project.")
    settings, recorded = read_result(place)
    value = read_json(place / "metrics.json").get("meta_test_return")
    returns = recorded_returns(place / "adaptation.csv")
    value = float(value) if type(value) in (int, float) else None
    return Saved(place, settings, recorded, weights or require_weights(place), None, value, returns)


def _of_file(place: Path, weights: Path | None) -> Saved:
    if weights is not None:
        raise InputError(
            f"{str(place)!r} holds its own weights; leave out {str(weights)!r}, or give a result's folder."
        )
    packed = read_packed(place)
    recorded = packed.model_dump(exclude={"returns", "acting", "meta_test_return"})
    settings = settings_of(recorded, repr(str(place)))
    return Saved(place, settings, recorded, place, packed.acting, packed.meta_test_return, packed.returns)


# --- a result's folder ------------------------------------------------------------------------------------------------


def read_result(result: Path) -> tuple[Settings, dict[str, Any]]:
    """Settings, and provenance.json. InputError where there is no result or a failed one."""
    names = ("provenance.json", "metrics.json", "adaptation.csv")
    if wrong := [problem for problem in problems(result) if problem.split()[0] in names]:
        raise InputError(
            f"{str(result)!r} holds no whole result: {', '.join(wrong)} there. Give a folder as "
            "results/benchmark/point-robot/mlp/42, or a file as agents/point-robot.safetensors."
        )
    origin, metrics = (read_json(result / name) for name in names[:2])
    failure = metrics.get("failure")
    if failure:
        reason, iteration = (failure.get(key) for key in ("reason", "iteration")) if type(failure) is dict else "??"
        raise InputError(f"{str(result)!r} has nothing to show: its trial failed in iteration {iteration}: {reason}.")
    return recorded_settings(origin, result), origin


def require_weights(result: Path) -> Path:
    """The file of a result's weights. InputError where it is not here."""
    place = find_weights(result)
    key_file = find_key_file(result)
    if key_file and place.is_file() and any(words.startswith(WEIGHTS) for words in differing(key_file)):
        raise InputError(
            f"{str(place)!r} are not the weights of {str(result)!r}: the key file lists another hash. `dvc checkout` "
            "brings those of this commit, where they were trained here; training the trial again makes them."
        )
    if not place.is_file():
        raise InputError(
            f"The weights of {str(result)!r} are not here: no {str(place)!r}. Training the trial again makes them; "
            "`dvc pull` brings those of the benchmark from a remote that has them; `oyster simulate --weights` takes "
            "them from another place."
        )
    return place


def recorded_returns(path: Path) -> list[float]:
    """The returns in a result's adaptation.csv, in its order. InputError where it is another table."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [float(row["return"]) for row in csv.DictReader(file)]
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise InputError(f"{str(path)!r} is not the table that a trial wrote: {describe(error)}.") from error
