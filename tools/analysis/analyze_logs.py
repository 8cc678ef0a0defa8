"""Curves and times of what is logged in ``scalars.json``.

    python tools/analysis/analyze_logs.py plot_curve RUN --keys loss_cls
    python tools/analysis/analyze_logs.py cal_train_time RUN

RUN is a work directory, or a scalars.json. MMAction2's script of this name
wants a mode in each line, which MMEngine does not write. What happens to the
task gradients is better seen with ``compare_curves.py``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

Lines = Sequence[Mapping[str, Any]]


def read_lines(run: str) -> list[dict[str, Any]]:
    """Read the scalars of a run, those of a resumed one together.

    Args:
        run: Work directory, or a file of scalars.

    Returns:
        The lines, without those that a resumed run has logged again.

    Raises:
        ValueError: If there are none.
    """
    path = Path(run)
    files = [path]
    if path.is_dir():
        files = sorted(path.glob('*/vis_data/scalars.json'))
    lines: list[dict[str, Any]] = []
    for file in files:
        found = [
            _read_line(text, f'{file}:{number}')
            for number, text in enumerate(
                file.read_text('utf-8').splitlines(), 1
            )
        ]
        # Training lines count iterations, those of validations epochs.
        for is_train in (True, False):
            steps = [x['step'] for x in found if ('iter' in x) == is_train]
            start = min(steps, default=float('inf'))
            lines = [
                x
                for x in lines
                if ('iter' in x) != is_train or x['step'] < start
            ]
        lines += found
    if not lines:
        raise ValueError(f'{run} holds no */vis_data/scalars.json with lines')
    return lines


def _read_line(text: str, place: str) -> dict[str, Any]:
    try:
        line: dict[str, Any] = json.loads(text)
        line['step'] + 0
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f'{place} is no line of scalars: {error!r}'
        ) from error
    return line


def plot_curve(runs: Mapping[str, Lines], args: argparse.Namespace) -> None:
    """Draw keys of all runs into one figure."""
    from matplotlib.figure import Figure

    from mmgmp.utils.plain_text import figure_text
    from mmgmp.visualization.palette import COLOURS, LINES

    figure = Figure((7.2, 4.2), layout='constrained')
    axis = figure.subplots()
    units = set()
    for i, (run, lines) in enumerate(runs.items()):
        for j, key in enumerate(args.keys):
            found = [line for line in lines if key in line]
            if not found:
                known = sorted({k for line in lines for k in line})
                raise ValueError(
                    f'--keys must be of {known} in {run}, got {key!r}'
                )
            units.add('iteration' if 'iter' in found[0] else 'epoch')
            axis.plot(
                [line['step'] for line in found],
                [line[key] for line in found],
                color=COLOURS[i % len(COLOURS)],
                linestyle=LINES[j % len(LINES)],
                marker='o' if len(found) < 30 else None,
                markersize=4,
                label=figure_text(f'{run}, {key}'),
            )
    if len(units) > 1:
        raise ValueError(
            '--keys must all be logged in training, or all by validation, '
            f'got both in {args.keys}'
        )
    axis.set(xlabel=units.pop(), title=figure_text(args.title))
    figure.legend(loc='outside lower center', ncols=2, frameon=False)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(args.out, dpi=150)
    print(args.out)


def cal_train_time(
    runs: Mapping[str, Lines], args: argparse.Namespace
) -> None:
    """Print the seconds per iteration of each run."""
    table = Table(
        'run', 'mean (s)', 'slowest epoch', 'fastest epoch', 'waiting for data'
    )
    for run, lines in runs.items():
        epochs: dict[int, list[Mapping[str, Any]]] = {}
        for line in lines:
            if {'iter', 'time', 'data_time'} <= set(line):
                epochs.setdefault(line.get('epoch', 1), []).append(line)
        if not epochs:
            raise ValueError(f'{run} has no line with a time of training')
        skip = 0 if args.include_outliers else 1
        # A line's first time in an epoch holds the start of the workers.
        kept = {e: x[skip:] or x for e, x in epochs.items()}
        means = {
            e: float(np.mean([line['time'] for line in x]))
            for e, x in kept.items()
        }
        times = [line['time'] for x in kept.values() for line in x]
        waits = [line['data_time'] for x in kept.values() for line in x]
        ends = [
            f'{epoch} ({means[epoch]:.4f} s)'
            for epoch in (max(means, key=means.get), min(means, key=means.get))
        ]
        share = f'{100 * np.sum(waits) / np.sum(times):.0f} %'
        table.add_row(Text(run), f'{np.mean(times):.4f}', *ends, share)
    Console().print(table)


def main(argv: Sequence[str] | None = None) -> int:
    """Read, then draw or print."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    tasks = parser.add_subparsers(dest='task', required=True)
    plot = tasks.add_parser('plot_curve', help='curves of logged keys')
    plot.add_argument('--keys', nargs='+', default=['loss'])
    plot.add_argument('--title', default='')
    plot.add_argument('--out', type=Path, default=Path('curve.png'))
    time = tasks.add_parser('cal_train_time', help='seconds per iteration')
    time.add_argument('--include-outliers', action='store_true')
    for task in (plot, time):
        task.add_argument('json_logs', nargs='+', metavar='RUN')
        task.add_argument('--legend', nargs='+', help='a name per run')
    args = parser.parse_args(argv)
    names = args.legend or args.json_logs
    if len(set(names)) != len(args.json_logs):
        parser.error(
            f'--legend must give a name to each of {args.json_logs}, got '
            f'{names}'
        )
    try:
        runs = {
            name: read_lines(run)
            for name, run in zip(names, args.json_logs, strict=True)
        }
        (plot_curve if args.task == 'plot_curve' else cal_train_time)(
            runs, args
        )
    except (OSError, ValueError) as error:
        print(f'analyze_logs: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
