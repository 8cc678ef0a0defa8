"""Who has which colour and line in a figure of curves, and its legends."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mmgmp.utils.plain_text import figure_text
from mmgmp.visualization.palette import COLOURS, LINES
from mmgmp.visualization.panels import History, Panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Style = dict[str, Any]
_NOTE_WIDTH = 58


@dataclass(frozen=True)
class Styles:
    """Looks of all curves.

    A single run has a colour per label, several have a colour per run and a
    line per label. A label of one panel alone starts from the end of the
    palette, so that it is not taken for a modality.

    Args:
        runs: Names of the runs.
        labels: Those that mean the same in all panels, such as modalities.
        own: Labels by panel that has labels of its own.
    """

    runs: Sequence[str]
    labels: Sequence[str]
    own: Mapping[str, Sequence[str]]

    def of(self, panel: Panel, run: str, label: str) -> Style:
        """Return the look of a curve.

        Args:
            panel: Where it is.
            run: Whose it is.
            label: What it shows.
        """
        labels = self.own[panel.title] if panel.own else self.labels
        number = labels.index(label)
        if len(self.runs) > 1:
            colour, line = self.runs.index(run), number
        else:
            colour, line = number, number // len(COLOURS)
            colour = -1 - colour if panel.own else colour
        return {
            'color': COLOURS[colour % len(COLOURS)],
            'linestyle': LINES[line % len(LINES)],
            'linewidth': 1.5,
            'label': figure_text(', '.join(filter(None, (run, label)))),
        }


def choose_styles(
    runs: Mapping[str, History], panels: Sequence[Panel]
) -> Styles:
    """Give every curve its look.

    Args:
        runs: Histories by run.
        panels: Those that are drawn.

    Raises:
        ValueError: If there are more curves than can be told apart.
    """
    found = {
        panel.title: list(
            dict.fromkeys(
                label
                for history in runs.values()
                for label in panel.curves(history)
            )
        )
        for panel in panels
    }
    shared = [label for p in panels if not p.own for label in found[p.title]]
    # In the order in which a run names its modalities, the fused model last.
    shared = sorted(dict.fromkeys(shared), key=lambda label: label == 'fused')
    own = {panel.title: found[panel.title] for panel in panels if panel.own}
    most = max(map(len, (shared, *own.values())))
    if len(runs) > len(COLOURS) or (len(runs) > 1 and most > len(LINES)):
        raise ValueError(
            f'histories must have at most {len(COLOURS)} runs of '
            f'{len(LINES)} curves, got {len(runs)} of {most}; plot '
            'fewer, or average the seeds first'
        )
    return Styles(list(runs), shared, own)


def explain_panel(
    panel: Panel, axis: Axes, runs: Mapping[str, History]
) -> None:
    """Name the labels of one panel in it, and below it who is missing.

    Args:
        panel: What is drawn.
        axis: Its axes, with the curves.
        runs: Histories by run.
    """
    from matplotlib.lines import Line2D

    if panel.own:
        found, texts = axis.get_legend_handles_labels()
        handles: list[Any] = list(found)
        if len(runs) > 1:
            # The colour is the run's, which the legend of the figure names.
            looks = {
                text.rpartition(', ')[2]: handle.get_linestyle()
                for handle, text in zip(handles, texts, strict=True)
            }
            handles = [
                Line2D([], [], color='0.3', linestyle=line)
                for line in looks.values()
            ]
            texts = list(looks)
        axis.legend(handles, texts, fontsize=8, framealpha=0.7)
    missing: dict[str, list[str]] = {}
    for run, history in runs.items():
        if reason := panel.absence(history):
            missing.setdefault(reason, []).append(run)
    if missing:
        notes = [
            f'missing: {", ".join(names)} ({reason})'
            for reason, names in missing.items()
        ]
        lines = [
            line
            for note in notes
            for line in textwrap.wrap(figure_text(note), _NOTE_WIDTH)
        ]
        axis.set_xlabel('\n'.join([axis.get_xlabel(), *lines]))


def explain_runs(figure: Figure, styles: Styles, columns: int) -> None:
    """Name what means the same in all panels once, below the axes.

    Args:
        figure: With the curves.
        styles: Their looks.
        columns: Panels side by side.
    """
    from matplotlib.lines import Line2D

    shared = Panel('', '', '')
    drawn = {
        text
        for axis in figure.axes
        for text in axis.get_legend_handles_labels()[1]
    }
    looks = [
        look
        for run in styles.runs
        for label in styles.labels
        if (look := styles.of(shared, run, label))['label'] in drawn
    ]
    if not looks and len(styles.runs) > 1:
        looks = [
            {'color': COLOURS[n], 'label': figure_text(run)}
            for n, run in enumerate(styles.runs)
        ]
    handles = [Line2D([], [], **look) for look in looks]
    # Of several runs each has a column, where there is room.
    wanted = len(handles) if len(styles.runs) == 1 else len(styles.runs)
    if handles:
        figure.legend(
            handles=handles,
            loc='outside lower center',
            ncols=min(wanted, 2 * columns),
            frameon=False,
        )
