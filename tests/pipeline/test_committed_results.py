"""The results in git carry the keys that this tree asks for, and are the files that key files and dvc.lock record."""

from pathlib import Path

import yaml

from oyster.grid import load_params
from oyster.runtime.key_file import differing, find_key_file
from oyster.runtime.records import RESULT_FILES, WEIGHTS
from oyster.status import keyed_trials

ROOT = Path(__file__).resolve().parents[2]
STAGES = yaml.safe_load((ROOT / "dvc.lock").read_text())["stages"]
KEYED = keyed_trials(load_params(ROOT / "params.yaml"), "benchmark")


def test_every_result_carries_the_key_that_the_tree_asks_for():
    """After an edit of the engine: `python -m oyster keep`, `python -m oyster record`, and commit."""
    found = {each.trial.place: find_key_file(ROOT / each.folder) for each in KEYED}
    assert {place: key_file and key_file.key for place, key_file in found.items()} == {
        each.trial.place: each.key.text for each in KEYED
    }
    assert {place: wrong for place, key_file in found.items() if (wrong := differing(key_file))} == {}
    assert all(set(key_file.files) == {*RESULT_FILES, WEIGHTS} for key_file in found.values())
    there = {path.relative_to(ROOT / "results").as_posix() for path in (ROOT / "results" / "benchmark").glob("*/*/*")}
    assert {place for place in there if not place.endswith(".partial")} == set(found)


def test_dvcs_lock_has_the_same_keys_and_hashes():
    for each in KEYED:
        environment, agent, seed = each.trial.identity
        stage = STAGES[f"train@{environment}-{agent}-{seed}"]
        assert stage["params"]["keys.json"] == {f"trials.{environment}.{agent}.{seed}": each.key.text}
        place = each.trial.place
        assert f"--out results/{place} --weights weights/{place} --expect-key keys.json" in stage["cmd"]
        recorded = {Path(out["path"]).name: out["md5"] for out in stage["outs"]}
        listed = {name: file.md5 for name, file in find_key_file(ROOT / each.folder).files.items()}
        assert recorded == {name: md5 for name, md5 in listed.items() if name != "provenance.json"}
