"""Recorded episodes of the references' own code, against every family; `check_family` on files that are wrong."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from check_family import META_WORLD, check, main, read

from oyster.envs import load_family
from tests.needs import need_installed

HERE = Path(__file__).parent
FILES = sorted((HERE / "families").glob("*.npz"))
EPISODE = HERE / "families" / "cheetah_dir.npz"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_family_gives_the_recorded_numbers(path):
    need_installed(load_family(path.stem.replace("_", "-")))
    errors = check(path)
    more = META_WORLD if path.stem.startswith("ml1_") else ()
    assert errors.agree() and set(errors.early) == {"observations", "rewards", *more}
    assert max((errors.whole if more else errors.early).values()) < 2e-7  # float32's rounding, and nothing else


def test_of_meta_world_every_step_counts(tmp_path):
    need_installed(load_family("ml1-reach"))
    golden = read(HERE / "families" / "ml1_reach.npz")
    for key in ("successes", "obj_to_target"):
        changed = {name: value.copy() for name, value in golden.items()}
        changed[f"episode0/{key}"][-1] += 1e-3
        np.savez(tmp_path / "ml1_reach.npz", **changed)
        assert main(tmp_path / "ml1_reach.npz") == 1


def spoilt(tmp_path, change) -> Path:
    golden = read(EPISODE)
    change(golden)
    np.savez(tmp_path / EPISODE.name, **golden)
    return tmp_path / EPISODE.name


@pytest.mark.parametrize("key", ["observations", "rewards", "qvel", "actions"])
def test_a_changed_number_is_found(key, tmp_path, capsys):
    def change(golden):
        golden[f"episode1/{key}"].flat[3] += 0.01

    assert main(spoilt(tmp_path, change)) == 1
    assert "DIFFERS" in capsys.readouterr().out


def test_a_wrong_terminal_is_found_at_any_step_and_a_value_only_until_step_20(tmp_path):
    def late_terminal(golden):
        golden["episode1/terminals"][-1] ^= True

    def late_reward(golden):
        golden["episode1/rewards"][30] += 1.0

    assert main(spoilt(tmp_path, late_terminal)) == 1
    assert main(spoilt(tmp_path, late_reward)) == 0


def test_what_is_not_a_number_or_no_episode_at_all_does_not_agree(tmp_path):
    assert main(spoilt(tmp_path, lambda golden: golden["episode0/rewards"].fill(np.nan))) == 1
    assert main(spoilt(tmp_path, dict.clear)) == 1


def test_episodes_may_have_gaps_any_length_and_nothing_around_them(tmp_path):
    golden = read(EPISODE)
    kept = {key.replace("episode1/", "episode17/"): value for key, value in golden.items() if "episode1/" in key}
    steps = {"actions": 7, "rewards": 7, "terminals": 7, "observations": 8}
    kept |= {f"episode17/{name}": kept[f"episode17/{name}"][:count] for name, count in steps.items()}
    del kept["episode17/task"], kept["episode17/reward_forward"]
    np.savez(tmp_path / EPISODE.name, **kept)
    errors = check(tmp_path / EPISODE.name)
    assert errors.episodes == 1 and errors.agree()


def test_the_command_stands_alone(tmp_path):
    shutil.copy(HERE / "families" / "pendulum.npz", tmp_path)
    command = [sys.executable, str(HERE / "check_family.py"), str(tmp_path / "pendulum.npz")]
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(HERE.parents[1])}
    )
    assert done.returncode == 0, done.stderr
    assert "3 episodes" in done.stdout and "agrees" in done.stdout
