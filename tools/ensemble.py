"""Average the predictions of networks that were trained apart.

    python tools/ensemble.py VIDEO/predictions.pkl AUDIO/predictions.pkl

Each file is what ``test.py --dump`` writes. Samples are matched by their id;
those that not all files have are left out, and counted. ``--validation``
takes dumps on the sources' validation clips (``test.py ... --dump FILE
--cfg-options protocol.measure=source``) and chooses the weights there. A plan
has ensembles as rows, see docs/benchmark.md.
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
from mmgmp.apis.ensemble import (
    SPACES,
    Aligned,
    align,
    choose_weights,
    measure,
)
from mmgmp.apis.predictions import read_predictions


def read(paths: Sequence[Path]) -> Aligned:
    """Read dumps and bring them into one order."""
    return align({str(path): read_predictions(path) for path in paths})


def show(aligned: Aligned, weights: Sequence[float], space: str) -> None:
    """Print how many samples count, and the accuracies."""
    console = Console()
    size = len(aligned.labels)
    for (name, left_out), weight in zip(
        aligned.left_out.items(), weights, strict=True
    ):
        text = f'{name}: weight {weight:.2f}, {size} samples'
        if left_out:
            text += f'; {left_out} that others lack are LEFT OUT'
        console.print(Text(text), soft_wrap=True)
    table = Table('', 'accuracy (%)')
    for name, value in measure(aligned, weights, space).items():
        table.add_row(Text(name), f'{100 * value:.2f}')
    console.print(table)


def main(argv: Sequence[str] | None = None) -> int:
    """Read, average and print."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add('dumps', nargs='+', type=Path, metavar='PRED.pkl')
    add('--space', choices=SPACES, default=SPACES[0], help='what is averaged')
    how = parser.add_mutually_exclusive_group()
    how.add_argument('--weights', nargs='+', type=float, help='one per file')
    how.add_argument(
        '--validation',
        nargs='+',
        type=Path,
        metavar='VAL.pkl',
        help='dumps on source validation that choose the weights',
    )
    args = parser.parse_args(argv)
    try:
        weights = args.weights or [1 / len(args.dumps)] * len(args.dumps)
        if args.validation:
            source = read(args.validation)
            weights = choose_weights(source.scores, source.labels, args.space)
        aligned = read(args.dumps)
        if len(weights) != len(args.dumps):
            raise ValueError(
                f'--weights and --validation must give one per file, got '
                f'{len(weights)} for {len(args.dumps)}'
            )
        show(aligned, weights, args.space)
    except (OSError, ValueError) as error:
        print(f'ensemble: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
