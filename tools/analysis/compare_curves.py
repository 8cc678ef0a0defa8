"""Ratios, conflicts and cosines of several runs in one figure (Fig. 5).

    python tools/analysis/compare_curves.py Base=RUN_A GMP=RUN_B --out fig5

Each RUN is a work directory with ``task_gradients.csv``. The runs must be of
one corpus and seed to be comparable; the title says which.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import mmgmp  # noqa: F401 (repairs MMAction2 before anything imports it)
from mmgmp.apis.analysis import find_origin
from mmgmp.utils.text_files import read_columns
from mmgmp.visualization import plot_ratio_curves, plot_training_curves
from mmgmp.visualization.benchmark_figures import save_figure


def read_run(text: str) -> tuple[str, Path]:
    """Split ``NAME=FOLDER``; the name is empty for a folder alone."""
    name, _, folder = text.rpartition('=')
    path = Path(folder)
    if not (path / 'task_gradients.csv').is_file():
        raise argparse.ArgumentTypeError(
            f'{path} has no task_gradients.csv; train with a TaskGradientHook'
        )
    return name, path


def name_runs(runs: Sequence[tuple[str, Path]]) -> dict[str, Path]:
    """Name folders by as much of their ends as tells them apart.

    Args:
        runs: Name, which may be empty, and folder of each run.

    Returns:
        Folders by name.

    Raises:
        ValueError: If a name or a folder stands twice.
    """
    resolved = [path.resolve().parts for name, path in runs if not name]
    longest = max(map(len, resolved), default=1)
    for count in range(1, longest + 1):
        ends = ['/'.join(parts[-count:]) for parts in resolved]
        if len(set(ends)) == len(ends):
            break
    tails = iter(ends if resolved else ())
    named = {name or next(tails): path for name, path in runs}
    if len(named) < len(runs):
        raise ValueError(
            'runs must have names of their own, got '
            f'{[f"{name}={path}" for name, path in runs]}; write NAME=RUN'
        )
    return named


def main(argv: Sequence[str] | None = None) -> int:
    """Read and draw."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add('runs', nargs='+', type=read_run, metavar='NAME=RUN')
    add('--out', type=Path, default=Path('curves'), help='no ending')
    add('--ratios-only', action='store_true')
    add('--corpus')
    add('--seed', type=int)
    add('--synthetic', action='store_true')
    args = parser.parse_args(argv)
    try:
        runs = name_runs(args.runs)
        origins = {
            find_origin(path, args.corpus, args.seed, args.synthetic)
            for path in runs.values()
        }
        histories = {
            name: read_columns(path / 'task_gradients.csv')
            for name, path in runs.items()
        }
    except (OSError, ValueError) as error:
        print(f'compare_curves: {error}', file=sys.stderr)
        return 2
    facts = sorted({(o.corpus, o.seed, o.synthetic) for o in origins})
    if len(facts) > 1:
        print(
            'compare_curves: runs must be of one corpus and seed, got '
            f'{facts}; leave the others out',
            file=sys.stderr,
        )
        return 2
    plot = plot_ratio_curves if args.ratios_only else plot_training_curves
    targets = sorted({o.run.rpartition(', ')[2] for o in origins if o.run})
    corpus = next(iter(origins)).title.rpartition(': ')[2]
    figure = plot(histories, title=', '.join([corpus, *targets]))
    print(*save_figure(figure, args.out), sep='\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())
