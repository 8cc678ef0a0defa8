"""Losses of test-time adaptation, which know no labels."""

from mmgmp.models.adaptation.entropy_losses import (
    AEOLoss,
    READLoss,
    TentLoss,
)

__all__ = ['AEOLoss', 'READLoss', 'TentLoss']
