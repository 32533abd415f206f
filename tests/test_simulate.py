"""A result rolls out once more: the recorded returns to the last bit, tables that fit them, pictures that move."""

import csv
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from oyster.algorithms.pearl.settings import find_encoder_file
from oyster.envs import families, load_family
from oyster.grid import load_params, trial_settings
from oyster.reproduce.keep import FOLDER
from oyster.runtime.errors import InputError
from oyster.runtime.records import find_weights
from oyster.simulate import plot, video
from oyster.simulate.rollouts import (
    _trace_columns,
    _write_returns,
    choose_tasks,
    recording,
    simulate,
    write_simulation,
)
from oyster.trial.run import run_trial
from tests.needs import skip_without

ROOT = Path(__file__).resolve().parents[1]
CASES = {"cheetah-vel": "mlp", "sparse-point-robot": "recurrent", "point-robot": "attention"}


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    """A tree with one tiny result of every family, the weights under weights/."""
    root = tmp_path_factory.mktemp("tree")
    params = load_params(FOLDER / "params.yaml")
    for environment, encoder in CASES.items():
        settings = trial_settings(params, environment=environment, agent=encoder, seed=1, preset="canary")
        settings = settings.model_copy(update={"num_train_steps_per_itr": 10})
        folders = [root / kind / "canary" / environment / encoder / "1" for kind in ("results", "weights")]
        run_trial(settings, {"encoder": find_encoder_file(encoder)}, folders[0], weights=folders[1], device="cpu")
    return root


@pytest.fixture(params=CASES)
def result(request, tree) -> Path:
    return of(tree, request.param)


def of(tree: Path, environment: str) -> Path:
    return tree / "results" / "canary" / environment / CASES[environment] / "1"


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def silent(line: str) -> None:
    pass


# --- what is rolled out -----------------------------------------------------------------------------------------------


def test_the_recorded_meta_test_comes_back_to_the_last_bit(result):
    simulation = simulate(result, device="cpu")
    assert simulation.difference() == 0 and "to the last bit" in simulation.in_words()
    recorded = table(result / "adaptation.csv")
    assert [repr(t.total) for t in simulation.trajectories] == [row["return"] for row in recorded]
    traces = np.load(result / "trajectories.npz")[simulation.family.trace_name]
    for t in simulation.trajectories:
        np.testing.assert_array_equal(traces[t.task, t.evaluation, t.number, : len(t.trace)], t.trace)


def test_a_seed_draws_anew_and_the_same_again(tree):
    result = of(tree, "point-robot")
    one, again, other = (simulate(result, seed=seed, device="cpu") for seed in (7, 7, 8))
    totals = [[t.total for t in simulation.trajectories] for simulation in (one, again, other)]
    assert totals[0] == totals[1] != totals[2]
    assert one.difference() is None and "new draws" in one.in_words()
    of_the_trial = simulate(result, seed=1, device="cpu")  # its own seed is no way back to a draw of training
    assert [t.total for t in of_the_trial.trajectories] != [
        float(row["return"]) for row in table(result / "adaptation.csv")
    ]


def test_other_weights_are_told_by_their_returns(tree, tmp_path):
    from safetensors.torch import load_file, save_file

    result = of(tree, "point-robot")
    state = load_file(find_weights(result))
    save_file(
        {name: value + 0.01 if "policy" in name else value for name, value in state.items()}, tmp_path / "altered"
    )
    simulation = simulate(result, weights=tmp_path / "altered", device="cpu")
    assert simulation.difference() > 0 and "differ by up to" in simulation.in_words()


@pytest.mark.parametrize("environment", CASES)
def test_recording_changes_nothing_and_remembers_all(environment):
    family = load_family(environment)
    plain, recorded = family(3), recording(family)(3)
    tasks = family.draw_tasks(3)
    actions = np.random.default_rng(0).uniform(-1, 1, (4, 3, family.action_dim)).astype(np.float32)
    starts = [rows.reset(tasks, np.random.default_rng(1)) for rows in (plain, recorded)]
    np.testing.assert_array_equal(*starts)
    for action in actions:
        for ours, theirs in zip(recorded.step(action), plain.step(action), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    (episode,) = recorded.episodes
    assert (len(episode.steps), len(episode.qpos)) == (4, 5)
    if family.physics_model() is None:
        assert episode.qpos[0] is None
    else:
        assert not np.array_equal(episode.qpos[0], episode.qpos[1])  # copies, not one view of the present
        np.testing.assert_array_equal(episode.qpos[-1], plain.qpos())


# --- what is written --------------------------------------------------------------------------------------------------


def test_tables_fit_each_other(result, tmp_path):
    simulation = simulate(result, device="cpu")
    write_simulation(simulation, [1], tmp_path / "out", video=False, say=silent)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "trajectories.csv",
        "returns.csv",
        "trajectories.png",
    }
    steps, returns = table(tmp_path / "out" / "trajectories.csv"), table(tmp_path / "out" / "returns.csv")
    assert {row["task"] for row in steps} == {row["task"] for row in returns} == {"1"}
    recorded = [row for row in table(result / "adaptation.csv") if row["task"] == "1"]
    assert [row["return"] for row in returns] == [row["return"] for row in recorded]
    parameters = simulation.family.parameter_names
    for row in returns:
        assert [float(row[name]) for name in parameters] == simulation.tasks[1].tolist()
        mine = [s for s in steps if (s["evaluation"], s["trajectory"]) == (row["evaluation"], row["trajectory"])]
        rewards = [float(s["reward"]) for s in mine if s["reward"]]
        assert len(rewards) == int(row["steps"])
        assert sum(rewards) == pytest.approx(float(row["return"]), abs=1e-5)
        assert [int(s["step"]) for s in mine][-1] == len(rewards)
    if simulation.family.trace_at_reset:  # the start state has a place and no reward
        assert (steps[0]["step"], steps[0]["reward"]) == ("0", "")
        assert {"positions_x", "positions_y"} <= steps[0].keys()
    else:
        assert steps[0]["step"] == "1" and "forward_velocity" in steps[0]


def test_the_same_inputs_give_the_same_bytes(tree, tmp_path):
    for name in ("one", "two"):
        simulation = simulate(of(tree, "sparse-point-robot"), seed=3, device="cpu")
        write_simulation(simulation, [0, 1], tmp_path / name, video=True, say=silent)
    assert digests(tmp_path / "one") == digests(tmp_path / "two")
    assert {"task-0.gif", "task-1.gif"} <= digests(tmp_path / "one").keys()


def test_an_earlier_simulation_gives_way_and_nothing_else_does(tree, tmp_path):
    simulation = simulate(of(tree, "point-robot"), device="cpu")
    out = tmp_path / "out"
    write_simulation(simulation, [0], out, video=True, say=silent)
    write_simulation(simulation, [1], out, video=True, say=silent)
    assert "task-1.gif" in digests(out) and "task-0.gif" not in digests(out)
    (out / "notes.txt").write_text("mine")
    before = digests(out)
    with pytest.raises(InputError, match=r"other files \('notes\.txt'\)"):
        write_simulation(simulation, [0], out, video=False, say=silent)
    with pytest.raises(InputError, match="is a file"):
        write_simulation(simulation, [0], out / "notes.txt", video=False, say=silent)
    assert digests(out) == before and [path.name for path in tmp_path.iterdir()] == ["out"]


def test_the_picture_of_the_plane_shows_path_and_goal():
    walk = np.linspace((0.0, 0.0), (0.0, 1.0), 11, dtype=np.float32)  # straight up, the goal to the right
    before, after = (plot.Trajectory(0, 0, number, 1.0, np.zeros(10), walk, None) for number in (0, 2))
    pictures = video._plane(np.array([1.0, 0.5]), [before, after], [0, 5, 10, 20])
    for colour, drawn in zip((plot.BEFORE, plot.AFTER), pictures, strict=True):
        path, goal = ([like(picture, each) for picture in drawn] for each in (colour, plot.GOAL))
        assert len(path[0]) < len(path[1]) < len(path[2]) == len(path[3])  # beyond its end it stays
        assert path[2][:, 0].min() < path[1][:, 0].min()  # upwards
        assert all(len(pixels) > 50 for pixels in goal)
        assert goal[0][:, 1].mean() > path[2][:, 1].mean() + 50


def like(picture: Image.Image, colour: str) -> np.ndarray:
    """(pixel, row and column) where the picture is about of that colour."""
    wanted = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)])
    return np.argwhere(np.abs(np.asarray(picture, int) - wanted).max(axis=-1) < 30)


def test_a_moving_picture_stays_below_a_megabyte(monkeypatch):
    """Noise does not compress: frames are left out, the last one never."""
    rng = np.random.default_rng(0)
    noise = [Image.fromarray(rng.integers(0, 256, (150, 420, 3), np.uint8)) for _ in range(101)]
    monkeypatch.setattr(video, "frames_of", lambda family, trajectory, moments: noise[: len(moments)])
    t = plot.Trajectory(0, 0, 0, 1.0, np.zeros(200), np.zeros(200), np.zeros((201, 9)))
    gif = video.animate(load_family("cheetah-vel"), np.array([1.0]), [t, t], "noise")
    assert 100_000 < len(gif) < video.MAX_BYTES


def test_what_cannot_be_drawn_leaves_nothing_behind(tree, tmp_path):
    simulation = simulate(of(tree, "cheetah-vel"), device="cpu")
    bodiless = [t._replace(qpos=None) for t in simulation.trajectories]  # a velocity alone makes no moving picture
    with pytest.raises(InputError, match="no moving picture of CheetahVel"):
        write_simulation(simulation._replace(trajectories=bodiless), [0], tmp_path / "out", video=True, say=silent)
    assert list(tmp_path.iterdir()) == []


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["2", "0,2", "-1", "one", "", "0,,1"])
def test_what_is_no_test_task_is_told(text):
    with pytest.raises(InputError, match="They are 0 to 1"):
        choose_tasks(text, 2)
    assert choose_tasks(None, 2) == choose_tasks("1, 0", 2) == [0, 1]


@pytest.fixture
def own(tree, tmp_path) -> Path:
    """A point-robot result that may be altered."""
    shutil.copytree(tree, tmp_path / "own")
    return of(tmp_path / "own", "point-robot")


def test_missing_and_foreign_files_are_told(own, tree, tmp_path):
    with pytest.raises(InputError, match=r"metrics\.json is missing, .*provenance\.json is missing"):
        simulate(tmp_path)
    weights = find_weights(own)
    shutil.copy(find_weights(of(tree, "sparse-point-robot")), weights)
    with pytest.raises(InputError, match=r"holds other networks than attention\.py"):
        simulate(own)
    weights.write_bytes(b"no weights")
    with pytest.raises(InputError, match="cannot be read as a safetensors file"):
        simulate(own)
    weights.unlink()
    with pytest.raises(InputError, match=r"weights of .* are not here: no .*weights/.*dvc pull"):
        simulate(own)


def test_another_encoder_file_is_told_and_another_place_is_used(own, tmp_path):
    file = tmp_path / "attention.py"
    file.write_text(find_encoder_file("attention").read_text() + "\n# edited\n")
    warnings = []
    simulation = simulate(own, encoder=str(file), device="cpu", warn=warnings.append)
    assert len(warnings) == 1 and "attention.py is not the file that was trained" in warnings[0]
    assert simulation.difference() == 0  # a comment moves nothing


def test_a_failed_trial_has_nothing_to_show(own):
    metrics = json.loads((own / "metrics.json").read_text())
    (own / "metrics.json").write_text(json.dumps(metrics | {"failure": {"reason": "it broke", "iteration": 1}}))
    with pytest.raises(InputError, match="failed in iteration 1: it broke"):
        simulate(own)


# --- the command ------------------------------------------------------------------------------------------------------


def run_simulate(*arguments: object, **variables: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "oyster", "simulate", *map(str, arguments)]
    environment = {key: value for key, value in os.environ.items() if key != "MUJOCO_GL"} | variables
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def renders_here(backend: str) -> bool:
    """Whether MuJoCo draws without a screen, asked of MuJoCo and not of the program under test."""
    code = "import mujoco; mujoco.Renderer(mujoco.MjModel.from_xml_string('<mujoco/>'), 8, 8).render()"
    environment = os.environ | {"MUJOCO_GL": backend}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True).returncode == 0


def test_the_command_films_the_cheetah(tree, tmp_path):
    done = run_simulate(of(tree, "cheetah-vel"), "--tasks", "1", "--out", tmp_path / "out", "--video")
    if done.returncode and not (renders_here("egl") or renders_here("osmesa")):
        assert done.returncode == 2 and "Nothing can be rendered without a screen here" in done.stderr, done.stderr
        skip_without("egl", "MuJoCo draws with neither egl nor osmesa here: nothing was filmed")
    assert done.returncode == 0, done.stderr
    assert "to the last bit" in done.stderr and "drawing task 1 (1 of 1)" in done.stderr
    gif = tmp_path / "out" / "task-1.gif"
    assert str(gif) in done.stdout and gif.stat().st_size < video.MAX_BYTES
    with Image.open(gif) as film:
        frames = [np.asarray(frame.convert("RGB"), int) for frame in ImageSequence.Iterator(film)]
    assert len(frames) > 10
    for frame in frames:  # the cheetah's reddish brown is in the middle of both halves, all the time
        for half in np.split(frame[video.BAND :], 2):
            rows, columns = np.nonzero(half[video.BAND :, :, 0] - half[video.BAND :, :, 2] > 40)
            assert len(rows) > 100 and 0.3 < columns.mean() / frame.shape[1] < 0.7
    assert any((frames[0] != frame).any() for frame in frames)
    with Image.open(gif.with_suffix(".png")) as picture:
        shown = np.asarray(picture.convert("RGB"), int)
    assert min(np.abs(shown - frame).mean() for frame in frames) < 2


def test_without_a_renderer_the_video_is_refused_and_the_rest_is_not(tree, tmp_path):
    broken = {"MUJOCO_GL": "egl", "__EGL_VENDOR_LIBRARY_DIRS": str(tmp_path), "EGL_PLATFORM": "none"}
    done = run_simulate(of(tree, "cheetah-vel"), "--out", tmp_path / "out", "--video", **broken)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "MUJOCO_GL=egl: " in done.stderr and "libegl1" in done.stderr and "libosmesa6" in done.stderr
    assert not (tmp_path / "out").exists()
    plane = run_simulate(of(tree, "point-robot"), "--out", tmp_path / "out", "--video", "--tasks", "0", **broken)
    assert plane.returncode == 0, plane.stderr
    assert (tmp_path / "out" / "task-0.gif").exists()


def test_the_command_refuses_with_exit_code_2(tree, tmp_path):
    done = run_simulate(of(tree, "point-robot"), "--tasks", "5", "--out", tmp_path / "out")
    assert done.returncode == 2 and "error: --tasks 5" in done.stderr
    assert not (tmp_path / "out").exists()


# --- what a family says of itself -------------------------------------------------------------------------------------


def test_success_stands_beside_the_return_where_a_family_says_it(tree, tmp_path):
    simulation = simulate(of(tree, "point-robot"), device="cpu")
    _write_returns(tmp_path / "plain.csv", simulation, simulation.trajectories)
    assert "success" not in table(tmp_path / "plain.csv")[0]
    solvable = type("Solvable", (simulation.family,), {"success": True})
    solved = [t._replace(success=float(t.number > 0)) for t in simulation.trajectories]
    simulation = simulation._replace(family=solvable, trajectories=solved)
    _write_returns(tmp_path / "solved.csv", simulation, solved)
    assert {(row["trajectory"] != "0", row["success"]) for row in table(tmp_path / "solved.csv")} == {
        (False, "0.0"),
        (True, "1.0"),
    }


@pytest.mark.parametrize("name", families())
def test_no_two_columns_of_trajectories_have_one_name(name):
    family = load_family(name)
    columns = [*family.parameter_names, *_trace_columns(family, len(family.trace_columns) or 2)]
    assert len(set(columns)) == len(columns)


def test_of_targets_that_move_one_trajectory_is_drawn(monkeypatch):
    """Each evaluation has a schedule of its own: nobody could tell which target belongs to which curve."""
    family, drawn = load_family("cheetah-dir-non-stat"), []
    monkeypatch.setattr(plot, "draw", lambda axes, family, trajectory, style: drawn.append(trajectory))
    trace = np.column_stack([np.zeros(20), np.repeat([1.0, -1.0], 10)])
    runs = [plot.Trajectory(0, e, n, 0.0, np.zeros(20), trace, None) for e in range(4) for n in range(3)]
    plot.plot(family, np.array([[1.0]]), runs, "title")
    assert [(t.evaluation, t.number) for t in drawn] == [(0, 0), (0, 2)]


@pytest.mark.parametrize(("name", "parameters", "shared"), [("cheetah-vel", 1, True), ("cheetah-multi-task", 2, False)])
def test_tasks_share_an_axis_where_the_same_is_drawn_of_them(monkeypatch, name, parameters, shared):
    panels = []
    monkeypatch.setattr(plot, "draw", lambda axes, family, trajectory, style: panels.append(axes))
    family = load_family(name)
    trace = np.zeros((20, len(family.trace_columns)) if family.trace_columns else 20)
    runs = [plot.Trajectory(task, 0, n, 0.0, np.zeros(20), trace, None) for task in range(2) for n in range(2)]
    plot.plot(family, np.ones((2, parameters)), runs, "title")
    assert panels[0].get_shared_y_axes().joined(panels[0], panels[-1]) is shared


def test_a_family_may_fill_the_same_arrays_in_every_step():
    class Reusing(load_family("point-robot")):
        def step(self, action):
            step = super().step(action)
            self.rewards = getattr(self, "rewards", np.zeros_like(step.reward))
            self.rewards[:] = step.reward
            return step._replace(reward=self.rewards, sparse_reward=self.rewards)

    rows = recording(Reusing)(1)
    rows.reset(rows.draw_tasks(1), np.random.default_rng(0))
    for _ in range(3):
        rows.step(np.ones((1, 2), np.float32))
    assert len({float(step.reward[0]) for step in rows.episodes[0].steps}) == 3
