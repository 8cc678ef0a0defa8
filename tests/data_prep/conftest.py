from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

DATA_PREP = Path(__file__).parents[2] / 'data_prep'


def import_script(corpus: str, name: str) -> ModuleType:
    """Import a script as it is when run: its own folder comes first."""
    folder = str(DATA_PREP / corpus)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return importlib.import_module(name)


@pytest.fixture(scope='session')
def convert() -> ModuleType:
    return import_script('hac', 'convert_annotations')


@pytest.fixture(scope='session')
def render() -> ModuleType:
    return import_script('mini_hac', 'render')
