"""python -m benchmarks.scale [--trials 1000] [--cores N]: what the pipeline itself costs at many fast trials.

In a clone of its own, Snakemake trains a grid of the smallest trials, is asked again, reports, and gets one agent more.
Everything runs the real commands. Figures are seconds on this machine, to be read beside the first row.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import yaml

ROOT = Path(__file__).resolve().parents[1]
SEEDS = 50  # per agent
TINY = {
    "num_iterations": 1, "encoder_hidden_sizes": [8], "meta_batch": 2, "batch_size": 8, "embedding_batch_size": 8,
    "num_initial_steps": 20, "num_tasks_sample": 1, "num_train_steps_per_itr": 2,
}  # fmt: skip


class Clone:
    """The working tree as a repository of its own, with one grid `scale`."""

    def __init__(self, folder: Path, agents: int):
        self.folder = folder
        listed = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True
        )
        for name in listed.stdout.splitlines():
            if (ROOT / name).is_file() and not name.startswith(("results/", "reports/benchmark/")):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
        self.run("git", "init", "--quiet")
        self.grow(agents)

    def grow(self, agents: int) -> None:
        names = [f"a{number}" for number in range(agents)]
        preset = {"extends": "demo", "pearl": {"all": TINY, "point-robot": TINY}}
        axes = {"environments": ["point-robot"], "agents": names, "seeds": list(range(SEEDS))}
        content = {
            "grids": {"scale": {"preset": "scale"} | axes},
            "agents": {name: {"encoder": "mlp", "settings": {"net_size": 8 + n}} for n, name in enumerate(names)},
            "evaluation": {"scale": {"point-robot": {"train_tasks": 3, "test_tasks": 2, "evaluations": 1}}},
            "presets": {"scale": preset},
        }
        (self.folder / "params.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
        self.run("git", "add", "--all")
        self.run(
            "git", "-c", "user.name=scale", "-c", "user.email=scale@example.org", "commit", "--quiet", "-m", "scale"
        )

    def run(self, *command: str) -> tuple[float, str]:
        """Wall seconds, and what was said."""
        paths = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        started = time.perf_counter()
        done = subprocess.run(command, cwd=self.folder, env=os.environ | paths, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{' '.join(command)} exited {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
        return time.perf_counter() - started, done.stdout + done.stderr

    def trained(self) -> int:
        return sum(1 for _ in self.folder.glob("results/scale/*/*/*/*.key.json"))


def alone(clone: Clone, times: int = 5) -> float:
    """Seconds of one trial without the pipeline: the engine's own start, above all."""
    names = ["--env", "point-robot", "--agent", "a0", "--seed", "0", "--preset", "scale", "--device", "cpu"]
    command = [sys.executable, "-m", "oyster", "train", *names]
    return min(clone.run(*command, "--out", f".pipeline/alone/{number}")[0] for number in range(times))


@click.command()
@click.option("--trials", default=1000, show_default=True)
@click.option("--cores", default=os.cpu_count(), show_default=True)
def main(trials: int, cores: int) -> None:
    agents = max(1, trials // SEEDS)
    snakemake = ("snakemake", "--cores", str(cores))
    with tempfile.TemporaryDirectory(prefix="scale-") as folder:
        clone = Clone(Path(folder), agents)
        rows = [("one trial without the pipeline, best of five", alone(clone))]
        rows.append(
            (f"`snakemake -n` before the first of {agents * SEEDS} trials", clone.run("snakemake", "-n", "scale")[0])
        )
        seconds, _ = clone.run(*snakemake, "scale")
        assert clone.trained() == agents * SEEDS
        rows.append((f"the first run of {agents * SEEDS} trials and the report, {cores} at a time", seconds))
        rows.append(("of it per trial and core, beyond a trial alone", seconds * cores / (agents * SEEDS) - rows[0][1]))
        rows.append(("a run with nothing to do", clone.run(*snakemake, "scale")[0]))
        rows.append(("`oyster status scale`", clone.run(sys.executable, "-m", "oyster", "status", "scale")[0]))
        rows.append(("`oyster report scale`", clone.run(sys.executable, "-m", "oyster", "report", "scale")[0]))
        page = (clone.folder / "reports" / "scale" / "index.html").stat().st_size / 1e6
        clone.grow(agents + 1)
        seconds, _ = clone.run(*snakemake, "scale")
        assert clone.trained() == (agents + 1) * SEEDS
        rows.append((f"one agent more: {clone.trained() - agents * SEEDS} trials and the report", seconds))
    width = max(len(what) for what, _ in rows)
    for what, value in rows:
        click.echo(f"| {what:{width}} | {value:8.2f} s |")
    click.echo(f"| {'the page':{width}} | {page:7.2f} MB |")


if __name__ == "__main__":
    main()
