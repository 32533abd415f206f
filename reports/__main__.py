"""`python -m reports build`: from a tree of results to a page."""

from pathlib import Path

import click

from reports.build import build as build_report
from reports.grid import InputError, read_grid


@click.group()
def main() -> None:
    """Turn the results of trials into tables, figures and one self-contained page."""


@main.command()
@click.option("--grid", "name", required=True, help="The grid of params.yaml that the report is about.")
@click.option("--results", type=click.Path(path_type=Path), help="Where trials wrote  [default: results/<grid>]")
@click.option("--out", type=click.Path(path_type=Path), help="The report's folder  [default: reports/<grid>]")
@click.option("--params", type=click.Path(path_type=Path), default=Path("params.yaml"), show_default=True)
def build(name: str, results: Path | None, out: Path | None, params: Path) -> None:
    """Write index.html, tables/ and figures/ of one grid, whatever part of it has been run."""
    out = out or Path("reports") / name
    try:
        loaded = build_report(read_grid(params, name), results or Path("results") / name, out)
    except InputError as error:
        refusal = click.ClickException(str(error))
        refusal.exit_code = 2
        raise refusal from error
    finished = int((loaded.trials.status == "finished").sum())
    click.echo(f"{out / 'index.html'}: {finished} of {len(loaded.trials)} trials of grid.{name} finished")


if __name__ == "__main__":
    main(prog_name="python -m reports")
