"""How every figure looks and is kept: palette, marks, names, one panel or a grid of small ones, an SVG and its PDF.

The first six colours are Okabe and Ito's; six more were searched for that keep their distance for colour-blind readers
too, as a test measures. An agent has a colour and a mark. The same frames give the same bytes.
"""

import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.collections import Collection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Annotation, Text

from oyster.report.text import plain

INK, PAPER, RULE = "#1c2024", "#ffffff", "#d4d8dd"  # the page swaps these three for its own, light or dark
COLOURS = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00",
    "#4a1fff", "#96351e", "#5ac369", "#2d5a5a", "#6996ff", "#3c69f0",
)  # fmt: skip
MARKS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", "p", ">", "h", "d")  # one more than the colours: 156 pairs
AGENT, CURVE = "agent:", "curve:"  # what the identifier of what is drawn of an agent, of a trial's curve begins with
WIDTH = 4.2  # inches
STYLE = {
    "svg.hashsalt": "reports", "svg.fonttype": "none", "pdf.fonttype": 3, "text.parse_math": False,
    "font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"], "font.size": 9, "axes.titlesize": 10,
    "axes.labelsize": 9, "xtick.labelsize": 8, "ytick.labelsize": 8, "legend.fontsize": 8.5, "legend.frameon": False,
    "legend.handletextpad": 0.4, "legend.columnspacing": 1.2,
    "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True, "axes.grid": True,
    "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": INK, "xtick.color": INK, "ytick.color": INK,
    "axes.linewidth": 0.8, "xtick.major.width": 0.8, "ytick.major.width": 0.8, "path.simplify_threshold": 0.2,
    "grid.color": RULE, "grid.linewidth": 0.6, "figure.facecolor": PAPER, "axes.facecolor": "none",
}  # fmt: skip
# What Matplotlib is like without the settings of who runs it. A backend is left alone: the canvases below need none.
DEFAULTS = {name: value for name, value in mpl.rcParamsDefault.items() if name != "backend"}


class Svg(str):
    """A figure as SVG text; it also knows its twin for paper."""

    figure: Figure

    @property
    def pdf(self) -> bytes:
        """The same figure as PDF."""
        twin = io.BytesIO()
        with _styled():
            FigureCanvasPdf(self.figure).print_pdf(
                twin, metadata=dict.fromkeys(("CreationDate", "Creator", "Producer"))
            )
        return twin.getvalue()


class FigureSpec(NamedTuple):
    """A figure of the report.

    kind: stem of its files. section: the part of the page it stands in. caption: results → what is drawn of them.
    draw: results → panel's name → SVG, without the panels for which there is nothing to draw. alt: results and a
    panel's name → words for who cannot see it.
    """

    kind: str
    section: str
    title: str
    caption: Callable
    draw: Callable
    alt: Callable


def figure(kind: str, section: str, title: str, caption: str | Callable, draw: Callable, alt: Callable) -> FigureSpec:
    """A figure, drawn in the report's style. caption: for all results alike, or by what there is of these."""

    @wraps(draw)
    def styled(results) -> dict[str, Svg]:
        with _styled():  # legends' entries too, which are made before there is a figure
            return draw(results)

    def told(results) -> str:
        return " ".join((caption(results) if callable(caption) else caption).split())

    return FigureSpec(kind, section, title, told, styled, alt)


class Look(NamedTuple):
    """How an agent is drawn, in every figure of a report."""

    colour: str
    mark: str


def looks(encoders: Sequence[str]) -> dict[str, Look]:
    """By encoder, in the grid's order."""
    return {name: Look(COLOURS[i % len(COLOURS)], MARKS[i % len(MARKS)]) for i, name in enumerate(encoders)}


def panel(title: str, draw: Callable[[Axes], None], keys: Sequence[Line2D] = (), height: float = 3.1) -> Svg:
    """One pair of axes under a title, its legend below. `height` in inches, the legend's rows not counted."""
    with _styled():
        columns = _columns(keys) if keys else 1
        figure = Figure(figsize=(WIDTH, height + 0.17 * -(-len(keys) // columns)), layout="constrained")
        axes = figure.subplots()
        axes.set_title(label(title), loc="left", fontweight="bold")
        draw(axes)
        if keys:
            _legend(figure, keys, loc="outside lower center", ncols=columns)
        return _save(figure)


def note(title: str, words: str) -> Svg:
    """A panel that says in words why nothing is drawn."""

    def draw(axes: Axes) -> None:
        axes.set_axis_off()
        axes.text(0.5, 0.5, words, ha="center", va="center", transform=axes.transAxes)

    return panel(title, draw, height=1.2)


class Cells(NamedTuple):
    """What the drawing function of a grid gets: its figure, its axes (row, column), and the inches below them."""

    figure: Figure
    axes: np.ndarray
    bottom: float


def grid(
    title: str,
    rows: int,
    columns: int,
    draw: Callable[[Cells], None],
    cell_height: float = 0.8,
    gap: tuple[float, float] = (0.12, 0.3),
    left: float = 0.5,
    bottom: float = 0.5,
    share: tuple[bool | str, bool | str] = (False, False),
    keys: Sequence[Line2D] = (),
) -> Svg:
    """Small axes in rows and columns at measured places; quicker, and steadier, than a layout that is solved for.

    Lengths in inches. gap: between columns and between rows. left, bottom: room for labels. share: x and y.
    """
    with _styled():
        legend_rows = -(-len(keys) // _columns(keys)) if keys else 0
        bottom += 0.19 * legend_rows
        top = 0.52
        height = top + rows * cell_height + (rows - 1) * gap[1] + bottom
        figure = Figure(figsize=(WIDTH, height))
        cell_width = (WIDTH - left - 0.1 - (columns - 1) * gap[0]) / columns
        axes = figure.subplots(
            rows, columns, squeeze=False, sharex=share[0], sharey=share[1],
            gridspec_kw={
                "left": left / WIDTH, "right": 1 - 0.1 / WIDTH, "bottom": bottom / height, "top": 1 - top / height,
                "wspace": gap[0] / cell_width, "hspace": gap[1] / cell_height,
            },
        )  # fmt: skip
        figure.text(0.06 / WIDTH, 1 - 0.2 / height, label(title), fontsize=10, fontweight="bold", va="center")
        for cell in axes.flat:
            cell.tick_params(labelsize=7, length=2, pad=2)
        draw(Cells(figure, axes, bottom))
        if keys:
            _legend(figure, keys, loc="lower center", ncols=_columns(keys), borderaxespad=0.1)
        return _save(figure)


def beneath(cells: Cells, words: str, drop: float = 0.34) -> None:
    """A label under the whole grid, above its legend; `drop` inches under the axes."""
    height = (cells.bottom - drop) / cells.figure.get_figheight()
    cells.figure.text(0.5, height, words, ha="center", va="center", fontsize=9)


def colour_bar(cells: Cells, colours: str, low: float, high: float, words: str) -> None:
    """What colours stand for, under the whole grid."""
    height = cells.figure.get_figheight()
    axes = cells.figure.add_axes((0.3, (cells.bottom - 0.5) / height, 0.4, 0.09 / height))
    colours = mpl.cm.ScalarMappable(mpl.colors.Normalize(low, high), mpl.colormaps[colours].resampled(32))
    bar = cells.figure.colorbar(colours, cax=axes, orientation="horizontal")
    bar.solids.set_edgecolor("face")  # or hairlines show between its parts
    axes.tick_params(labelsize=7, length=2)
    axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(nbins=5))
    axes.set_xlabel(words, fontsize=8, labelpad=2)


def dot(axes: Axes, x: float, y: float, look: Look, gid: str, size: float = 6) -> None:
    """One seed, as a point that a page can find again by its identifier."""
    axes.plot(
        [x], [y], look.mark, color=look.colour, markersize=size, alpha=0.85, markeredgecolor=PAPER,
        markeredgewidth=0.5, gid=gid, zorder=3,
    )  # fmt: skip


def gid(encoder: str, environment: str, seed: int, value: float) -> str:
    """What a point says of itself: `encoder|environment|seed|value`."""
    return plain(f"{encoder}|{environment}|{seed}|{value:.6g}")


def of(agent: str, *artists: Artist) -> None:
    """Mark what is drawn of an agent, so that a page can leave it out with the agent."""
    for artist in artists:
        artist.set_gid(AGENT + plain(agent))


def all_of(agent: str, *places: Axes) -> None:
    """Mark all that is drawn in axes, frames and ticks aside: others may share these."""
    for axes in places:
        drawn = [child for child in axes.get_children() if isinstance(child, (Line2D, Collection, Text))]
        arrows = (text.arrow_patch for text in drawn if isinstance(text, Annotation) and text.arrow_patch is not None)
        of(agent, *drawn, *arrows)


def curve_of(agent: str, place: str, artist: Artist) -> None:
    """Mark the curve of one trial of an agent, so that a page can lead there. place: the anchor of the trial."""
    artist.set_gid(f"{CURVE}{place}:{plain(agent)}")


def key(words: str, mark: str | None, **style) -> Line2D:
    """An entry of a legend: a mark in ink, unless `style` says otherwise."""
    style = {"color": INK, "linestyle": "none", "markersize": 5} | style
    return Line2D([], [], label=words, marker=mark, **style)


def encoder_keys(encoders: Sequence[str], line: bool = True) -> list[Line2D]:
    """The legend's entries of agents."""
    stroke = {"linestyle": "-", "linewidth": 2.2} if line else {}
    longest = 26 if len(encoders) <= 6 else 18  # many go into columns
    return [
        key(label(name, longest), look.mark, color=look.colour, gid=AGENT + plain(name), **stroke)
        for name, look in looks(encoders).items()
    ]


def label(name: str, longest: int = 26) -> str:
    """A name short enough for an axis and legal in XML; the tables beside the figure have it whole."""
    name = plain(name)
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


def powers_of_ten(axis) -> None:
    """Ticks of an axis that holds base-ten logarithms, as 10⁻³."""
    raised = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
    axis.set_major_locator(mpl.ticker.MaxNLocator(nbins=6, integer=True))
    axis.set_major_formatter(mpl.ticker.FuncFormatter(lambda power, _: "10" + f"{power:.0f}".translate(raised)))


@contextmanager
def _styled() -> Iterator[None]:
    with mpl.rc_context(DEFAULTS | STYLE), warnings.catch_warnings():
        # Names are text, which the reader's own fonts draw; that matplotlib's lacks a letter does not matter.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def _legend(figure: Figure, keys: Sequence[Line2D], **how) -> None:
    """The legend, its entries marked as the keys are."""
    legend = figure.legend(handles=list(keys), **how)
    for entry, *drawn in zip(keys, legend.legend_handles, legend.get_texts(), strict=True):
        for artist in drawn:
            artist.set_gid(entry.get_gid())


def _number(figure: Figure) -> None:
    """Give each artist of an agent an identifier of its own: `agent:<number>:<name>`."""
    marked = figure.findobj(lambda artist: str(artist.get_gid() or "").startswith(AGENT))
    marked += [text.arrow_patch for text in marked if isinstance(text, Annotation) and text.arrow_patch is not None]
    for number, artist in enumerate(dict.fromkeys(marked)):
        artist.set_gid(f"{AGENT}{number}:{artist.get_gid().removeprefix(AGENT)}")


def _save(figure: Figure) -> Svg:
    engine = figure.get_layout_engine()
    if engine is not None:  # solve once, for both files; the canvases below would not
        engine.execute(figure)
        figure.set_layout_engine("none")
    _number(figure)
    text = io.StringIO()
    FigureCanvasSVG(figure).print_svg(text, metadata={"Date": None, "Creator": None})
    svg = Svg(text.getvalue())
    svg.figure = figure
    return svg


def _columns(keys: Sequence[Line2D]) -> int:
    """How many columns of a legend fit: one row if it can be, else as many as the longest label allows."""
    widths = [0.45 + 0.066 * len(key.get_label()) for key in keys]  # inches of a mark and of each letter
    return len(keys) if sum(widths) <= WIDTH else max(1, int(WIDTH / max(widths)))
