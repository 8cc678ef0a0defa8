"""Outlines of objects: seven that are classes, and others to pretrain on.

A silhouette takes the coordinates of pixels in object radii and returns how
far out each lies: below 1 is inside, 1 is the outline.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Array = np.ndarray
Silhouette = Callable[[Array, Array], Array]


def _polar(lobes: int, inner: float, turn: float = 0.0) -> Silhouette:
    """Flower of ``lobes`` petals; ``inner`` is the radius between them."""

    def radius(x: Array, y: Array) -> Array:
        wave = np.cos(lobes * (np.arctan2(y, x) - turn))
        outline = (1 + inner) / 2 + (1 - inner) / 2 * wave
        return np.hypot(x, y) / outline

    return radius


def _boxes(*boxes: tuple[float, float, float, float]) -> Silhouette:
    """Union of boxes: centre, half width and half height."""

    def radius(x: Array, y: Array) -> Array:
        parts = [
            1 + np.maximum(np.abs(x - cx) - w, np.abs(y - cy) - h) / 0.5
            for cx, cy, w, h in boxes
        ]
        return np.minimum.reduce(parts)

    return radius


def _polygon(sides: int, turn: float = 0.0) -> Silhouette:
    """Regular polygon."""

    def radius(x: Array, y: Array) -> Array:
        angle = (np.arctan2(y, x) - turn) % (2 * np.pi / sides)
        return np.hypot(x, y) * np.cos(angle - np.pi / sides) * 1.2

    return radius


def _ellipse(x: Array, y: Array) -> Array:
    return np.hypot(x, y / 0.6)


def _peanut(x: Array, y: Array) -> Array:
    """Two discs that touch."""
    return np.minimum(np.hypot(x - 0.52, y), np.hypot(x + 0.52, y)) / 0.55


def _star(x: Array, y: Array) -> Array:
    """Five pointed arms."""
    angle = np.abs((np.arctan2(y, x) / (2 * np.pi / 5)) % 1 - 0.5) * 2
    return np.hypot(x, y) / (0.4 + 0.75 * angle**1.5)


def _ring(x: Array, y: Array) -> Array:
    return 1 + (np.abs(np.hypot(x, y) - 0.75) - 0.25) / 0.5


def _crescent(x: Array, y: Array) -> Array:
    """Disc without a second disc beside its middle."""
    bite = np.hypot(x - 0.55, y) / 0.75
    return np.maximum(np.hypot(x, y), 2 - bite)


def _chevron(x: Array, y: Array) -> Array:
    """Two bars that meet in a point."""
    bent = 1 + (np.abs(y + 0.4 - 0.9 * np.abs(x)) - 0.3) / 0.5
    return np.maximum(bent, np.abs(x) / 0.95)


def _hourglass(x: Array, y: Array) -> Array:
    return np.maximum(np.abs(y), 1 + (np.abs(x) - np.abs(y) - 0.12) * 1.5)


def _dumb_bell(x: Array, y: Array) -> Array:
    """Three discs in a row."""
    discs = [np.hypot(x - shift, y) for shift in (-0.72, 0, 0.72)]
    return np.minimum.reduce(discs) / 0.36


def _frame(x: Array, y: Array) -> Array:
    """Square with a hole."""
    return 1 + (np.abs(np.maximum(np.abs(x), np.abs(y)) - 0.7) - 0.2) / 0.5


#: Class number to its outline, and what a person would call it.
CLASSES: tuple[tuple[str, Silhouette], ...] = (
    ('ellipse', _ellipse),
    ('peanut', _peanut),
    ('trefoil', _polar(3, 0.42)),
    ('cross', _boxes((0, 0, 1, 0.3), (0, 0, 0.3, 1))),
    ('star', _star),
    ('ring', _ring),
    ('crescent', _crescent),
)
#: Outlines of the pretext corpus, none of them a class.
PRETEXT: tuple[Silhouette, ...] = (
    _polygon(3),
    _polygon(4),
    _polygon(6),
    _boxes((0, 0, 1.1, 0.25)),
    _boxes((-0.6, 0, 0.28, 1), (0, 0.72, 0.88, 0.28)),  # L
    _boxes((0, -0.72, 1, 0.28), (0, 0.2, 0.28, 0.8)),  # T
    _boxes((-0.68, 0, 0.26, 0.9), (0.68, 0, 0.26, 0.9), (0, 0.7, 0.9, 0.26)),
    _boxes((-0.45, -0.45, 0.5, 0.4), (0.45, 0.45, 0.5, 0.4)),  # steps
    _boxes((-0.65, 0, 0.3, 0.9), (0.65, 0, 0.3, 0.9)),  # two bars
    _boxes(
        (0, 0.7, 1, 0.28), *((x, -0.1, 0.22, 0.9) for x in (-0.78, 0, 0.78))
    ),
    _polar(6, 0.55),
    _chevron,
    _hourglass,
    _boxes(
        (0, -0.75, 0.9, 0.25), (0, 0.75, 0.9, 0.25), (0, 0, 0.25, 0.8)
    ),  # I
    _dumb_bell,
    _frame,
)
