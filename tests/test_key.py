"""A key holds all that determines a result, and nothing else; key files say what there is."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from oyster import key as keys
from oyster.grid import load_params, trial_settings, trials
from oyster.key import Tree, closure, differences, text_of
from oyster.runtime.errors import InputError
from oyster.runtime.key_file import differing, find_key_file, missing_or_cut, write_key_file
from oyster.status import keyed_trials, sources_of

ROOT = Path(__file__).resolve().parents[1]
MLP = ROOT / "encoders" / "mlp.py"
ASKED = {"environment": "point-robot", "agent": "mlp", "seed": 42, "preset": "demo"}
PARAMS = load_params(ROOT / "params.yaml")


def key_of(encoder: Path = MLP, **changes):
    return Tree().trial_key(trial_settings(PARAMS, **ASKED | changes), {"encoder": encoder})


# --- what is in it ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "agent"),
    [("cheetah-vel", "mlp"), ("point-robot", "recurrent"), ("sparse-point-robot", "attention")],
)
def test_the_closure_is_what_a_trial_really_loads(tmp_path, environment, agent):
    """Neither wide nor narrow: every module of the tree that a trial imports, and no other."""
    code = f"""
import json, sys
from pathlib import Path
from oyster.grid import load_params, trial_settings
settings = trial_settings(load_params("tests/canary/params.yaml"), environment="{environment}", agent="{agent}", seed=1,
                          preset="canary").model_copy(update={{"num_iterations": 1, "num_train_steps_per_itr": 1}})
before = set(sys.modules)
for name in [name for name in before if name.split(".")[0] in ("oyster", "rlkit")]:
    del sys.modules[name]
import oyster
from oyster.trial.run import run_trial
from oyster.algorithms.pearl.settings import Settings
settings = Settings.model_validate(settings.model_dump())
run_trial(settings, {{"encoder": Path("encoders/{agent}.py")}}, Path({str(tmp_path / "out")!r}), device="cpu")
ours = [module for name, module in sys.modules.items() if name.split(".")[0] in ("oyster", "rlkit")]
print(json.dumps(sorted({{module.__file__ for module in ours if getattr(module, "__file__", None)}})))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    loaded = {str(Path(name).relative_to(ROOT)) for name in json.loads(done.stdout.splitlines()[-1])}
    parts = key_of(environment=environment, agent=agent).parts
    hashed = {*parts["engine"], *parts["algorithm"], *parts["family"]}
    assert loaded - hashed == set()
    of_rlkit = {name for name in hashed if name.startswith("oyster/rlkit/")}  # an encoder may import any of it
    assert hashed - loaded - of_rlkit == set()


def test_names_and_what_is_beside_a_trial_change_no_key():
    plain = key_of()
    renamed = trial_settings(PARAMS, **ASKED | {"agent": ("other", PARAMS.agents["mlp"])})
    assert Tree().trial_key(renamed, {"encoder": MLP}).text == plain.text
    assert re.fullmatch("[0-9a-f]{16}", plain.text)
    for name in ("oyster/cli.py", "oyster/grid.py", "oyster/key.py", "oyster/status.py", "oyster/before.py"):
        assert name not in plain.parts["engine"]


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"seed": 43}, "settings.seed 42 → 43"),
        ({"preset": "benchmark"}, "settings.net_size 64 → 300"),
        ({"environment": "sparse-point-robot"}, "family (oyster/envs/"),
        ({"overrides": {"latent_dim": 7}}, "settings.latent_dim 5 → 7"),
    ],
)
def test_what_determines_a_result_is_part_of_it_and_told(changes, word):
    one, other = key_of(), key_of(**changes)
    assert one.text != other.text
    assert any(found.startswith(word) for found in differences(one.parts, other.parts))


def test_an_encoders_file_arguments_and_packages_are_part_of_it(tmp_path):
    mine = tmp_path / "mine.py"
    shutil.copy(MLP, mine)
    assert key_of(mine).text == key_of().text  # the file's name is nothing
    mine.write_text(MLP.read_text() + "\n")
    edited = key_of(mine)
    assert edited.text != key_of().text and differences(key_of().parts, edited.parts) == ["encoder (file)"]
    mine.write_text("import scipy.stats\nimport json\n" + MLP.read_text())
    (name, number), *others = key_of(mine).parts["encoder"]["packages"].items()
    assert name == "scipy" and re.fullmatch(r"[\d.]+", number) and not others
    with_heads = trial_settings(PARAMS, **ASKED | {"agent": "attention"})
    assert Tree().trial_key(with_heads, {"encoder": MLP}).parts["encoder"]["arguments"] == {"num_heads": 4}


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.py' cannot be read: No such file"):
        key_of(tmp_path / "none.py")


def test_only_public_versions_count(tmp_path, monkeypatch):
    lock = tmp_path / "requirements.txt"
    monkeypatch.setattr(keys, "LOCK", lock)
    text = (ROOT / "requirements.txt").read_text()
    lock.write_text(text.replace("torch==2.13.0", "torch==2.13.0+cu130"))
    plain = Tree().locked_versions
    assert plain["torch"] == "2.13.0" and Tree().off_lock() == []
    lock.write_text(text.replace("torch==2.13.0", "torch==2.14.0"))
    assert Tree().off_lock() == ["torch 2.13.0, locked 2.14.0"]
    lock.write_text(re.sub(r"(?m)^mujoco==.*\n", "", text))
    with pytest.raises(InputError, match="locks no version of mujoco"):
        Tree().locked_versions  # noqa: B018


def test_a_file_that_imports_in_a_circle_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(keys, "ROOT", tmp_path)
    (tmp_path / "oyster").mkdir()
    for name, text in (("__init__", ""), ("a", "import oyster.b"), ("b", "def f():\n    from oyster import a, gone")):
        (tmp_path / "oyster" / f"{name}.py").write_text(text)
    found = closure([tmp_path / "oyster" / "a.py"])
    assert [file.name for file in found] == ["__init__.py", "a.py", "b.py"]


def test_a_relative_import_is_followed(tmp_path, monkeypatch):
    """As the files of an algorithm of one's own import each other."""
    monkeypatch.setattr(keys, "ROOT", tmp_path)
    files = {
        "own/__init__.py": "",
        "own/net/__init__.py": "",
        "own/net/learner.py": "from . import heads\nfrom .loss import l2\nfrom ..shared import x\nfrom .... import up",
        "own/net/heads.py": "",
        "own/net/loss.py": "",
        "own/shared.py": "from .net.late import x",
        "own/net/late.py": "",
        "own/net/unused.py": "",
        "alone.py": "from . import own\nfrom .own import shared",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    found = {file.relative_to(tmp_path).as_posix() for file in closure([tmp_path / "own" / "net" / "learner.py"])}
    assert found == set(files) - {"own/net/unused.py", "alone.py"}
    assert closure([tmp_path / "alone.py"]) == [tmp_path / "alone.py"]  # no package: running it will say so


def test_a_thousand_keys_take_no_time():
    tree = Tree()
    settings = [each.settings for each in trials(PARAMS, "benchmark")[::3]]  # of one seed
    seeds = [each.model_copy(update={"seed": n}) for each in settings for n in range(40)]
    found = {tree.trial_key(each, {"encoder": ROOT / "encoders" / f"{each.encoder}.py"}).text for each in seeds}
    assert len(found) == 40 * len(settings)
    assert len(tree._hashes) < 100  # each file was read once


def test_no_torch(tmp_path):
    code = "import sys, oyster.grid, oyster.key, oyster.status\nfrom oyster.grid import load_params\nload_params()\n"
    code += "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_an_agent_without_a_file_is_named():
    content = PARAMS.model_dump(mode="json", exclude_unset=True)
    content["agents"]["mlp"]["encoder"] = "nowhere"
    params = type(PARAMS).model_validate(content)
    with pytest.raises(InputError, match=r"agents\.mlp\.encoder: There is no encoder 'nowhere'"):
        keyed_trials(params, "demo")
    assert sources_of(trials(PARAMS, "demo")[0])["encoder"].name == "mlp.py"


# --- key files --------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "a.json").write_text("{}")
    (tmp_path / "b.csv").write_text("x\n1\n")
    write_key_file(tmp_path, "0123456789abcdef", {"settings": {"seed": 1}}, [tmp_path / "a.json", tmp_path / "b.csv"])
    return tmp_path


def test_a_key_file_says_what_there_is(folder):
    found = find_key_file(folder)
    assert found.key == "0123456789abcdef" and found.parts == {"settings": {"seed": 1}}
    assert missing_or_cut(found) == differing(found) == []
    (folder / "b.csv").write_text("x\n2\n")
    assert missing_or_cut(found) == [] and differing(found) == ["b.csv is not the recorded file"]
    (folder / "b.csv").write_text("x\n")
    assert missing_or_cut(found) == differing(found) == ["b.csv has 2 bytes, not 4"]
    (folder / "b.csv").unlink()
    assert missing_or_cut(found) == ["b.csv is missing"]


def test_none_and_two_and_nonsense(folder, tmp_path_factory):
    assert find_key_file(tmp_path_factory.mktemp("empty")) is None
    path = find_key_file(folder).path
    shutil.copy(path, folder / "fedcba9876543210.key.json")
    with pytest.raises(InputError, match="has 2 key files"):
        find_key_file(folder)
    path.unlink()
    with pytest.raises(InputError, match="is no key file of that name"):
        find_key_file(folder)
    for text in ("", "[]", '{"key": "fedcba9876543210", "parts": 1, "files": {}}', "{" * 10**5):
        (folder / "fedcba9876543210.key.json").write_text(text)
        with pytest.raises(InputError, match=r"fedcba9876543210\.key\.json"):
            find_key_file(folder)


def test_the_text_is_of_the_parts_and_not_of_their_order():
    assert text_of({"a": 1, "b": {"c": 2, "d": 3}}) == text_of({"b": {"d": 3, "c": 2}, "a": 1})
    assert text_of({"a": 1}) != text_of({"a": 2})
