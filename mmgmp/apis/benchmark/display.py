"""Live table of a running benchmark, and its closing lines."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable
from itertools import product

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from mmgmp.apis.benchmark.cell_state import CellFiles, State
from mmgmp.apis.benchmark.runner import BenchmarkRunner, Event
from mmgmp.apis.training_files import read_progress
from mmgmp.utils.folder_lock import read_holder

_MARKS = {
    State.DONE: ('✓', 'green'),
    State.FAILED: ('✗', 'bold red'),
    State.INTERRUPTED: ('◐', 'yellow'),
    State.PENDING: ('·', 'dim'),
}
_REFRESH_SECONDS = 1.0


def say(console: Console, text: str, style: str = '') -> None:
    """Print a line as it is, however long and whatever it holds."""
    console.print(
        text, style=style, soft_wrap=True, highlight=False, markup=False
    )


def run_with_display(runner: BenchmarkRunner, console: Console) -> bool:
    """Run a plan and show how it goes; return whether all cells are done.

    On a terminal a table is kept up to date; elsewhere, as in a log file,
    one line is printed per event.
    """
    if not console.is_terminal:

        def report(event: Event) -> None:
            say(console, f'{time.strftime("%H:%M:%S")} {" ".join(event)}')

        runner.report = report
        return runner.run()
    with Live(console=console, auto_refresh=False) as live:
        shown = 0.0

        def tick() -> None:
            nonlocal shown
            if time.monotonic() - shown >= _REFRESH_SECONDS:
                live.update(progress_table(runner), refresh=True)
                shown = time.monotonic()

        try:
            return runner.run(tick)
        finally:
            live.update(progress_table(runner), refresh=True)


def progress_table(runner: BenchmarkRunner) -> RenderableType:
    """Draw methods by targets, one mark per cell, and what runs now."""
    plan, cells = runner.plan, runner.cells()
    marks: dict[tuple[str, ...], Text] = defaultdict(Text)
    num_done = 0
    for files in cells:
        name, state = files.cell.name, files.state()
        num_done += state is State.DONE
        is_busy = name in runner.jobs or name in runner.busy
        mark = ('▶', 'cyan') if is_busy else _MARKS[state]
        marks[files.cell.group].append(*mark)
    title = f'{plan.title}: {num_done} of {len(cells)} done'
    table = Table(title=Text(title))
    for heading in ('', *plan.targets):
        table.add_column(Text(heading))
    for method, modalities in product(plan.methods, plan.modalities):
        row = [marks[method, modalities, target] for target in plan.targets]
        table.add_row(Text(f'{method} {modalities}'.strip()), *row)
    lines: list[RenderableType] = [table]
    for name, job in runner.jobs.items():
        minutes = (time.monotonic() - job.started) / 60
        progress = read_progress(job.files.log(job.stage))
        lines.append(Text(f'▶ {name}: {progress}, {minutes:.1f} min'))
    for name in sorted(runner.busy):
        holder = read_holder(plan.work_dir / name / '.lock')
        holder = f'process {holder}' if holder.isdecimal() else holder
        lines.append(Text(f'… {name}: in work elsewhere ({holder})', 'yellow'))
    return Group(*lines)


def print_failures(cells: Iterable[CellFiles], console: Console) -> int:
    """List the cells that failed, with their logs; return how many."""
    failed = [files for files in cells if files.state() is State.FAILED]
    if failed:
        say(console, f'{len(failed)} cells FAILED:', 'bold red')
    for files in failed:
        what, words, log = files.failure()
        where = f'  {files.cell.name}, {what}\n    {words}\n'
        say(console, f'{where}    log: {log}')
    return len(failed)
