"""How a batch is passed through the model; every file registers itself."""

from mmgmp.models.forward_plans.base_plan import BaseForwardPlan
from mmgmp.utils.import_submodules import import_submodules

__all__ = ['BaseForwardPlan']

import_submodules(__name__, __path__)
