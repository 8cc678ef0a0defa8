"""Run the benchmarks and write their results; see README.md."""

from __future__ import annotations

import argparse
import json
import logging
import platform
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import torch
from deviation import deviation
from from_configs import rows as rows_of
from frozen import frozen
from mmengine.registry import init_default_scope
from networks import NETWORKS
from reading import reading
from step import all_steps, memory, rule_cost
from surroundings import scaling, startup
from throughput import throughput

import mmgmp

PARTS = (
    'step',
    'rule',
    'memory',
    'strategies',
    'methods',
    'frozen',
    'throughput',
    'reading',
    'startup',
    'scaling',
    'deviation',
)


def show(title: str, rows: Sequence[dict[str, Any]]) -> None:
    """Print rows as a table.

    Args:
        title: Name of the part.
        rows: Dicts with the same keys, more or less.
    """
    from rich.box import MARKDOWN
    from rich.console import Console
    from rich.table import Table

    columns = list(dict.fromkeys(key for row in rows for key in row))
    table = Table(title=title, box=MARKDOWN)
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*(_text(row.get(column, '')) for column in columns))
    Console(width=180).print(table)


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f'{value:.3f}'
    return '+'.join(value) if isinstance(value, tuple) else str(value)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the chosen parts.

    Args:
        argv: Command-line arguments without the program's name.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--only', nargs='+', choices=PARTS, default=PARTS)
    parser.add_argument('--rounds', type=int, default=7)
    parser.add_argument('--device', choices=('cpu', 'cuda'), default='cpu')
    parser.add_argument('--quick', action='store_true')
    parser.add_argument(
        '--out', type=Path, default=Path(__file__).parent / 'results'
    )
    args = parser.parse_args(argv)
    logging.disable(logging.WARNING)
    init_default_scope('mmaction')
    runs = {
        'step': lambda: all_steps(args.rounds, args.device, args.quick),
        'rule': lambda: [
            rule_cost(args.rounds, args.device, network, frozen)
            for network, frozen in (('SlowFast-18', -1), ('SlowFast-R101', 3))
        ],
        'memory': lambda: memory(args.device),
        'strategies': lambda: rows_of('strategies', args.rounds, args.device),
        'methods': lambda: rows_of('methods', args.rounds, args.device),
        'frozen': lambda: [
            frozen(args.rounds, args.device, network)
            for network in NETWORKS
            if not (args.quick and network == 'SlowFast-R101')
        ],
        'throughput': lambda: throughput(args.rounds, args.device, args.quick),
        'reading': lambda: reading(args.rounds, args.quick),
        'startup': lambda: [startup(args.rounds)],
        'scaling': lambda: [scaling(args.rounds)],
        'deviation': lambda: deviation(8 * args.rounds),
    }
    results: dict[str, Any] = {
        'date': date.today().isoformat(),
        'device': torch.cuda.get_device_name()
        if args.device == 'cuda'
        else f'{platform.machine()} CPU, {torch.get_num_threads()} threads',
        'torch': torch.__version__,
        'mmgmp': mmgmp.__version__,
        'rounds': args.rounds,
    }
    for part in args.only:
        results[part] = runs[part]()
        show(part, results[part])
    args.out.mkdir(parents=True, exist_ok=True)
    file = args.out / f'{results["date"]}_{args.device}.json'
    kept = json.loads(file.read_text()) if file.is_file() else {}
    file.write_text(json.dumps({**kept, **results}, indent=1) + '\n')
    print(f'Written to {file}')


if __name__ == '__main__':
    main()
