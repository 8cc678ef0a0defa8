"""The task-gradient wrappers with GMP's own rule as the default."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from mmgmp.engine.optim.amp_task_gradient_optim_wrapper import (
    AmpTaskGradientOptimWrapper,
)
from mmgmp.engine.optim.strategies.base import Modulation, Projection
from mmgmp.engine.optim.strategies.decoupled_modulation import (
    DecoupledModulation,
)
from mmgmp.engine.optim.strategies.task_projection import TaskProjection
from mmgmp.engine.optim.task_gradient_optim_wrapper import (
    TaskGradientOptimWrapper,
)
from mmgmp.registry import OPTIM_WRAPPERS

_DEFAULT = 'gmp'


@OPTIM_WRAPPERS.register_module()
class GMPOptimWrapper(TaskGradientOptimWrapper):
    """Gradient modulation projection: IGDM, then CAGP.

    Args:
        optimizer: The optimizer of the whole model.
        modulation: ``'gmp'`` for :class:`DecoupledModulation` with its
            defaults, otherwise as in the base class; None is off.
        projection: ``'gmp'`` for :class:`TaskProjection` with its defaults,
            otherwise as in the base class; None is off.
        **kwargs: Arguments of :class:`TaskGradientOptimWrapper`.

    Example:
        >>> w = torch.nn.Parameter(torch.ones(1))
        >>> wrapper = GMPOptimWrapper(torch.optim.Adam([w], lr=1e-4))
        >>> type(wrapper.modulation).__name__, wrapper.projection.rule
        ('DecoupledModulation', 'cagp')

    Source: GMP (arXiv 2603.14175), Eq. (8)-(15).
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        modulation: Mapping[str, Any] | Modulation | str | None = _DEFAULT,
        projection: Mapping[str, Any] | Projection | str | None = _DEFAULT,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            optimizer,
            _default_modulation(modulation),
            _default_projection(projection),
            **kwargs,
        )


@OPTIM_WRAPPERS.register_module()
class AmpGMPOptimWrapper(AmpTaskGradientOptimWrapper):
    """Mixed-precision twin of :class:`GMPOptimWrapper`.

    Args:
        modulation: As in :class:`GMPOptimWrapper`.
        projection: As in :class:`GMPOptimWrapper`.
        **kwargs: Arguments of :class:`AmpTaskGradientOptimWrapper`.
    """

    def __init__(
        self,
        modulation: Mapping[str, Any] | Modulation | str | None = _DEFAULT,
        projection: Mapping[str, Any] | Projection | str | None = _DEFAULT,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            modulation=_default_modulation(modulation),
            projection=_default_projection(projection),
            **kwargs,
        )


def _default_modulation(value: Any) -> Any:
    return DecoupledModulation() if value == _DEFAULT else value


def _default_projection(value: Any) -> Any:
    return TaskProjection() if value == _DEFAULT else value
