"""What the agent inferred: posterior means against the task, how variance contracts, and maps of the latent space."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from oyster.report.figures.curves import count_axis, curves, told
from oyster.report.figures.parameters import Scale, along, are_goals, hue, median_trial, parameters, spaced
from oyster.report.figures.style import (
    INK,
    Cells,
    Svg,
    all_of,
    beneath,
    colour_bar,
    encoder_keys,
    figure,
    grid,
    label,
    looks,
    panel,
    powers_of_ten,
)
from oyster.report.read.results import Results
from oyster.report.statistics.words import number

SEED_OF_TSNE = 0
LARGEST_OF_TSNE = 1e15  # it squares distances in float32
SIGNED = "vlag"  # of seaborn: blue below zero, red above


def means(results: Results) -> dict[str, Svg]:
    """The final posterior's mean, a row per agent and a column per latent dimension, against the task's parameter."""
    panels = {}
    for environment in results.grid.environments:
        found = along(results, environment)
        rows = _finals(results, environment)
        if not rows or (found is None and not are_goals(results, environment)):
            continue
        columns = max(frame.shape[1] for _, _, frame in rows)

        def draw(cells: Cells, environment=environment, found=found, rows=rows) -> None:
            for line, (encoder, seed, frame) in zip(cells.axes, rows, strict=True):
                for k, axes in enumerate(line):
                    if k >= frame.shape[1]:
                        axes.set_visible(False)
                    elif found is not None:
                        _against(axes, frame.iloc[:, k], found, looks(results.grid.encoders)[encoder])
                    else:
                        _over_goals(axes, frame.iloc[:, k], parameters(results, environment))
                _row_title(line[0], encoder, seed)
                all_of(encoder, *line)
            for k, axes in enumerate(cells.axes[-1]):
                axes.set_xlabel(f"z{k}", fontsize=8, labelpad=1)
            names = [spaced(name) for name in parameters(results, environment)]
            beneath(cells, f"{found.words if found else ', '.join(names)}; one column per latent dimension", drop=0.45)

        free = found is not None
        panels[environment] = grid(
            environment, len(rows), columns, draw, cell_height=0.72 if free else 0.66,
            gap=(0.1, 0.3), left=0.42, bottom=0.58, share=(True, "row" if free else True),
        )  # fmt: skip
    return panels


def _against(axes: Axes, values: pd.Series, found: Scale, look) -> None:
    axes.plot(
        found.values[values.index.get_level_values("task")], values, look.mark, color=look.colour, markersize=3,
        alpha=0.8, markeredgewidth=0,
    )  # fmt: skip
    axes.margins(0.1, 0.15)
    axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(nbins=2))
    axes.yaxis.set_major_locator(mpl.ticker.MaxNLocator(nbins=3))


def _over_goals(axes: Axes, values: pd.Series, goals: pd.DataFrame) -> None:
    """A dot at each goal, coloured by the mean over evaluations; its largest size, either way, is the full colour."""
    values = values.groupby("task").mean()
    most = values.abs().max() or 1.0
    places = goals.loc[values.index]
    axes.scatter(
        places.iloc[:, 0], places.iloc[:, 1], c=values, cmap=sns.color_palette(SIGNED, as_cmap=True), vmin=-most,
        vmax=most, s=17, edgecolors=INK, linewidths=0.4,
    )  # fmt: skip
    axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(nbins=2))
    axes.yaxis.set_major_locator(mpl.ticker.MaxNLocator(nbins=2))
    axes.margins(0.12)


def contraction(results: Results) -> dict[str, Svg]:
    """How the posterior narrows with context: variance, geometric mean over dimensions and tasks, by trajectory."""
    encoders = results.grid.encoders
    panels = {}
    for environment in results.grid.environments:
        frame = _log_variance(results, environment)
        if len(frame) == 0:
            continue

        def draw(axes: Axes, frame: pd.DataFrame = frame) -> None:
            curves(axes, frame, encoders, "trajectory", "log_variance", step="trajectory")
            axes.set(xlabel="trajectories seen", ylabel="variance of q(z|c), geometric mean")
            count_axis(axes)
            powers_of_ten(axes.yaxis)

        panels[environment] = panel(environment, draw, encoder_keys(encoders))
    return panels


def _log_variance(results: Results, environment: str) -> pd.DataFrame:
    """encoder, seed, status, trajectory, log_variance (base ten); without agents that have no variance."""
    rows = results.posteriors[results.posteriors.environment == environment]
    variances = rows[[column for column in rows if column.startswith("variance_")]].astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log10(variances.where(variances > 0)).mean(axis=1)
    frame = rows[["encoder", "seed", "status", "trajectory"]].assign(log_variance=logs).dropna()
    return frame.groupby(["encoder", "seed", "status", "trajectory"], as_index=False).log_variance.mean()


def projection(results: Results) -> dict[str, Svg]:
    """The final posterior's means in two dimensions, by PCA and by t-SNE, coloured by task."""
    panels = {}
    for environment in results.grid.environments:
        colours = hue(results, environment)
        rows = [row for row in _finals(results, environment) if len(row[2]) > 2]
        if not rows or colours is None:
            continue

        def draw(cells: Cells, rows=rows, colours=colours) -> None:
            for line, (encoder, seed, frame) in zip(cells.axes, rows, strict=True):
                tasks = frame.index.get_level_values("task")
                for axes, (name, flat) in zip(line, _flattened(frame.to_numpy()).items(), strict=True):
                    axes.set(xticks=[], yticks=[])
                    axes.margins(0.1)
                    if flat is None:
                        axes.text(0.5, 0.5, name, ha="center", transform=axes.transAxes, fontsize=8)
                        continue
                    axes.scatter(
                        *flat.T, c=[colours.colour(task) for task in tasks], s=20, edgecolors=INK, linewidths=0.4
                    )
                    axes.set_xlabel(name, fontsize=7.5, labelpad=2)
                _row_title(line[0], encoder, seed)
                all_of(encoder, *line)
            colour_bar(cells, colours.colours, *colours.ends, colours.words)

        panels[environment] = grid(
            environment, len(rows), 2, draw, cell_height=1.15, gap=(0.25, 0.45), left=0.12, bottom=0.88
        )
    return panels


def _flattened(points: np.ndarray) -> dict[str, np.ndarray | None]:
    """(point, dimension) → what the axes say and (point, 2), by PCA and t-SNE; None where points are too few."""
    if np.allclose(points, points[0]):
        return {"all posteriors are alike": None, "": None}
    flat, explained = _pca(points)
    maps: dict[str, np.ndarray | None] = {f"PCA ({explained:.0%} of variance)": flat}
    if len(points) < 4:
        return maps | {"too few for t-SNE": None}
    if points.shape[1] < 2:
        return maps | {"one dimension: no t-SNE": None}
    if np.abs(points).max() > LARGEST_OF_TSNE:
        return maps | {"too large for t-SNE": None}
    perplexity = min(30.0, (len(points) - 1) / 3)
    # Exact, as points are few: no tree, no threads, nothing but the seed to depend on.
    tsne = TSNE(perplexity=perplexity, method="exact", init="pca", random_state=SEED_OF_TSNE, max_iter=500)
    return maps | {f"t-SNE (perplexity {perplexity:.1f})": tsne.fit_transform(points)}


def _pca(points: np.ndarray) -> tuple[np.ndarray, float]:
    """(point, 2), and the share of the variance that it holds. Not all points may be alike."""
    pca = PCA(min(2, points.shape[1]), svd_solver="full").fit(points)
    flat = pca.transform(points)
    return np.pad(flat, ((0, 0), (0, 2 - flat.shape[1]))), float(pca.explained_variance_ratio_.sum())


def _finals(results: Results, environment: str) -> list[tuple[str, int, pd.DataFrame]]:
    """encoder, its median seed, and the means of that trial's final posteriors: (task, evaluation) by dimension."""
    found = []
    for encoder in results.grid.encoders:
        seed = median_trial(results, environment, encoder)
        rows = results.posteriors.query("environment == @environment and encoder == @encoder and seed == @seed")
        if seed is None or len(rows) == 0:
            continue
        rows = rows[rows.task.isin(parameters(results, environment).index)]
        last = rows.groupby(["task", "evaluation"]).last()  # runs may have unequal numbers of trajectories
        last = last[[column for column in last if column.startswith("mean_")]].dropna(axis=1, how="all").dropna()
        if len(last):
            found.append((encoder, seed, last))
    return found


def _row_title(axes: Axes, encoder: str, seed: int) -> None:
    axes.set_title(f"{label(encoder)}, seed {seed}", loc="left", fontsize=8.5, pad=3)


def alt_means(results: Results, environment: str) -> str:
    found = along(results, environment)
    parts = []
    for encoder, seed, frame in _finals(results, environment):
        if found is not None and len(frame) > 2:
            x = found.values[frame.index.get_level_values("task")].to_numpy()
            spread = frame.loc[:, frame.std() > 0]
            related = [abs(np.corrcoef(x, spread[column])[0, 1]) for column in spread]
            strongest = f"correlation up to {number(max(related))} in size" if related else "no spread"
            parts.append(f"{encoder} (seed {seed}) {strongest}")
        else:
            parts.append(f"{encoder} (seed {seed}) between {number(frame.min().min())} and {number(frame.max().max())}")
    return f"Mean of each latent dimension after the last trajectory, by task, on {environment}: {'; '.join(parts)}."


def alt_contraction(results: Results, environment: str) -> str:
    frame = _log_variance(results, environment)
    parts = []
    for encoder in results.grid.encoders:
        middle = frame[(frame.encoder == encoder) & (frame.status == "finished")]
        middle = middle.groupby("trajectory").log_variance.mean()
        if len(middle):
            first, last = (f"{10**value:.2g}" for value in (middle.iloc[0], middle.iloc[-1]))
            parts.append(f"{encoder} from {first} to {last} after {middle.index[-1]:.0f} trajectories")
    return f"Variance of the posterior on {environment}, geometric mean: {'; '.join(parts) or 'no finished trial'}."


def alt_projection(results: Results, environment: str) -> str:
    parts = []
    for encoder, seed, frame in _finals(results, environment):
        if len(frame) > 2:
            words = next(iter(_flattened(frame.to_numpy())))
            parts.append(f"{encoder} (seed {seed}): {len(frame)} posteriors, {words}")
    return f"Posterior means on {environment} in two dimensions by PCA and t-SNE, coloured by task. {'; '.join(parts)}."


ONE_SEED = """It is that of the seed whose return is the median, as the latent spaces of seeds are not alike and cannot
be averaged."""


def caption_means(results: Results) -> str:
    words = f"""The mean of each latent dimension after the last trajectory. {ONE_SEED} A dimension that ignores the
        task shows no pattern."""
    places = [name for name in results.grid.environments if _finals(results, name)]
    if any(along(results, name) is not None for name in places):
        words += " Where one number says what a task is, a point is one evaluation of one task."
    if any(along(results, name) is None and are_goals(results, name) for name in places):
        words += """ Where goals lie on a plane, a dot stands at each goal: blue below zero, red above, in full colour
            at the largest value of the dimension."""
    return words


def caption_contraction(results: Results) -> str:
    return f"""The variance of q(z|c) after each trajectory, as the geometric mean over latent dimensions, test tasks
        and evaluations; the prior has 1. {told(results)} Agents whose posterior has no variance are not drawn."""


CAPTION_PROJECTION = f"""The mean of the final posterior, one dot per test task and evaluation, in two dimensions: by
PCA, and by t-SNE with a fixed seed. {ONE_SEED} Colour is the task: where like colours lie together, the agent tells
tasks apart. Distances in t-SNE mean little."""


FIGURES = [
    figure("posterior_means", "posterior", "Posterior mean against the task", caption_means, means, alt_means),
    figure(
        "posterior_contraction",
        "posterior",
        "Contraction of the posterior with context",
        caption_contraction,
        contraction,
        alt_contraction,
    ),
    figure(
        "posterior_projection",
        "posterior",
        "Posterior means in two dimensions",
        CAPTION_PROJECTION,
        projection,
        alt_projection,
    ),
]
