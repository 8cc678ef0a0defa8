"""What a reader must know of a run besides its accuracy."""

from __future__ import annotations

import os
import platform
import re
import time
import warnings
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.registry import DefaultScope
from numpy.typing import NDArray

from mmgmp.apis.benchmark.cell_state import CellFiles
from mmgmp.apis.benchmark.cells import TRAIN
from mmgmp.apis.benchmark.training_state import Schedule
from mmgmp.registry import DATASETS
from mmgmp.utils import log_names
from mmgmp.utils.text_files import read_columns, warn_once

_PACKAGES = ('torch', 'mmengine', 'mmaction2', 'mmgmp')


def training_facts(files: CellFiles, is_here: bool) -> dict[str, Any]:
    """Describe a training that has just ended.

    Args:
        files: Of the cell.
        is_here: Whether it ran on this machine; the processor of another
            one is not known.

    Returns:
        ``date``, ``length`` and ``unit`` of the schedule, ``clips`` by
        split, ``machine`` and ``software``.
    """
    schedule = files.schedule()
    return {
        'date': time.strftime('%Y-%m-%d'),
        'length': schedule.length,
        'unit': schedule.unit,
        'clips': count_clips(files),
        'machine': {
            **({'cpu': cpu_name(), 'cores': num_cores()} if is_here else {}),
            'gpu': gpu_names(files.log(TRAIN)),
        },
        'software': {
            'python': platform.python_version(),
            **{name: version(name) for name in _PACKAGES},
        },
    }


def num_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_name() -> str:
    """Return the name of the processor."""
    info = Path('/proc/cpuinfo')
    if info.is_file():
        found = re.search(r'model name\s*:\s*(.+)', info.read_text('utf-8'))
        if found:
            return found[1]
    return platform.processor() or platform.machine()


def gpu_names(log: Path) -> str:
    """Return the GPUs that MMEngine found, from what it wrote to the log.

    Args:
        log: Output of a training.

    Returns:
        Their names, ``''`` if there was none.
    """
    if not log.is_file():
        return ''
    text = log.read_text('utf-8', errors='replace')
    found = re.findall(r'^\s*GPU ([\d,]+): (.+)$', text, flags=re.MULTILINE)
    names = [
        f'{len(numbers.split(","))} x {name.strip()}'
        for numbers, name in dict.fromkeys(found)
    ]
    return ', '.join(dict.fromkeys(names))


def count_clips(files: CellFiles) -> dict[str, int | str]:
    """Count the clips of each split, as the cell's own datasets list them.

    Args:
        files: Of the cell.

    Returns:
        Number by split, or the name of the error if a dataset cannot be
        built here; its own process then says more.
    """
    counts: dict[str, int | str] = {}
    # The processes themselves log what their imports warn of.
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        config = files.config(import_custom_modules=True)
        scope = config.get('default_scope') or 'mmaction'
        with DefaultScope.overwrite_default_scope(scope):
            for split in ('train', 'val', 'test'):
                loader = config.get(f'{split}_dataloader') or {}
                if 'dataset' in loader:
                    counts[split] = _length(loader['dataset'].to_dict())
    return counts


def _length(dataset: dict[str, Any]) -> int | str:
    try:
        return len(DATASETS.build(dataset))
    except Exception as error:  # a user's dataset may raise anything
        return type(error).__name__


def read_history(files: CellFiles) -> dict[str, NDArray[np.float64]]:
    """Read the ratios that a training recorded, step by step.

    Args:
        files: Of the cell.

    Returns:
        Columns of ``task_gradients.csv`` by name; empty if no ratios were
        recorded or the file is damaged, which is logged.
    """
    path = files.folder / 'task_gradients.csv'
    if not path.is_file():
        return {}
    try:
        history = read_columns(path)
    except ValueError as error:
        warn_once(f'{error}; the report goes without its ratios')
        return {}
    has_ratios = any(map(log_names.ratio_and_modality_of, history))
    has_steps = len(history.get('iteration', ())) > 0
    return history if has_ratios and has_steps else {}


def last_ratios(
    history: Mapping[str, NDArray[np.float64]], schedule: Schedule
) -> dict[str, float]:
    """Average each discrepancy ratio over the steps of the last epoch.

    Args:
        history: What :func:`read_history` returned.
        schedule: Of the training. Without epochs, the steps after the last
            validation but one count.

    Returns:
        Mean by name, such as ``'semantic ratio video'``; 1 is balance.
        Steps where a ratio is not finite are left out.

    Example:
        >>> history = {'iteration': np.array([1., 2., 3., 4.]),
        ...            'semantic_ratio_video': np.array([9., 9., 1., 2.])}
        >>> last_ratios(history, Schedule('epoch', 2, 1, 1, None))
        {'semantic ratio video': 1.5}
    """
    steps = history['iteration']
    share = 1 if schedule.unit == 'epoch' else max(1, schedule.interval)
    is_last = steps > steps.max() * (1 - share / schedule.length)
    means = {}
    for name, values in history.items():
        found = log_names.ratio_and_modality_of(name)
        chosen = values[is_last & np.isfinite(values)]
        if found and len(chosen):
            shown = f'{found[0].replace("_", " ")} {found[1]}'
            means[shown] = float(chosen.mean())
    return means
