"""The canary is silent on this commit, and sings when the engine behaves otherwise."""

import json

import numpy as np
import pytest

from oyster import canary
from oyster.pearl import networks, posterior
from oyster.runtime import provenance
from oyster.runtime.errors import InputError


def test_the_engine_behaves_as_recorded():
    outcomes = canary.listen()
    assert [outcome.trial for outcome in outcomes] == [" ".join(trial) for trial in canary.TRIALS]
    assert not [str(outcome) for outcome in outcomes if outcome.word == "different"]


@pytest.mark.parametrize(
    "module, name, value",
    [(networks, "HALF_LOG_TWO_PI", 0.5), (posterior, "MIN_VARIANCE", 1.0)],
)
@pytest.mark.parametrize("known_hardware", [True, False])
def test_another_behaviour_is_heard(module, name, value, known_hardware, monkeypatch, tmp_path):
    for path in canary.FOLDER.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(canary, "FOLDER", tmp_path)
    monkeypatch.setattr(canary, "TRIALS", canary.TRIALS[1:2])
    if known_hardware:
        canary.record()
    else:
        monkeypatch.setattr(provenance, "kind", lambda record: {"cpu": "unheard of"})
        stored = tmp_path / f"{canary.TRIALS[0][0]}.json"
        stored.write_text(stored.read_text().replace('"metrics.json": "', '"metrics.json": "0'))  # as rounding would
    assert {outcome.word for outcome in canary.listen()} == {"identical" if known_hardware else "consistent"}
    monkeypatch.setattr(module, name, value)
    assert {outcome.word for outcome in canary.listen()} == {"different"}


@pytest.mark.parametrize("part, word", [("first_losses", "consistent"), ("first_rewards", "different")])
def test_contacts_excuse_other_losses_on_other_hardware_and_nothing_else(part, word, monkeypatch, tmp_path):
    monkeypatch.setattr(canary, "FOLDER", tmp_path)
    monkeypatch.setattr(canary, "TRIALS", canary.TRIALS[:1])
    (tmp_path / "params.yaml").write_bytes((provenance.ROOT / "tests" / "canary" / "params.yaml").read_bytes())
    canary.record()
    path = tmp_path / "cheetah-vel.json"
    stored = json.loads(path.read_text())
    stored["start"][part] = (1.07 * np.array(stored["start"][part])).tolist()
    path.write_text(json.dumps(stored | {"hashes": []}))
    [outcome] = canary.listen()
    assert outcome.word == word and ("first rewards agree" in outcome.detail) is (word == "consistent")


def test_the_same_bytes_on_hardware_unheard_of_are_identical(monkeypatch, tmp_path):
    for path in canary.FOLDER.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(canary, "FOLDER", tmp_path)
    monkeypatch.setattr(canary, "TRIALS", canary.TRIALS[2:])
    canary.record()
    monkeypatch.setattr(provenance, "kind", lambda record: {"cpu": "unheard of"})
    [outcome] = canary.listen()
    assert outcome.word == "identical" and "another kind of hardware" in outcome.detail


def test_recording_keeps_the_hashes_of_other_hardware(monkeypatch, tmp_path):
    for path in canary.FOLDER.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(canary, "FOLDER", tmp_path)
    monkeypatch.setattr(canary, "TRIALS", canary.TRIALS[2:])
    before = len(json.loads((tmp_path / "point-robot.json").read_text())["hashes"])
    monkeypatch.setattr(provenance, "kind", lambda record: {"cpu": "another"})
    canary.record()
    canary.record()
    assert len(json.loads((tmp_path / "point-robot.json").read_text())["hashes"]) == before + 1


def test_recording_refuses_a_start_that_differs_from_the_stored_one(monkeypatch, tmp_path):
    for path in canary.FOLDER.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(canary, "FOLDER", tmp_path)
    monkeypatch.setattr(canary, "TRIALS", canary.TRIALS[1:2])
    stored = (tmp_path / "sparse-point-robot.json").read_bytes()
    monkeypatch.setattr(posterior, "MIN_VARIANCE", 1.0)
    with pytest.raises(InputError, match="starts otherwise"):
        canary.record()
    assert (tmp_path / "sparse-point-robot.json").read_bytes() == stored
    (tmp_path / "sparse-point-robot.json").unlink()  # so it is meant
    canary.record()
