"""Converters under names of their own: they are all called alike."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

from .conftest import DATA_PREP


def load_script(corpus: str) -> ModuleType:
    """Import a corpus's converter, its own folder first as when it is run."""
    folder = DATA_PREP / corpus
    spec = importlib.util.spec_from_file_location(
        f'convert_{corpus}', folder / 'convert_annotations.py'
    )
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(folder))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(folder))
    return module
