"""What the page names is there, and its files stand in the order it says."""

from __future__ import annotations

import ast
import re
from pathlib import Path

UPSTREAM = {'MMDistributedDataParallel', 'mmgmp', 'train_step'}
ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / 'docs' / 'architecture.md').read_text('utf-8')
FILES = re.findall(r'^\| \d \| `(mmgmp/\S+\.py)` \|', PAGE, re.MULTILINE)


def module(path: str) -> str:
    return path.removesuffix('.py').replace('/', '.')


def names_in_package() -> set[str]:
    """Functions, classes, attributes, config keys and rooms."""
    found = {path.stem for path in (ROOT / 'mmgmp').rglob('*')}
    for path in (ROOT / 'mmgmp').rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text('utf-8'))):
            for key in ('name', 'attr', 'arg', 'id'):
                value = getattr(node, key, None)
                found |= {value} if isinstance(value, str) else set()
    return found


def test_the_way_takes_seven_files_in_one_direction() -> None:
    assert len(FILES) == 7
    for number, path in enumerate(FILES):
        text = (ROOT / path).read_text('utf-8')
        back = [above for above in FILES[:number] if module(above) in text]
        assert back == [], path


def test_every_name_on_the_page_exists() -> None:
    words = {
        part
        for code in re.findall(r'`([^`\n]+)`', PAGE)
        for part in re.findall(r'[A-Za-z_]{3,}', code.split('=')[0])
        if '/' not in code
    }
    assert {'update_params', 'TaskLosses', 'choose'} <= words
    assert words - names_in_package() - UPSTREAM == set()
