"""One pass, the default."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

from mmaction.structures import ActionDataSample

from mmgmp.models.forward_plans.base_plan import (
    BaseForwardPlan,
    Inputs,
    PlannedModel,
)
from mmgmp.models.forward_plans.statistics_noise import (
    check_statistics_noise,
    statistics_noise,
)
from mmgmp.registry import MODELS
from mmgmp.structures import MultiModalBatch


@MODELS.register_module()
class SinglePassPlan(BaseForwardPlan):
    """Encode, fuse and classify once.

    Args:
        dsu: Whether to disturb channel statistics around the last stage; see
            ``statistics_noise``. An option of JAT's later released code.

    Raises:
        ValueError: If an encoder does not allow ``dsu``.
    """

    def __init__(self, dsu: bool = False) -> None:
        self.dsu = dsu

    def check(self, model: PlannedModel) -> None:
        """Refuse a model that the plan cannot run; see the base class."""
        if self.dsu:
            check_statistics_noise(model.encoders)

    def run(
        self,
        model: PlannedModel,
        inputs: Inputs,
        data_samples: Sequence[ActionDataSample],
    ) -> MultiModalBatch:
        """Return the batch; see the base class."""
        noise = statistics_noise(model.encoders) if self.dsu else nullcontext()
        with noise:
            outputs = model.encode(inputs)
        return model.assemble(outputs, inputs, data_samples)
