"""Figures: arrays in, figure out."""

from __future__ import annotations

from mmgmp.visualization.training_curves import (
    plot_ratio_curves,
    plot_training_curves,
)

__all__ = ['plot_ratio_curves', 'plot_training_curves']
