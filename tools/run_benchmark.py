"""Run every cell of a plan with MMAction2's own scripts, and report.

    python tools/run_benchmark.py configs/plans/mini-hac_table2.yml --jobs 2

The same command continues where it stopped: finished cells are skipped,
``--resume`` continues those that were cut off, ``--retry-failed`` tries
failed ones again. See docs/benchmark.md.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import DictAction
from rich.console import Console

import mmgmp  # noqa: F401 (repairs MMAction2 before anything imports it)
from mmgmp.apis.benchmark import (
    BenchmarkRunner,
    Launch,
    Plan,
    collect_results,
    list_cells,
    load_plan,
    write_report,
)
from mmgmp.apis.benchmark.cell_state import CellFiles
from mmgmp.apis.benchmark.cells import TRAIN
from mmgmp.apis.benchmark.display import (
    print_failures,
    run_with_display,
    say,
)
from mmgmp.apis.benchmark.jobs import evaluation_command, train_command
from mmgmp.apis.feature_cache import fill_for_cells
from mmgmp.apis.training_facts import num_cores
from mmgmp.apis.training_files import find_resume_point

_CHECKPOINT = '@CHECKPOINT@'


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add('plan', type=Path, help='YAML or Python file, see configs/plans')
    add('--work-dir', type=Path, help='default work_dirs/benchmark/PLAN')
    add('--jobs', type=int, default=1, help='cells at a time')
    add(
        '--devices',
        help='GPUs such as 0,1,3: one cell at a time on each, through '
        'CUDA_VISIBLE_DEVICES; replaces --jobs',
    )
    add('--resume', action='store_true', help='continue interrupted cells')
    add('--retry-failed', action='store_true', help='try failed cells again')
    add(
        '--keep-going',
        action='store_true',
        help='start further cells although two have failed alike',
    )
    add('--dry-run', action='store_true', help='print the commands only')
    add('--report-only', action='store_true', help='run nothing')
    add(
        '--cache',
        metavar='DIR',
        help='fill a feature cache there first, or go on with it, and train '
        'all cells from it (docs/feature_cache.md)',
    )
    add(
        '--cache-views',
        type=int,
        default=4,
        help='views of each training clip in it; default %(default)s',
    )
    add('--amp', action='store_true', help='train with mixed precision')
    add(
        '--cluster',
        choices=['slurm', 'local'],
        help='run cells as jobs through submitit; --jobs is how many at a '
        "time, 'local' tries it on this machine",
    )
    add(
        '--job-options',
        nargs='+',
        action=DictAction,
        default={},
        help='parameters of submitit, such as slurm_partition=gpu '
        'gpus_per_node=1 timeout_min=600 nodes=2 tasks_per_node=4',
    )
    add(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        help='config keys set in every cell, key=value',
    )
    args = parser.parse_args(argv)
    if args.jobs < 1:
        parser.error(f'--jobs must be >= 1, got {args.jobs}')
    if args.devices and '' in map(str.strip, args.devices.split(',')):
        parser.error(
            f'--devices must be GPUs such as 0,1,3, got {args.devices!r}'
        )
    return args


def slots(args: argparse.Namespace) -> list[dict[str, str]]:
    """Return the environment of each process that may run at a time."""
    places: list[dict[str, str]] = [{} for _ in range(args.jobs)]
    if args.devices:
        places = [
            {'CUDA_VISIBLE_DEVICES': device.strip()}
            for device in args.devices.split(',')
        ]
    is_here = args.cluster is None
    if len(places) > 1 and is_here and 'OMP_NUM_THREADS' not in os.environ:
        # Each process would start a thread per core of the whole machine.
        threads = max(1, num_cores() // len(places))
        for place in places:
            place['OMP_NUM_THREADS'] = str(threads)
    return places


def print_commands(plan: Plan, launch: Launch) -> None:
    """Print what is left to run, as lines for a shell."""
    for files in list_cells(plan):
        print(f'# {files.cell.name} ({files.state().value})')
        first = files.next_stage()
        stages = files.cell.stages
        if files.cell.ensemble is not None:
            names = ', '.join(need.name for need in files.cell.needs)
            print(f'# no command: the mean of {names}')
            continue
        for stage in stages[stages.index(first) :] if first else ():
            if stage == TRAIN:
                point = find_resume_point(files.folder, files.schedule())
                command = train_command(files, launch, point)
            else:
                command = evaluation_command(files, launch, stage, _CHECKPOINT)
            line = shlex.join(command)
            for need in files.needs():
                # Such a word is in single quotes.
                found = f"'{_find_checkpoint(need)}'"
                line = line.replace(f'{{best:{need.cell.method}}}', found)
            print(line.replace(_CHECKPOINT, _find_checkpoint(files)))
    if plan.search is not None:
        print('# The reruns follow when source validation has chosen.')


def _find_checkpoint(files: CellFiles) -> str:
    """Let the shell find the checkpoint, which may not exist yet."""
    is_best = files.plan.checkpoint == 'best'
    pattern = 'best_*.pth' if is_best else '[ei]*_*.pth'
    return f'"$(ls -t {shlex.quote(str(files.folder))}/{pattern} | head -1)"'


def main(argv: Sequence[str] | None = None) -> int:
    """Run the plan.

    Args:
        argv: Command line; ``None`` takes the process's own.

    Returns:
        0 if every cell is done, 1 if not, 2 if the plan cannot be run, 130
        if a signal stopped it.
    """
    args = parse_args(argv)
    console = Console()
    launch = Launch(sys.executable, args.cluster, args.job_options)
    is_stopped = False
    try:
        options = dict(args.cfg_options)
        if args.cache:
            options['protocol.cache'] = str(Path(args.cache).resolve())
        plan = load_plan(args.plan, args.work_dir, options, args.amp)
    except (OSError, ValueError) as error:
        print(f'run_benchmark: {error}', file=sys.stderr)
        return 2
    try:
        if args.dry_run:
            print_commands(plan, launch)
            return 0
        if not args.report_only:
            if args.cache:
                fill_for_cells(
                    [
                        (f.cell.config, f.cell.overrides)
                        for f in list_cells(plan)
                        if f.cell.ensemble is None
                    ],
                    args.cache,
                    args.cache_views,
                    show_progress=console.is_terminal,
                )
            runner = BenchmarkRunner(
                plan,
                launch,
                slots(args),
                args.resume,
                args.retry_failed,
                args.keep_going,
            )
            run_with_display(runner, console)
            if runner.same_failure:
                say(
                    console,
                    f'Stopped, since two cells failed alike: '
                    f'{runner.same_failure}. Mend it and add --retry-failed, '
                    'or add --keep-going.',
                    'bold red',
                )
    except KeyboardInterrupt:
        is_stopped = True
        console.print('Stopped; continue with --resume.', style='bold')
    except (OSError, RuntimeError, ValueError) as error:
        print(f'run_benchmark: {error}', file=sys.stderr)
        return 2
    cells = list_cells(plan)
    results = collect_results(plan, cells)
    reports = write_report(results)
    num_failed = print_failures(cells, console)
    say(
        console,
        f'{results.num_done} of {len(cells)} cells done, {num_failed} '
        f'failed; report: {", ".join(map(str, reports))}',
    )
    if is_stopped:
        return 130
    return 0 if results.num_done == len(cells) else 1


if __name__ == '__main__':
    sys.exit(main())
