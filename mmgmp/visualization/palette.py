"""Colours and lines that can be told apart."""

from __future__ import annotations

#: Okabe and Ito's palette without its yellow, which is faint on white.
COLOURS = (
    '#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9',
    '#000000',
)  # fmt: skip
#: Line styles of matplotlib.
LINES = ('-', '--', ':', '-.', (0, (5, 1, 1, 1, 1, 1)), (0, (1, 4)))
