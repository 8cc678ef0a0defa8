"""Live table of a running benchmark, and its closing lines."""

from __future__ import annotations

import time
from collections.abc import Iterable

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from mmgmp.apis.benchmark.cell_state import CellFiles, State
from mmgmp.apis.benchmark.runner import (
    BenchmarkRunner,
    Event,
    list_cells,
    lock_holder,
)

_MARKS = {
    State.DONE: ('✓', 'green'),
    State.FAILED: ('✗', 'bold red'),
    State.INTERRUPTED: ('◐', 'yellow'),
    State.PENDING: ('·', 'dim'),
}
_REFRESH_SECONDS = 1.0


def run_with_display(runner: BenchmarkRunner, console: Console) -> bool:
    """Run a plan and show how it goes.

    On a terminal a table is kept up to date; elsewhere, as in a log file,
    one line is printed per event.

    Args:
        runner: Ready to run.
        console: Where to show it.

    Returns:
        Whether all cells are done.
    """
    if not console.is_terminal:

        def say(event: Event) -> None:
            console.print(
                f'{time.strftime("%H:%M:%S")} {event.name} '
                f'{event.what} {event.detail}',
                soft_wrap=True,
                highlight=False,
                markup=False,
            )

        runner.report = say
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
    """Draw methods by targets, one mark per cell, and what runs now.

    Args:
        runner: The runner.
    """
    plan, cells = runner.plan, list_cells(runner.plan)
    is_done = [files.state() is State.DONE for files in cells]
    title = f'{plan.title}: {sum(is_done)} of {len(cells)} done'
    table = Table(title=Text(title))
    table.add_column('')
    for target in plan.targets:
        table.add_column(Text(target))
    for method in plan.methods:
        for modalities in plan.modalities:
            table.add_row(
                Text(' '.join(filter(None, (method, modalities)))),
                *(
                    _marks(runner, cells, (method, modalities, target))
                    for target in plan.targets
                ),
            )
    lines: list[RenderableType] = [table]
    for name, job in runner.jobs.items():
        minutes = (time.monotonic() - job.started) / 60
        lines.append(Text(f'▶ {name}: {job.progress()}, {minutes:.1f} min'))
    for name in sorted(runner.busy):
        holder = lock_holder(plan.work_dir / name)
        lines.append(Text(f'… {name}: in work elsewhere ({holder})', 'yellow'))
    return Group(*lines)


def _marks(
    runner: BenchmarkRunner,
    cells: Iterable[CellFiles],
    group: tuple[str, str, str],
) -> Text:
    text = Text()
    for files in cells:
        cell = files.cell
        if (cell.method, cell.modalities, cell.target) != group:
            continue
        mark, style = _MARKS[files.state()]
        if cell.name in runner.jobs or cell.name in runner.busy:
            mark, style = '▶', 'cyan'
        text.append(mark, style)
    return text


def print_failures(cells: Iterable[CellFiles], console: Console) -> int:
    """List the cells that failed, with their logs.

    Args:
        cells: Of the plan.
        console: Where to show them.

    Returns:
        How many there are.
    """
    failed = [f for f in cells if f.state() is State.FAILED]
    if failed:
        console.print(f'{len(failed)} cells FAILED:', style='bold red')
    for files in failed:
        failure = files.failure() or {}
        words = files.last_words(str(failure.get('stage')))
        console.print(
            f'  {files.cell.name}, {failure.get("stage")}: '
            f'{failure.get("code")}\n    {words}\n    log: '
            f'{failure.get("log")}',
            soft_wrap=True,
            highlight=False,
            markup=False,
        )
    return len(failed)
