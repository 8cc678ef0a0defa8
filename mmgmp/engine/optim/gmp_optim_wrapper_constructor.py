"""Builds our wrappers under MMEngine's two stock type names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.optim import DefaultOptimWrapperConstructor

from mmgmp.registry import OPTIM_WRAPPER_CONSTRUCTORS

# With the scope, so that it is found whatever the default scope is.
_TWINS = {
    'OptimWrapper': 'mmaction.GMPOptimWrapper',
    'AmpOptimWrapper': 'mmaction.AmpGMPOptimWrapper',
}


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class GMPOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Map ``OptimWrapper`` and ``AmpOptimWrapper`` to the GMP wrappers.

    MMAction2's ``tools/train.py --amp`` accepts those two type names only.
    With this constructor a config keeps the stock name and gets
    :class:`GMPOptimWrapper`, or its mixed-precision twin with ``--amp``. Any
    other type is built as it is.

    Args:
        optim_wrapper_cfg: The ``optim_wrapper`` of the config without its
            ``constructor``.
        paramwise_cfg: As in ``DefaultOptimWrapperConstructor``.

    Example:
        >>> constructor = GMPOptimWrapperConstructor(dict(
        ...     type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-4)))
        >>> import torch
        >>> type(constructor(torch.nn.Linear(1, 1))).__name__
        'GMPOptimWrapper'
    """

    def __init__(
        self,
        optim_wrapper_cfg: Mapping[str, Any],
        paramwise_cfg: dict[str, Any] | None = None,
    ) -> None:
        config = dict(optim_wrapper_cfg)
        kind = config.get('type', 'OptimWrapper')
        config['type'] = _TWINS.get(kind, kind)
        super().__init__(config, paramwise_cfg)
