"""Names that others wrote, and that files are named after."""

from __future__ import annotations

import os
import re

from mmgmp.utils.typed_values import demand

#: Bytes of a file's name on all usual systems, but for what follows it.
_LONGEST_NAME = 255 - len('..json.draft')


def slug(text: str) -> str:
    """Turn a name into one that suits a file.

    Example:
        >>> slug('SimMMDG + GMP, V+A')
        'SimMMDG-+-GMP-V+A'
    """
    return re.sub(r'[^\w.+=-]+', '-', text).strip('-')


def check_name(key: str, name: str, is_file: bool = True) -> str:
    """Return a name that is shown, and that files may be named after.

    Example:
        >>> check_name('methods', '..')
        Traceback (most recent call last):
        ValueError: methods must have names with a letter or digit and \
without the signs of a path, got '..'; files are named after them, so rename it
    """
    rule = 'have names of one line that can be printed'
    is_met = bool(name.strip()) and name.isprintable()
    demand(is_met, key, rule, name, 'rename it')
    if is_file:
        is_path = '\\' in name or {'', '.', '..'} & set(name.split('/'))
        rule = (
            'have names with a letter or digit and without the signs of a path'
        )
        advice = 'files are named after them, so rename it'
        is_met = not is_path and bool(re.search(r'\w', slug(name)))
        demand(is_met, key, rule, name, advice)
        check_length(key, slug(name))
    return name


def check_length(key: str, name: str) -> None:
    """Refuse a name that is too long for a file."""
    size = len(os.fsencode(name))
    rule = f'have names of at most {_LONGEST_NAME} bytes'
    advice = f'files are named after them, so shorten {name[:40]!r}...'
    demand(size <= _LONGEST_NAME, key, rule, size, advice)
