"""Run the cells of a plan, some at a time, and resume what was cut off."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

from mmgmp.apis.benchmark.cell_state import CellFiles, State
from mmgmp.apis.benchmark.cells import TRAIN, plan_cells
from mmgmp.apis.benchmark.checks import check_cells
from mmgmp.apis.benchmark.ensembles import run_ensemble
from mmgmp.apis.benchmark.jobs import (
    Job,
    finish_stage,
    start_job,
    stop_jobs,
    tidy,
)
from mmgmp.apis.benchmark.plan import Plan
from mmgmp.apis.benchmark.processes import Launch
from mmgmp.apis.training_files import prepare_resume
from mmgmp.utils.folder_lock import lock_file

_POLL_SECONDS = 0.2
_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


class Event(NamedTuple):
    """A cell was ``started``, ``done`` or ``failed``, in a stage or log."""

    name: str
    what: str
    detail: str


class BenchmarkRunner:
    """Works through a plan with MMAction2's own scripts as processes.

    All it knows is in the work directory, so that it can be ended at any
    time, also by ``SIGKILL``, and started again. A process that outlived an
    earlier runner keeps its cell locked until it ends; its work then counts.
    Several runners may share a work directory.

    Args:
        plan: What to run.
        launch: How processes are started.
        slots: Environment of each process that may run at the same time,
            such as ``CUDA_VISIBLE_DEVICES``; one slot runs one process.
        resume: Whether to continue interrupted cells.
        retry_failed: Whether to try failed cells again.
        keep_going: Whether to go on when a second cell has failed like the
            first; otherwise no further cell is started then.
        report: Called with what happens.

    Raises:
        FileNotFoundError: If a config of the plan is missing.
        ValueError: If the work directory holds cells of other settings.
        RuntimeError: If cells were interrupted and ``resume`` is off.
    """

    def __init__(
        self,
        plan: Plan,
        launch: Launch,
        slots: Sequence[Mapping[str, str]] = ({},),
        resume: bool = False,
        retry_failed: bool = False,
        keep_going: bool = False,
        report: Callable[[Event], None] | None = None,
    ) -> None:
        self.plan = plan
        self.launch = launch
        self.slots = slots
        self.report = report or (lambda _: None)
        self.keep_going = keep_going
        #: Last words of two cells that failed alike, which ended the run.
        self.same_failure = ''
        self._failures: set[str] = set()
        self.jobs: dict[str, Job] = {}
        self.busy: set[str] = set()
        cells = self.cells()
        check_cells(plan, cells, resume)
        for files in cells:
            # It was damaged; what was trained says that it is of this plan.
            has_begun = files.next_stage() != files.cell.stages[0]
            if has_begun and files.read('cell') is None:
                files.write_cell()
            if retry_failed:
                files.stage_file('failure').unlink(missing_ok=True)

    def cells(self) -> list[CellFiles]:
        """List the cells that can be named by now, with their files."""
        return list_cells(self.plan)

    def run(self, tick: Callable[[], None] = lambda: None) -> bool:
        """Work until every cell is done or failed.

        Args:
            tick: Called a few times per second, to show the progress.

        Returns:
            Whether all cells are done.

        Raises:
            KeyboardInterrupt: If a signal asked to stop; the processes are
                stopped before.
        """
        with _noted_signals() as noted:
            try:
                cells = self.cells()
                while not noted:
                    if self._collect() or self.busy:
                        cells = self.cells()
                    # What runs already may end: it may be another fault.
                    is_waiting = not self.same_failure and self._start(cells)
                    tick()
                    if not self.jobs and not is_waiting:
                        return all(f.state() is State.DONE for f in cells)
                    time.sleep(_POLL_SECONDS)
                raise KeyboardInterrupt
            finally:
                stop_jobs(self.jobs.values())
                self.jobs.clear()

    def _start(self, cells: Sequence[CellFiles]) -> bool:
        """Fill the free slots; return whether cells are busy elsewhere."""
        self.busy.clear()
        taken = {job.slot for job in self.jobs.values()}
        free = [n for n in range(len(self.slots)) if n not in taken]
        for files in cells:
            if not free:
                break
            is_open = files.state() in (State.PENDING, State.INTERRUPTED)
            is_open = is_open and files.is_ready()
            if is_open and files.cell.name not in self.jobs:
                free = free[self._try(files, free[0]) :]
        return bool(self.busy)

    def _try(self, files: CellFiles, slot: int) -> bool:
        """Start a cell unless it is busy or done; return whether it did."""
        name = files.cell.name
        claim = claim_cell(files.folder)
        if claim is None:
            self.busy.add(name)
            return False
        # Another runner may have had it since the state was read.
        has_failed = files.read('failure') is not None
        stage = None if has_failed else self._advance(files)
        if stage is None:
            claim.close()
            return False
        if files.cell.ensemble is not None:
            self._combine(files)
            claim.close()
            return False
        environment = self.slots[slot]
        self.jobs[name] = start_job(
            files, stage, claim, slot, self.launch, environment
        )
        self.report(Event(name, 'started', stage))
        return True

    def _advance(self, files: CellFiles) -> str | None:
        """Return the stage to work on, counting what is complete."""
        stage = files.next_stage()
        if stage != TRAIN:
            return stage
        if files.read('cell') is None:
            # What may lie there is of settings that nobody knows any more.
            prepare_resume(files.folder, None)
            files.write_cell()
        elif self._finish(files, TRAIN):
            # An earlier process has ended with nobody watching.
            return files.next_stage()
        files.forget_tests()
        return stage

    def _combine(self, files: CellFiles) -> None:
        """Work on an ensemble, which takes no process."""
        files.write_cell()
        name, stages = files.cell.name, files.cell.stages
        if all(self._combine_stage(files, stage) for stage in stages):
            self.report(Event(name, 'done', stages[-1]))

    def _combine_stage(self, files: CellFiles, stage: str) -> bool:
        try:
            files.write_stage(stage, run_ensemble(files, stage))
        except (OSError, ValueError) as error:
            files.log(stage).write_text(f'{error}\n', encoding='utf-8')
            self._fail(files, stage, 'an error')
            return False
        return True

    def _finish(self, files: CellFiles, stage: str) -> bool:
        return finish_stage(files, stage, self.launch.cluster is None)

    def _collect(self) -> bool:
        """Take in the processes that have ended."""
        codes = {name: job.process.poll() for name, job in self.jobs.items()}
        ended = {name: c for name, c in codes.items() if c is not None}
        for name, code in ended.items():
            job = self.jobs.pop(name)
            files, stage = job.files, job.stage
            if code == 0 and not self._finish(files, stage):
                code = 'ended without a complete result'
            if code != 0:
                self._fail(files, stage, code)
            elif files.next_stage() is None:
                tidy(files)
                self.report(Event(name, 'done', stage))
            job.claim.close()
        return bool(ended)

    def _fail(self, files: CellFiles, stage: str, code: int | str) -> None:
        """Stop at the second failure of a kind: a third teaches nothing."""
        files.write_failure(stage, code)
        log = str(files.log(stage))
        self.report(Event(files.cell.name, 'failed', log))
        words = f'{code}: {files.last_words(stage)}'
        kind = re.sub(r'\d+', '0', words.replace(str(self.plan.work_dir), ''))
        if kind in self._failures and not self.keep_going:
            self.same_failure = words
        self._failures.add(kind)


@contextmanager
def _noted_signals() -> Iterator[list[int]]:
    """Collect the requests to stop instead of dying of them."""
    noted: list[int] = []

    def note(number: int, _: Any) -> None:
        noted.append(number)

    before = {number: signal.signal(number, note) for number in _SIGNALS}
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def list_cells(plan: Plan) -> list[CellFiles]:
    """List the cells of a plan that can be named by now, with their files.

    Args:
        plan: The plan.
    """
    cells = plan_cells(plan, lambda c: CellFiles(plan, c).source_accuracy())
    return [CellFiles(plan, cell) for cell in cells]


def claim_cell(folder: Path) -> IO[str] | None:
    """Claim a cell for this process and the children that get the file.

    None if another process works on the cell. The claim is given up when the
    last of those processes is gone, however it ended.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return lock_file(folder / '.lock', inherited=True)
