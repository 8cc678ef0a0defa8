"""Confusion matrix, per-class and per-domain accuracy of a dump.

    python tools/analysis/confusion.py work_dirs/.../test/predictions.pkl

The dump is what ``test.py --dump`` writes; a benchmark writes one per cell.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

import mmgmp  # noqa: F401 (repairs MMAction2 before anything imports it)
from mmgmp.apis.analysis import (
    Predictions,
    class_names,
    find_cell,
    find_origin,
    read_predictions,
)
from mmgmp.visualization.benchmark_figures import save_figure
from mmgmp.visualization.confusion import plot_confusion


def find_names(
    args: argparse.Namespace, predictions: Predictions
) -> list[str]:
    """Return the class names, of a checkpoint if there is one."""
    cell = find_cell(args.dump)
    checkpoint = args.checkpoint
    if checkpoint is None and cell is not None:
        checkpoint = next(iter(sorted(cell.glob('*.pth'))), None)
    last = max(predictions.labels.max(), predictions.predicted.max())
    if checkpoint is not None:
        names = class_names(checkpoint)
        if last >= len(names):
            raise ValueError(
                f'--checkpoint must be of the run of {args.dump}, which has '
                f'class {last}, got {checkpoint} with {len(names)} classes'
            )
        return names
    return [f'class {number}' for number in range(last + 1)]


def accuracy_table(
    title: str, predictions: Predictions, names: Sequence[str]
) -> Table:
    """Lay out the accuracy of each domain and class, and of how many clips.

    Args:
        title: Above the table.
        predictions: Those of one branch.
        names: Class names; a class without a clip has a dash.

    Returns:
        The table.
    """
    table = Table('', 'accuracy (%)', 'clips', title=Text(title))
    groups = [names[label] for label in predictions.labels]
    for keys, wanted in (
        (list(predictions.domains), sorted(set(predictions.domains))),
        (groups, names),
    ):
        found = predictions.accuracy_by(keys)
        for key in wanted:
            text = f'{100 * found[key]:.1f}' if key in found else '-'
            table.add_row(Text(str(key)), text, str(keys.count(key)))
        table.add_section()
    return table


def main(argv: Sequence[str] | None = None) -> int:
    """Read, print and draw."""
    from sklearn.metrics import confusion_matrix

    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add('dump', type=Path)
    add('--out', type=Path, help='no ending; default beside the dump')
    add('--branch', default='', help='modality; default the fused model')
    add('--checkpoint', help='for the class names')
    add('--corpus')
    add('--seed', type=int)
    add('--synthetic', action='store_true')
    args = parser.parse_args(argv)
    try:
        origin = find_origin(args.dump, args.corpus, args.seed, args.synthetic)
        predictions = read_predictions(args.dump, args.branch)
        names = find_names(args, predictions)
    except (OSError, ValueError) as error:
        print(f'confusion: {error}', file=sys.stderr)
        return 2
    branch = args.branch or 'fused'
    counts = confusion_matrix(
        predictions.labels, predictions.predicted, labels=range(len(names))
    )
    title = f'{origin.title}, {branch}'
    Console().print(accuracy_table(title, predictions, names))
    figure = plot_confusion(counts, names, title)
    out = args.out or args.dump.with_name(f'confusion_{branch}')
    print(*save_figure(figure, out), sep='\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())
