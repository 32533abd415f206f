"""A moving picture of the first and the last trajectory on one task: MuJoCo's physics rendered without a screen, or
positions on the plane drawn over the goal.
"""

import io
import os
import subprocess
import sys
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from oyster.envs.family import TaskFamily
from oyster.runtime.errors import InputError
from oyster.simulate.plot import AFTER, BEFORE, GOAL, INK, Trajectory, on_plane, place

MAX_BYTES = 1_000_000  # of a moving picture
PHYSICS_STRIDE = 3  # steps between two frames: every step of a body is more than eyes need
STEP_MS = 50  # that a step is shown for, ms: half-cheetah's own time; robots on the plane move in slow motion
PLANE_STEP_MS = 150
HOLD_MS = 1500  # that the last frame stays
COLOURS = 64  # of a moving picture
PHYSICS_SIZE, PLANE_SIZE, BAND = (360, 110), (210, 210), 18  # pixels: width, height; of a line of text
BACKENDS = ("egl", "osmesa")
PROBE = "import mujoco; context = mujoco.GLContext(8, 8); context.make_current(); context.free()"
_failures: dict[str, str] = {}  # backend → why it does not work here


def choose_backend() -> None:
    """Set MUJOCO_GL to a way of rendering without a screen that works here: what it says, else EGL, else OSMesa.

    MuJoCo reads it when it is imported: call this before anything does. Where nothing works it is left unset.
    """
    given = os.environ.pop("MUJOCO_GL", None)
    for backend in [given] if given else BACKENDS:
        done = subprocess.run(
            [sys.executable, "-c", PROBE], env=os.environ | {"MUJOCO_GL": backend}, capture_output=True, text=True
        )
        if done.returncode == 0:
            os.environ["MUJOCO_GL"] = backend
            return
        _failures[backend] = (done.stderr.strip().splitlines() or ["no reason given"])[-1]


def require_renderer(family: type[TaskFamily]) -> None:
    """InputError where `animate` could not draw this family here, with what to install. After choose_backend."""
    if family.physics_model() is None or "MUJOCO_GL" in os.environ:
        return
    tried = "; ".join(f"MUJOCO_GL={backend}: {reason}" for backend, reason in _failures.items())
    raise InputError(
        f"Nothing can be rendered without a screen here ({tried}). On Debian, install libegl1 and libgl1-mesa-dri for "
        "egl, or libosmesa6 for osmesa; a GPU's driver brings egl too. Without --video none of it is needed."
    )


def animate(family: type[TaskFamily], task: np.ndarray, trajectories: Sequence[Trajectory], title: str) -> bytes:
    """GIF below MAX_BYTES: the first and the last of one run's trajectories on `task` (parameter,), step by step."""
    pair = [trajectories[0], trajectories[-1]]
    if pair[0].qpos is None and not (on_plane(family, pair[0]) and family.target == "place"):
        raise InputError(
            f"There is no moving picture of {family.__name__}: a family needs qpos() and physics_model(), or a trace "
            "of positions on the plane with a goal there. Run without --video for tables and plot."
        )
    parameters = ", ".join(f"{name} {value:.2f}" for name, value in zip(family.parameter_names, task, strict=False))
    lines = [f"{title}, task {pair[0].task}{': ' * bool(parameters)}{parameters}".replace("_", " ")]
    lines += [f"trajectory {t.number + 1}: return {t.total:.1f}" for t in pair]
    physics = pair[0].qpos is not None
    stride, step_ms = (PHYSICS_STRIDE, STEP_MS) if physics else (1, PLANE_STEP_MS)
    length = max(len(trajectory.reward) for trajectory in pair)
    moments = [*range(0, length, stride), length]
    drawn = [frames_of(family, t, moments) for t in pair] if physics else _plane(place(family, task), pair, moments)
    frames = [_compose(pictures, lines) for pictures in zip(*drawn, strict=True)]
    while len(gif := _encode(frames, stride * step_ms)) > MAX_BYTES and len(frames) > 2:
        frames, stride = [*frames[:-1:2], frames[-1]], 2 * stride
    return gif


def still(family: type[TaskFamily], gif: bytes) -> bytes:
    """PNG of one frame of `animate`: a body at half time, a path when it is complete."""
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(gif)) as film:
        film.seek(film.n_frames - 1 if family.physics_model() is None else film.n_frames // 2)
        film.convert("P", palette=Image.Palette.ADAPTIVE, colors=COLOURS).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def frames_of(family: type[TaskFamily], trajectory: Trajectory, moments: Sequence[int]) -> list[Image.Image]:
    """After so many steps each: the camera goes along with the first body, from the side."""
    import mujoco

    model = family.physics_model()
    data = mujoco.MjData(model)
    camera = mujoco.MjvCamera()
    camera.type, camera.trackbodyid = mujoco.mjtCamera.mjCAMERA_TRACKING, 1
    mujoco.mj_forward(model, data)
    height = data.xpos[1, 2]  # of the torso, as the body stands
    camera.distance, camera.azimuth, camera.elevation = max(2.2, 2.4 * height), 90.0, -7.0
    pictures = []
    with mujoco.Renderer(model, height=PHYSICS_SIZE[1], width=PHYSICS_SIZE[0]) as renderer:
        for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
            renderer.scene.flags[flag] = False  # a processor draws several times as fast without
        for moment in moments:
            data.qpos[:] = trajectory.qpos[min(moment, len(trajectory.qpos) - 1)]
            mujoco.mj_forward(model, data)
            renderer.update_scene(data, camera)
            pictures.append(Image.fromarray(renderer.render()))
    return pictures


def _plane(task: np.ndarray, pair: Sequence[Trajectory], moments: Sequence[int]) -> list[list[Image.Image]]:
    """Of each of a pair, on one scale: the path until each moment, over the goal `task` (x, y)."""
    points = np.concatenate([task[None], *(trajectory.trace for trajectory in pair)])
    middle, reach = (points.max(0) + points.min(0)) / 2, max(0.6 * np.ptp(points, axis=0).max(), 0.1)
    return [[_walk(task, t, moment, middle, reach) for moment in moments] for t in pair]


def _walk(task: np.ndarray, trajectory: Trajectory, moment: int, middle: np.ndarray, reach: float) -> Image.Image:
    """Drawn large and reduced, which smooths it. `middle` (2,) of the picture, `reach` from there to its edge."""
    large = 3
    size = large * np.array(PLANE_SIZE)

    def at(position: np.ndarray) -> np.ndarray:
        return size / 2 + (position - middle) * (1, -1) * size / (2 * reach)

    def disc(position: np.ndarray, radius: float) -> list[tuple]:
        return [tuple(at(position) - large * radius), tuple(at(position) + large * radius)]

    colour = BEFORE if trajectory.number == 0 else AFTER
    path = trajectory.trace[: moment + 1]
    image = Image.new("RGB", tuple(size), "white")
    draw = ImageDraw.Draw(image)
    draw.ellipse(disc(task, 6), fill=GOAL)
    draw.line([tuple(at(position)) for position in path], fill=colour, width=2 * large)
    draw.ellipse(disc(path[-1], 4), fill=colour)
    return image.resize(PLANE_SIZE, Image.Resampling.LANCZOS)


def _compose(pictures: Sequence[Image.Image], lines: Sequence[str]) -> Image.Image:
    """The title, and below it, one under the other or side by side, each picture with its line."""
    width, height = pictures[0].size
    wide = width > 2 * height
    columns = 1 if wide else 2
    image = Image.new("RGB", (columns * width, BAND + (2 if wide else 1) * (height + BAND)), "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(size=11)
    draw.text((4, 3), lines[0], fill=INK, font=font)
    for number, (picture, line) in enumerate(zip(pictures, lines[1:], strict=True)):
        left, top = (0, BAND + number * (height + BAND)) if wide else (number * width, BAND)
        draw.text((left + 4, top + 3), line, fill=INK, font=font)
        image.paste(picture, (left, top + BAND))
    return image


def _encode(frames: Sequence[Image.Image], frame_ms: int) -> bytes:
    """One palette for all frames and no dither: what does not move stays the same, and takes no space."""
    palette = frames[len(frames) // 2].quantize(COLOURS, dither=Image.Dither.NONE)
    flat = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    buffer = io.BytesIO()
    durations = [frame_ms] * (len(flat) - 1) + [HOLD_MS]
    flat[0].save(buffer, "GIF", save_all=True, append_images=flat[1:], duration=durations, loop=0, optimize=False)
    return buffer.getvalue()
