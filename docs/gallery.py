"""Draw every task family once, in one picture: `python docs/gallery.py` writes docs/families.png.

Each acts in its first training task: by its oracle where it has one, else at random. Bodies are shown as they are after
12 steps, robots on the plane by their way, all others by what they trace.
"""

import io
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

from oyster.envs import families, load_family
from oyster.envs.contract import training_tasks
from oyster.envs.family import TaskFamily
from oyster.runtime.errors import NotInstalled
from oyster.simulate import plot, video

PICTURE = Path(__file__).parent / "families.png"
COLUMNS, GAP, LABEL = 3, 14, 20  # pixels between pictures, and for a name
STEPS = 12
KEPT = 0.9  # of the last random action, so that a body moves instead of trembling


def act(family: type[TaskFamily], num_steps: int) -> tuple[np.ndarray, plot.Trajectory]:
    """Its first training task, and a trajectory in it."""
    task, rng, rows = training_tasks(family, 1), np.random.default_rng(0), family(1)
    rows.reset(task, rng)
    traces = [rows.trace()[0]] if family.trace_at_reset else []
    positions = [] if rows.qpos() is None else [rows.qpos()[0].copy()]
    action = np.zeros((1, family.action_dim))
    for _ in range(num_steps):
        known = rows.oracle_action()
        action = KEPT * action + (1 - KEPT) * rng.uniform(-4.0, 4.0, action.shape) if known is None else known
        step = rows.step(np.clip(action, -1.0, 1.0).astype(np.float32))
        traces.append(step.trace[0].copy())
        if positions:
            positions.append(rows.qpos()[0].copy())
        if step.terminal[0]:
            break
    qpos = np.array(positions) if positions else None
    return task[0], plot.Trajectory(0, 0, 1, 0.0, np.zeros(len(traces)), np.array(traces), qpos)


def draw(family: type[TaskFamily]) -> Image.Image:
    """One picture, PHYSICS_SIZE large."""
    physics = family.physics_model() is not None
    task, trajectory = act(family, STEPS if physics else family.horizon)
    if physics:
        return video.frames_of(family, trajectory, [STEPS])[0]
    width, height = video.PHYSICS_SIZE
    with plot.plain_style():
        figure = Figure(figsize=(width / 100, height / 100), dpi=100, layout="constrained")
        axes = figure.subplots()
        plot.draw(axes, family, trajectory, {"color": plot.AFTER})
        plot.draw_target(axes, family, task, trajectory)
        axes.tick_params(labelsize=6)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return Image.open(buffer).convert("RGB")


def main() -> None:
    video.choose_backend()
    drawn = {}
    for name in families():
        family = load_family(name)
        try:
            family.require_installed()
        except NotInstalled as error:
            print(f"{name} is left out: {error}")
            continue
        video.require_renderer(family)
        drawn[name] = draw(family)
    width, height = video.PHYSICS_SIZE
    rows = -(-len(drawn) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * (width + GAP) + GAP, rows * (height + LABEL + GAP) + GAP), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for place, (name, picture) in enumerate(drawn.items()):
        row, column = divmod(place, COLUMNS)
        x, y = GAP + column * (width + GAP), GAP + row * (height + LABEL + GAP)
        pen.text((x, y), name, fill=plot.INK, font=font)
        sheet.paste(picture, (x, y + LABEL))
    sheet.quantize(255).save(PICTURE, optimize=True)
    print(f"{PICTURE.name}: {len(drawn)} families, {PICTURE.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
