"""What stands where a config switches a part off."""

from __future__ import annotations

from torch import Tensor

from mmgmp.engine.optim.strategies.base import (
    Modulation,
    Projection,
    identity_coefficients,
)
from mmgmp.structures import (
    BatchSignals,
    Coefficients,
    GradientProducts,
    Task,
)


class NoModulation(Modulation):
    """All factors are one; ``modulation=None`` in a config.

    Example:
        >>> NoModulation().shared_tasks == frozenset(Task)
        True
    """

    shared_tasks = frozenset(Task)

    def coefficients(self, signals: BatchSignals) -> Coefficients:
        """Return ones."""
        return identity_coefficients(signals)

    def report(self, coefficients: Coefficients) -> dict[str, Tensor]:
        """Return nothing: no decision was made."""
        del coefficients
        return {}


class NoProjection(Projection):
    """Gradients are added, conflict or not; ``projection=None``.

    Where a modulation keeps the two tasks apart anyway, conflicts are
    reported all the same.

    Example:
        >>> NoProjection().is_active(epoch=3), NoProjection().apart
        (False, ())
    """

    @property
    def apart(self) -> tuple[Task, ...]:
        """No task needs to be known apart."""
        return ()

    def is_active(self, epoch: int) -> bool:
        """Return that it never acts."""
        del epoch
        return False

    def project(
        self,
        products: GradientProducts,
        coefficients: Coefficients,
        signals: BatchSignals,
    ) -> tuple[Coefficients, Tensor]:
        """Return the factors as they are, and where the raw tasks conflict."""
        del signals
        return coefficients, products.cross < 0
