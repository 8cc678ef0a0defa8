"""The folder of a cell: where its files are, and how they are read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmgmp.apis.benchmark.cells import TRAIN, Cell
from mmgmp.apis.benchmark.plan import Plan
from mmgmp.utils import draft_files, text_files
from mmgmp.utils.file_names import slug

#: What readers of the files rely on: types by key, a list for all keys.
_SHAPES: Mapping[str, Any] = {
    'metrics': [int, float],
    'checkpoint': (str,),
    'facts': {
        'date': (str,),
        'length': (int,),
        'unit': (str,),
        'clips': [int, str],
        'machine': [int, str],
        'software': [int, str],
    },
}


class CellFolder:
    """Paths of the files of one cell, and what they say by themselves."""

    def __init__(self, plan: Plan, cell: Cell) -> None:
        self.plan = plan
        self.cell = cell
        self.folder = plan.work_dir / cell.name

    def stage_file(self, stage: str) -> Path:
        """Return the file that says that a stage is complete."""
        return self.folder / f'{slug(stage)}.json'

    def stage_folder(self, stage: str) -> Path:
        """Return the work directory of a stage's process."""
        return self.folder if stage == TRAIN else self.folder / slug(stage)

    def log(self, stage: str) -> Path:
        """Return where a stage's process writes its output."""
        return self.folder / f'{slug(stage)}.log'

    def next_stage(self) -> str | None:
        """Return the first stage that is not complete."""
        stages = self.cell.stages
        return next((s for s in stages if self.read(s) is None), None)

    def read(self, name: str) -> dict[str, Any] | None:
        """Return ``cell``, ``failure`` or a stage; None if it is not there.

        Also None if the file is damaged: what is damaged counts as not done,
        is said once, and is made again.
        """
        return read_json(self.stage_file(name))

    def last_words(self, stage: str) -> str:
        """Return the last line that a stage's process wrote."""
        path = self.log(stage)
        if not path.is_file():
            return ''
        text = path.read_text(encoding='utf-8', errors='replace')
        return text.strip().rpartition('\n')[2].strip()

    def write_failure(self, stage: str, code: int | str) -> None:
        """Remember that a stage's process failed."""
        failure = {'stage': stage, 'code': code, 'log': str(self.log(stage))}
        write_json(self.stage_file('failure'), failure)

    def checkpoint(self) -> Path | None:
        """Return the checkpoint that is tested, None before that."""
        trained = self.read(TRAIN)
        return self.folder / trained['checkpoint'] if trained else None

    def outcome(self) -> list[Any]:
        """Tell one training of the cell from another, for who needs it."""
        trained = self.read(TRAIN) or {}
        facts = [trained.get(k) for k in ('checkpoint', 'step', 'metrics')]
        return [self.cell.name, *facts]


def read_json(path: Path) -> dict[str, Any] | None:
    """Read a JSON object, None if there is none or it is damaged."""
    if not path.is_file():
        return None
    try:
        # Python's own writer has NaN for metrics that are not defined.
        values: dict[str, Any] = text_files.read_json(path, allow_nan=True)
        needed = {'checkpoint', 'metrics'} if path.stem == TRAIN else set()
        shape = {k: _SHAPES[k] for k in _SHAPES if k in needed | set(values)}
        # The checkpoint is a file of this folder, and no path to another.
        name = values.get('checkpoint', 'none') if _fits(values, shape) else ''
        if not name or slug(name) != name:
            raise ValueError(
                f'{path} must be an object as the runner writes it, with '
                f'{sorted(shape)}, got {values!r:.200}'
            )
    except (OSError, TypeError, ValueError) as error:
        text_files.warn_once(f'{error}; it counts as not done')
        return None
    return values


def _fits(value: Any, shape: Any) -> bool:
    if isinstance(shape, tuple):
        return type(value) in shape
    if not isinstance(value, dict):
        return False
    if isinstance(shape, list):
        return all(type(item) in shape for item in value.values())
    return all(_fits(value.get(key), shape[key]) for key in shape)


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write a JSON object; a reader finds all of it or none."""
    text = json.dumps(values, indent=1, default=str) + '\n'
    with draft_files(path) as [draft]:
        draft.write_text(text, encoding='utf-8')
