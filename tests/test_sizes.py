"""Nothing in the package grows until nobody can read it in one go.

Lines of a function are counted without its docstring: whoever explains an
argument shall not have to pay for it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
MOST_LINES = 350
MOST_METHODS = 20
SHORT = 30  # a function below that is short
SHARE_OF_SHORT = 0.95


def sources() -> dict[str, str]:
    return {
        str(path.relative_to(ROOT)): path.read_text('utf-8')
        for path in sorted((ROOT / 'mmgmp').rglob('*.py'))
    }


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    lines = (function.end_lineno or 0) - function.lineno + 1
    if ast.get_docstring(function) is None:
        return lines
    text = function.body[0]
    return lines - ((text.end_lineno or 0) - text.lineno + 1)


def long_files(files: dict[str, str]) -> list[str]:
    sizes = {name: len(text.splitlines()) for name, text in files.items()}
    return [f'{n}: {size}' for n, size in sizes.items() if size > MOST_LINES]


def large_classes(files: dict[str, str]) -> list[str]:
    found = []
    for name, text in files.items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ClassDef):
                count = sum(isinstance(n, FUNCTIONS) for n in node.body)
                if count > MOST_METHODS:
                    found.append(f'{name}: {node.name}: {count}')
    return found


def functions(files: dict[str, str]) -> Iterator[tuple[int, str]]:
    for name, text in files.items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, FUNCTIONS):
                yield code_lines(node), f'{name}: {node.name}'


def too_many_long_functions(files: dict[str, str]) -> list[str]:
    """The long ones, longest first, if they are too many; else nothing."""
    sizes = sorted(functions(files), reverse=True)
    long = [f'{name}: {size}' for size, name in sizes if size >= SHORT]
    is_fine = len(long) <= (1 - SHARE_OF_SHORT) * len(sizes)
    return [] if is_fine else long


@pytest.mark.parametrize(
    'rule', [long_files, large_classes, too_many_long_functions]
)
def test_the_package_keeps(rule) -> None:
    assert rule(sources()) == []


def _function(name: str, lines: int, doc: str = '') -> str:
    return f'def {name}():\n{doc}' + '    pass\n' * (lines - 1)


@pytest.mark.parametrize(
    ('rule', 'bad', 'good'),
    [
        (long_files, 'x = 1\n' * 351, 'x = 1\n' * 350),
        (
            large_classes,
            'class A:\n' + '    def f(self): ...\n' * 21,
            'class A:\n' + '    def f(self): ...\n' * 20,
        ),
        (
            too_many_long_functions,
            _function('a', 30) + _function('b', 2) * 18,
            _function('a', 30) + _function('b', 2) * 19,
        ),
        (
            too_many_long_functions,
            _function('a', 30, '    """One.\n\n    Two.\n    """\n'),
            _function('a', 29, '    """One.\n\n    Two.\n    """\n'),
        ),
    ],
)
def test_the_rules_find_the_offender(rule, bad: str, good: str) -> None:
    assert 'x.py' in rule({'x.py': bad})[0]
    assert rule({'x.py': good}) == []
