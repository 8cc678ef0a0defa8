"""The map of the rooms, read from the imports, and rules on imports.

A room may import itself and the rooms below it, never one beside it.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LEVELS = {
    'version': 0,
    'utils': 0,
    'structures': 1,
    'registry': 1,
    'models': 2,
    'engine': 2,
    'datasets': 2,
    'evaluation': 2,
    'visualization': 2,
    'testing': 3,
    'apis': 3,
    '__main__': 3,
}
# Rooms that hold maths and typed data keep to these third-party packages.
NARROW = {
    'mmgmp.structures': {'torch'},
    'mmgmp.models.layers': {'torch'},
    'mmgmp.engine.optim.strategies': {'torch'},
}
SLOW_TO_IMPORT = {'librosa', 'matplotlib', 'sklearn'}
# Private names of MMEngine's that would not be told from our own.
UPSTREAM = {
    '_accumulative_counts',
    '_epoch',
    '_inner_count',
    '_iter',
    '_load_from',
    '_max_counts',
    '_metainfo',
    '_resume',
}
OF_TORCH = {'_BatchNorm', '_C'}
SKIPPED = {'.venv', '.git', 'build', 'dist', 'work_dirs', '__pycache__'}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix('').parts
    return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


def package_files() -> list[Path]:
    return sorted((ROOT / 'mmgmp').rglob('*.py'))


def source_files() -> list[Path]:
    return sorted(
        path
        for path in ROOT.rglob('*.py')
        if not SKIPPED & set(path.relative_to(ROOT).parts)
    )


def imported_names(nodes: Iterator[ast.AST]) -> set[str]:
    """Full dotted names; ``from a import b`` counts as ``a.b``."""
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f'{node.module}.{alias.name}' for alias in node.names}
    return names


def walk_module_level(tree: ast.AST) -> Iterator[ast.AST]:
    """Everything that runs on import: not functions, not TYPE_CHECKING."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if isinstance(node, ast.If) and 'TYPE_CHECKING' in ast.dump(node.test):
            continue
        yield node
        yield from walk_module_level(node)


def room_of(name: str) -> str | None:
    parts = name.split('.')
    return parts[1] if parts[0] == 'mmgmp' and len(parts) > 1 else None


def wrong_arrows(module: str, source: str) -> list[str]:
    here = room_of(module)
    wrong = []
    for name in sorted(imported_names(ast.walk(ast.parse(source)))):
        there = room_of(name)
        if None in (here, there) or here == there or there not in LEVELS:
            continue
        if LEVELS[there] >= LEVELS[here]:
            wrong.append(f'{module} imports {name}')
    return wrong


def foreign_packages(module: str, source: str) -> list[str]:
    rooms = [r for r in NARROW if f'{module}.'.startswith(f'{r}.')]
    if not rooms:
        return []
    allowed = NARROW[rooms[0]] | {'mmgmp'} | set(sys.stdlib_module_names)
    names = imported_names(ast.walk(ast.parse(source)))
    return sorted(n for n in names if n.split('.')[0] not in allowed)


def slow_imports(source: str) -> list[str]:
    names = imported_names(walk_module_level(ast.parse(source)))
    return sorted(n for n in names if n.split('.')[0] in SLOW_TO_IMPORT)


def star_imports(source: str) -> list[str]:
    names = imported_names(ast.walk(ast.parse(source)))
    return sorted(name for name in names if name.endswith('.*'))


def unsafe_loads(source: str) -> list[int]:
    """Lines that switch off the check of PyTorch's loader."""
    return [
        node.value.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.keyword)
        and node.arg == 'weights_only'
        and not (isinstance(node.value, ast.Constant) and node.value.value)
    ]


def private_names(source: str, kinds: tuple[type, ...]) -> set[str]:
    """Private attributes that are written, or read, or both."""
    tree = ast.walk(ast.parse(source))
    found = {
        n.attr
        for n in tree
        if isinstance(n, ast.Attribute) and isinstance(n.ctx, kinds)
    }
    return {n for n in found if n.startswith('_') and not n.endswith('__')}


def defined_names(source: str) -> set[str]:
    return {
        node.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, (ast.FunctionDef, ast.ClassDef))
    } | private_names(source, (ast.Store,))


def foreign_private_names(source: str, own: set[str]) -> list[str]:
    """What only MMEngine or MMAction2 can have defined.

    PyTorch's are left out: it publishes ``_foreach_*`` in no other way.
    """
    read = private_names(source, (ast.Load, ast.Store))
    return sorted(
        name
        for name in (read - own) | (read & UPSTREAM)
        if not name.startswith('_foreach_') and name not in OF_TORCH
    )


def test_every_room_is_on_the_map() -> None:
    rooms = {
        room_of(module_name(path))
        for path in package_files()
        if path.parent != ROOT / 'mmgmp' or path.stem != '__init__'
    }
    assert rooms <= set(LEVELS)


def test_rooms_import_only_rooms_below() -> None:
    wrong = [
        arrow
        for path in package_files()
        for arrow in wrong_arrows(module_name(path), path.read_text('utf-8'))
    ]
    assert wrong == []


def test_maths_and_data_keep_to_torch() -> None:
    foreign = {
        module_name(path): found
        for path in package_files()
        if (found := foreign_packages(module_name(path), path.read_text()))
    }
    assert foreign == {}


def test_nothing_slow_is_imported_with_a_module() -> None:
    slow = {
        module_name(path): found
        for path in package_files()
        if (found := slow_imports(path.read_text('utf-8')))
    }
    assert slow == {}


def test_private_names_of_others_are_in_one_file() -> None:
    sources = {
        module_name(path): path.read_text('utf-8')
        for path in package_files()
        if 'compat' not in path.parts
    }
    own = set().union(*map(defined_names, sources.values())) - UPSTREAM
    found = {
        module: names
        for module, source in sources.items()
        if (names := foreign_private_names(source, own))
    }
    assert found == {}


@pytest.mark.parametrize('source', ['a._b', 'a._iter = 1', 'a._iter += 1'])
def test_private_names_of_others_are_found(source: str) -> None:
    assert foreign_private_names(source, {'_iter'}) != []
    assert foreign_private_names('self._b', {'_b'}) == []


@pytest.mark.parametrize('rule', [star_imports, unsafe_loads])
def test_the_whole_tree_keeps(rule) -> None:
    broken = {
        str(path.relative_to(ROOT)): found
        for path in source_files()
        if (found := rule(path.read_text('utf-8')))
    }
    assert broken == {}


@pytest.mark.parametrize(
    ('module', 'source', 'is_wrong'),
    [
        ('mmgmp.engine.x', 'from mmgmp.models import heads', True),
        ('mmgmp.engine.x', 'from mmgmp import models', True),
        ('mmgmp.engine.x', 'def f():\n import mmgmp.datasets', True),
        ('mmgmp.structures.x', 'import mmgmp.registry', True),
        ('mmgmp.utils.x', 'import mmgmp.structures', True),
        ('mmgmp.apis.x', 'import mmgmp.testing', True),
        ('mmgmp.engine.x', 'from mmgmp.engine.optim import y', False),
        ('mmgmp.apis.x', 'from mmgmp.models import heads', False),
        ('mmgmp.models.x', 'from mmgmp.registry import MODELS', False),
    ],
)
def test_the_arrow_rule(module: str, source: str, is_wrong: bool) -> None:
    assert bool(wrong_arrows(module, source)) is is_wrong


@pytest.mark.parametrize(
    ('rule', 'bad', 'good'),
    [
        (
            slow_imports,
            'try:\n import librosa.core\nexcept ImportError: pass',
            'def f():\n import librosa',
        ),
        (star_imports, 'from torch import *', 'from torch import nn'),
        (
            unsafe_loads,
            'torch.load(p, weights_only=False)',
            'torch.load(p, weights_only=True)',
        ),
        (
            lambda source: foreign_packages('mmgmp.structures.x', source),
            'import mmengine.model',
            'import torch.nn, typing',
        ),
    ],
)
def test_the_other_rules(rule, bad: str, good: str) -> None:
    assert rule(bad) != []
    assert rule(good) == []
