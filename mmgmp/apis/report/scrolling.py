"""How wide the things on a page are, to say where one has to scroll.

A page without scripts cannot measure itself, so the widths are estimated when
it is written: rounded up to a step, below which the hint is shown.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

#: Widths of the window in rem; the page itself is not wider than the last.
PAGE_STEPS = tuple(range(20, 61, 2))
_ALWAYS = 'always'
#: Of a character, of the space in a cell, and of the page's margins.
_CHARACTER, _CELL, _MARGIN = 0.5, 1.1, 2.0
#: Least width of a cell whose text may be broken, and of one with sentences.
_BROKEN, _SENTENCES = 6.0, 11.0
_POINTS_PER_REM = 12.0


def table_step(rows: Sequence[Sequence[object]], kind: str = '') -> str:
    """Name the step of a table.

    Args:
        rows: Its cells, the header first.
        kind: ``'text'`` if its cells may be broken into lines.

    Example:
        >>> table_step([['method', 'H'], ['GMP', '1.00']]), table_step(
        ...     [['x' * 200, 'y' * 200]])
        ('20', 'always')
        >>> table_step([['x' * 200, 'y' * 200]], 'text')
        '22'
    """
    widths = [
        _CHARACTER * max(len(str(cell)) for cell in column)
        for column in zip(*rows, strict=True)
    ]
    # Names of rows are broken in every table.
    widths[0] = min(widths[0], _BROKEN)
    if kind:
        widths = [min(width, _BROKEN) for width in widths]
        widths[-1] = _SENTENCES
    return _step(sum(widths) + _CELL * len(widths))


def figure_step(svg: str) -> str:
    """Name the step of a figure.

    Args:
        svg: Its element, whose width is in points.

    Example:
        >>> figure_step('<svg width="331.2pt">')
        '30'
    """
    found = re.search(r'width="([\d.]+)pt"', svg)
    return _step(float(found[1]) / _POINTS_PER_REM if found else 0.0)


def _step(width: float) -> str:
    wanted = width + _MARGIN
    return next((str(s) for s in PAGE_STEPS if s >= wanted), _ALWAYS)
