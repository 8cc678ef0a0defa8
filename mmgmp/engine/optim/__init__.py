"""Optimizer wrappers and gradient strategies."""

from mmgmp.engine.optim import strategies
from mmgmp.engine.optim.amp_task_gradient_optim_wrapper import (
    AmpTaskGradientOptimWrapper,
)
from mmgmp.engine.optim.gmp_optim_wrapper import (
    AmpGMPOptimWrapper,
    GMPOptimWrapper,
)
from mmgmp.engine.optim.gmp_optim_wrapper_constructor import (
    GMPOptimWrapperConstructor,
)
from mmgmp.engine.optim.strategies.decoupled_modulation import (
    DecoupledModulation,
)
from mmgmp.engine.optim.strategies.task_projection import TaskProjection
from mmgmp.engine.optim.strategies.unified_modulation import (
    UnifiedModulation,
)
from mmgmp.engine.optim.task_gradient_optim_wrapper import (
    TaskGradientOptimWrapper,
)

__all__ = [
    'AmpGMPOptimWrapper',
    'AmpTaskGradientOptimWrapper',
    'DecoupledModulation',
    'GMPOptimWrapper',
    'GMPOptimWrapperConstructor',
    'TaskGradientOptimWrapper',
    'TaskProjection',
    'UnifiedModulation',
    'strategies',
]
