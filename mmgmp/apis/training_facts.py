"""What a reader must know of a training besides its accuracy."""

from __future__ import annotations

import os
import platform
import re
import time
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.utils import import_modules_from_strings

from mmgmp.apis.training_files import Schedule
from mmgmp.registry import DATASETS
from mmgmp.version import __version__

_PACKAGES = ('torch', 'mmengine', 'mmaction2')


def training_facts(config: Config, log: Path, is_here: bool) -> dict[str, Any]:
    """Describe a training that has just ended.

    Args:
        config: Of the training.
        log: Its output.
        is_here: Whether it ran on this machine; the processor of another one
            is not known.
    """
    schedule = Schedule.of(config)
    return {
        'date': time.strftime('%Y-%m-%d'),
        'length': schedule.length,
        'unit': schedule.unit,
        'clips': count_clips(config),
        'machine': {
            **({'cpu': _cpu_name(), 'cores': num_cores()} if is_here else {}),
            'gpu': gpu_names(log),
        },
        'software': {
            'python': platform.python_version(),
            **{name: version(name) for name in _PACKAGES},
            # An editable install may have been made at another one.
            'mmgmp': __version__,
        },
    }


def num_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cpu_name() -> str:
    info = Path('/proc/cpuinfo')
    text = info.read_text('utf-8') if info.is_file() else ''
    found = re.search(r'model name\s*:\s*(.+)', text)
    return found[1] if found else platform.processor() or platform.machine()


def gpu_names(log: Path) -> str:
    """Return the GPUs that MMEngine found, from what it wrote to the log."""
    if not log.is_file():
        return ''
    text = log.read_text('utf-8', errors='replace')
    found = re.findall(r'^\s*GPU ([\d,]+): (.+)$', text, flags=re.MULTILINE)
    names = [
        f'{len(numbers.split(","))} x {name.strip()}'
        for numbers, name in dict.fromkeys(found)
    ]
    return ', '.join(dict.fromkeys(names))


def count_clips(config: Config) -> dict[str, int | str]:
    """Count the clips of each split, as the config's own datasets list them.

    The name of the error stands for the number if a dataset cannot be built
    here.
    """
    counts: dict[str, int | str] = {}
    # The processes themselves log what their imports warn of.
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        import_modules_from_strings(
            **(config.get('custom_imports') or {'imports': None})
        )
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
