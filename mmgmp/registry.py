"""MMAction2's registries, with the rooms of this package behind them.

Every class of this package joins a registry of MMAction2, so configs need no
prefix and the stock scripts build them. ``MODULATIONS`` and ``PROJECTIONS``
are the two registries that MMAction2 does not have.

MMEngine imports the ``locations`` of a registry when a name is first looked
up. The rooms are appended there, which keeps ``import mmgmp`` light and lets
``custom_imports=dict(imports=['mmgmp'])`` be all that a config says.

Example:
    >>> from mmgmp.registry import PROJECTIONS
    >>> PROJECTIONS.scope
    'mmaction'
"""

from __future__ import annotations

from mmaction.registry import (
    DATA_SAMPLERS,
    DATASETS,
    EVALUATOR,
    HOOKS,
    INFERENCERS,
    LOG_PROCESSORS,
    LOOPS,
    METRICS,
    MODEL_WRAPPERS,
    MODELS,
    OPTIM_WRAPPER_CONSTRUCTORS,
    OPTIM_WRAPPERS,
    OPTIMIZERS,
    PARAM_SCHEDULERS,
    RUNNERS,
    TASK_UTILS,
    TRANSFORMS,
    VISBACKENDS,
    VISUALIZERS,
)
from mmengine.registry import Registry

from mmgmp.utils.compat.private_names import add_registry_location

__all__ = [
    'DATASETS',
    'DATA_SAMPLERS',
    'EVALUATOR',
    'HOOKS',
    'INFERENCERS',
    'LOG_PROCESSORS',
    'LOOPS',
    'METRICS',
    'MODELS',
    'MODEL_WRAPPERS',
    'MODULATIONS',
    'OPTIMIZERS',
    'OPTIM_WRAPPERS',
    'OPTIM_WRAPPER_CONSTRUCTORS',
    'PARAM_SCHEDULERS',
    'PROJECTIONS',
    'RUNNERS',
    'TASK_UTILS',
    'TRANSFORMS',
    'VISBACKENDS',
    'VISUALIZERS',
    'add_location',
]

# A registry without a scope of its own would log a warning at every build.
MODULATIONS = Registry('modulation', scope='mmaction', locations=[])
PROJECTIONS = Registry('projection', scope='mmaction', locations=[])

_ROOMS: dict[str, tuple[Registry, ...]] = {
    'mmgmp.models': (MODELS, TASK_UTILS),
    'mmgmp.engine': (
        HOOKS,
        LOG_PROCESSORS,
        LOOPS,
        MODULATIONS,
        OPTIM_WRAPPERS,
        OPTIM_WRAPPER_CONSTRUCTORS,
        PROJECTIONS,
        RUNNERS,
    ),
    'mmgmp.datasets': (DATASETS, DATA_SAMPLERS, TRANSFORMS),
    'mmgmp.evaluation': (METRICS,),
    'mmgmp.apis': (INFERENCERS,),
}


def add_location(registry: Registry, module: str) -> None:
    """Let ``registry`` import ``module`` before its next look-up.

    MMEngine walks the locations once only. A registry that has already been
    asked for a name, as in a notebook that used MMAction2 first, is therefore
    told to walk them again; modules imported before cost nothing then.

    Args:
        registry: Registry of MMAction2 or of this package.
        module: Full dotted name; importing it registers its classes.

    Example:
        >>> from mmengine.registry import Registry
        >>> toys = Registry('toy', scope='mmaction', locations=[])
        >>> add_location(toys, 'mmgmp.version')
        >>> toys.get('no_such_toy') is None  # the module is imported here
        True
    """
    add_registry_location(registry, module)


for _room, _registries in _ROOMS.items():
    for _registry in _registries:
        add_location(_registry, _room)
