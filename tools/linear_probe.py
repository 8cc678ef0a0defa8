"""Probe each encoder of a trained model with a linear classifier.

    python tools/linear_probe.py CONFIG CHECKPOINT --out probe.json

How good are the features of each modality, whatever the joint head makes of
them? A logistic regression per modality, and one on the fused feature, is
fitted to the source domains' training clips; source validation chooses its
penalty, and it is tested on the unseen target. No target label is used before.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mmengine.config import Config, DictAction
from rich.console import Console
from rich.table import Table
from rich.text import Text

import mmgmp  # noqa: F401 (repairs MMAction2 before anything imports it)
from mmgmp.apis.analysis import find_cell, find_origin
from mmgmp.apis.linear_probe import CHOICES, Probe, probe_checkpoint
from mmgmp.utils.draft_files import write_texts


def show(title: str, probes: Mapping[str, Probe]) -> None:
    """Print the accuracies."""
    table = Table(title=Text(title), title_justify='left')
    for heading in ('features', 'width', 'C', 'train', 'source', 'target'):
        table.add_column(heading, justify='right' if table.columns else 'left')
    for name, probe in probes.items():
        accuracies = (probe.train, probe.source, probe.target)
        table.add_row(
            Text(name),
            str(probe.width),
            f'{probe.strength:g}',
            *(f'{100 * value:.2f}' for value in accuracies),
        )
    console = Console()
    console.print(table)
    console.print(
        'Top-1 accuracy (%) of linear probes. C was chosen on source '
        'validation; the target was only tested.',
        soft_wrap=True,
    )


def find_title(args: argparse.Namespace) -> str:
    """Say what the numbers come from."""
    if find_cell(args.checkpoint) is None and args.corpus is None:
        kind = ' (SYNTHETIC)' if args.synthetic else ''
        return f'{args.checkpoint}{kind}'
    return find_origin(
        args.checkpoint, args.corpus, args.seed, args.synthetic
    ).title


def main(argv: Sequence[str] | None = None) -> int:
    """Extract, fit, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add('config')
    add('checkpoint')
    add('--out', type=Path, metavar='FILE.json', help='write the numbers')
    add('--corpus', help='for the title, outside of a benchmark')
    add('--seed', type=int, help='training seed, with --corpus')
    add('--synthetic', action='store_true', help='the corpus is rendered')
    add('--device', default='cpu')
    add('--cfg-options', nargs='+', action=DictAction, default={})
    args = parser.parse_args(argv)
    try:
        title = find_title(args)
        config = Config.fromfile(args.config)
        config.merge_from_dict(args.cfg_options)
        features, probes = probe_checkpoint(
            config, args.checkpoint, args.device
        )
        show(title, probes)
        if args.out is not None:
            values: dict[str, Any] = {
                'title': title,
                'config': str(args.config),
                'checkpoint': str(args.checkpoint),
                'targets': sorted(features.targets),
                'clips': dict(Counter(features.splits)),
                'choices': list(CHOICES),
                'probes': {n: asdict(p) for n, p in probes.items()},
            }
            write_texts({args.out: json.dumps(values, indent=1) + '\n'})
    except (OSError, ValueError) as error:
        print(f'linear_probe: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
