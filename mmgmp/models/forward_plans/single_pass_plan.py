"""One pass, the default."""

from __future__ import annotations

from collections.abc import Sequence

from mmaction.structures import ActionDataSample

from mmgmp.models.forward_plans.base_plan import (
    BaseForwardPlan,
    Inputs,
    PlannedModel,
)
from mmgmp.registry import MODELS
from mmgmp.structures import MultiModalBatch


@MODELS.register_module()
class SinglePassPlan(BaseForwardPlan):
    """Encode, fuse and classify once."""

    def run(
        self,
        model: PlannedModel,
        inputs: Inputs,
        data_samples: Sequence[ActionDataSample],
    ) -> MultiModalBatch:
        """Return the batch; see the base class."""
        return model.assemble(model.encode(inputs), inputs, data_samples)
