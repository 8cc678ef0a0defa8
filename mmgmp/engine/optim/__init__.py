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
from mmgmp.engine.optim.strategies.agm_modulation import AGMModulation
from mmgmp.engine.optim.strategies.anchor_modulation import AnchorModulation
from mmgmp.engine.optim.strategies.arl_modulation import ARLModulation
from mmgmp.engine.optim.strategies.balgrad_projection import (
    BalGradProjection,
)
from mmgmp.engine.optim.strategies.cggm_modulation import CGGMModulation
from mmgmp.engine.optim.strategies.decoupled_modulation import (
    DecoupledModulation,
)
from mmgmp.engine.optim.strategies.disentangled_modulation import (
    DisentangledModulation,
)
from mmgmp.engine.optim.strategies.gramian_projection import (
    GramianProjection,
)
from mmgmp.engine.optim.strategies.mwam_modulation import MWAMModulation
from mmgmp.engine.optim.strategies.ogm_modulation import OGMModulation
from mmgmp.engine.optim.strategies.pareto_projection import ParetoProjection
from mmgmp.engine.optim.strategies.task_projection import TaskProjection
from mmgmp.engine.optim.strategies.unified_modulation import (
    UnifiedModulation,
)
from mmgmp.engine.optim.task_gradient_optim_wrapper import (
    TaskGradientOptimWrapper,
)

__all__ = [
    'AGMModulation',
    'ARLModulation',
    'AmpGMPOptimWrapper',
    'AmpTaskGradientOptimWrapper',
    'AnchorModulation',
    'BalGradProjection',
    'CGGMModulation',
    'DecoupledModulation',
    'DisentangledModulation',
    'GMPOptimWrapper',
    'GMPOptimWrapperConstructor',
    'GramianProjection',
    'MWAMModulation',
    'OGMModulation',
    'ParetoProjection',
    'TaskGradientOptimWrapper',
    'TaskProjection',
    'UnifiedModulation',
    'strategies',
]
