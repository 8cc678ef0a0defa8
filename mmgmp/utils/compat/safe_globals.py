"""Let PyTorch's safe loader read MMEngine's own checkpoints.

Since PyTorch 2.6 ``torch.load`` builds only what is on an allow-list, and
MMEngine 0.10.7 calls it with that default, so resuming and testing refuse
MMEngine's own files (mmengine issue 1655). The cure is to name the harmless
classes that they hold, never to switch the check off.
"""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

_HISTORY_METHODS = ('min', 'max', 'current', 'mean')
_ANNEALING_FUNCTIONS = ('_annealing_cos', '_annealing_linear')
_SCHEDULERS = 'mmengine.optim.scheduler.param_scheduler'
_NUMPY_DTYPES = '?bhilqBHILQefd'


class OneCycleStandIn:
    """What a checkpoint gets for the name ``OneCycleParamScheduler``.

    Only :func:`restricted_getattr` knows what to do with it. The real class
    is imported when a checkpoint asks for it: MMEngine's optimizers would
    double the time of ``import mmgmp``.
    """


def restricted_getattr(owner: Any, name: str) -> Any:
    """Answer for ``getattr`` inside a checkpoint, for six functions only.

    ``HistoryBuffer`` pickles its own methods and the one-cycle scheduler its
    annealing function; both arrive as a call of ``builtins.getattr``. The
    real one would reach any attribute of any allowed object.

    Args:
        owner: Object that the checkpoint names.
        name: Attribute that it asks for.

    Returns:
        The function.

    Raises:
        pickle.UnpicklingError: For every other pair.

    Example:
        >>> restricted_getattr(HistoryBuffer, 'mean').__name__
        'mean'
    """
    if owner is HistoryBuffer and name in _HISTORY_METHODS:
        return getattr(HistoryBuffer, name)
    if owner is OneCycleStandIn and name in _ANNEALING_FUNCTIONS:
        from mmengine.optim import OneCycleParamScheduler

        return getattr(OneCycleParamScheduler, name)
    raise pickle.UnpicklingError(
        f'a checkpoint may ask for {_HISTORY_METHODS} of HistoryBuffer and '
        f'{_ANNEALING_FUNCTIONS} of OneCycleParamScheduler only, got '
        f'{name!r} of {owner!r}; do not load this file unless you made it'
    )


def _allowed_globals() -> list[Any]:
    """List the classes and functions, with the names they are pickled as."""
    reconstruct = np.empty(0).__reduce__()[0]
    scalar = np.float64(0).__reduce__()[0]
    numpy_functions = [
        (function, f'numpy.{core}.multiarray.{name}')
        for core in ('core', '_core')
        for function, name in (
            (reconstruct, '_reconstruct'),
            (scalar, 'scalar'),
        )
    ]
    # A set: on most platforms 'l' and 'q' are one class.
    dtypes = {type(np.dtype(code)) for code in _NUMPY_DTYPES}
    return [
        HistoryBuffer,
        np.ndarray,
        np.dtype,
        *dtypes,
        *numpy_functions,
        (restricted_getattr, 'builtins.getattr'),
        (OneCycleStandIn, f'{_SCHEDULERS}.OneCycleParamScheduler'),
    ]


def allow_mmengine_checkpoints() -> None:
    """Add what MMEngine's checkpoints hold to PyTorch's allow-list.

    Example:
        >>> allow_mmengine_checkpoints()
    """
    torch.serialization.add_safe_globals(_allowed_globals())
