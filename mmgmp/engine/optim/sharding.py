"""What cannot be trained by whole gradients."""

from __future__ import annotations

_SHARDED = (
    'DeepSpeedEngine',
    'FSDPModule',
    'FullyShardedDataParallel',
    'MMDeepSpeedEngineWrapper',
    'ZeroRedundancyOptimizer',
)


def refuse_sharding(wrapper: object, part: object) -> None:
    """Refuse a model or an optimizer that is spread over ranks.

    Args:
        wrapper: Who asks, for the message.
        part: The model or the optimizer.

    Raises:
        NotImplementedError: If it is.
    """
    for kind in type(part).__mro__:
        if kind.__name__ in _SHARDED:
            raise NotImplementedError(
                f'{type(wrapper).__name__} needs whole parameters, '
                'gradients and optimizer states on every rank, got '
                f'{kind.__name__}; use '
                'model_wrapper_cfg=dict(type="MMDistributedDataParallel")'
                ', strategy=None and an ordinary optimizer'
            )
