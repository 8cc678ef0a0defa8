"""Keep text text, wherever it is shown.

Names come from plans and annotations that others wrote. Spreadsheets,
Markdown and figures each take some characters for commands.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

# Also their full-width forms, which some spreadsheets take for the same.
_FORMULA_MARKS = ('=', '+', '-', '@', '\t', '\r', '\n')
# A bracket begins a link only where a parenthesis follows.
_MARKDOWN = re.compile(r'([\\`*_~$|]|(?<=\])\()')
# Underscores inside of words mean nothing, and many names have them.
_INSIDE_WORD = re.compile(r'(?<=\w)\\_(?=\w)')


def csv_cell(value: Any) -> Any:
    """Put an apostrophe before a text that would be taken for a formula.

    Args:
        value: Cell of a CSV file.

    Returns:
        The text, or the same if it is none or begins harmlessly.

    Example:
        >>> csv_cell('=1+1'), csv_cell('-0.5'), csv_cell(-0.5), csv_cell('a-b')
        ("'=1+1", '-0.5', -0.5, 'a-b')
    """
    if not isinstance(value, str) or _is_number(value):
        return value
    first = unicodedata.normalize('NFKC', value.lstrip(' ')[:1])
    return f"'{value}" if first in _FORMULA_MARKS else value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.isascii() and text == text.strip()


def markdown_text(text: Any) -> str:
    r"""Escape what Markdown takes for markup, in one line.

    Args:
        text: What is to be read as it is.

    Returns:
        Markdown, fit for a cell of a table, too.

    Example:
        >>> markdown_text('alpha_k of <b>a|b</b>')
        'alpha_k of &lt;b&gt;a\\|b&lt;/b&gt;'
    """
    line = ' '.join(str(text).splitlines())
    line = line.replace('&', '&amp;')
    line = line.replace('<', '&lt;').replace('>', '&gt;')
    return _INSIDE_WORD.sub('_', _MARKDOWN.sub(r'\\\1', line))


def figure_text(text: Any) -> str:
    r"""Escape what Matplotlib takes for formulas or hides.

    Args:
        text: Label or title.

    Returns:
        The text; a leading blank stands before an underscore, which would
        keep a label out of the legend.

    Example:
        >>> figure_text('$x$'), figure_text('_a')
        ('\\$x\\$', ' _a')
    """
    escaped = str(text).replace('$', r'\$')
    return f' {escaped}' if escaped.startswith('_') else escaped


def short_repr(value: Any) -> str:
    """Write a value that may be a whole file in one short line.

    Args:
        value: What came in place of something else.

    Example:
        >>> short_repr('abc'), len(short_repr('a' * 1000))
        ("'abc'", 203)
    """
    text = repr(value)
    return text if len(text) <= 200 else f'{text[:200]}...'
