"""One pass, the default."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmaction.structures import ActionDataSample

from mmgmp.models.forward_plans.base_plan import (
    BaseForwardPlan,
    Inputs,
    PlannedModel,
)
from mmgmp.models.forward_plans.statistics_noise import (
    build_noise,
    disturbed,
)
from mmgmp.registry import MODELS
from mmgmp.structures import MultiModalBatch


@MODELS.register_module()
class SinglePassPlan(BaseForwardPlan):
    """Encode, fuse and classify once.

    Args:
        noise: Config of a noise on channel statistics: :class:`DSU`, an
            option of JAT's later released code, or :class:`MixStyle`.

    Raises:
        ValueError: If an encoder does not allow the noise.
    """

    def __init__(self, noise: Mapping[str, Any] | None = None) -> None:
        self.noise = build_noise(noise)
        self.allows_missing = self.noise is None or self.noise.allows_missing

    def check(self, model: PlannedModel) -> None:
        """Refuse a model that the plan cannot run; see the base class."""
        if self.noise is not None:
            self.noise.check(model.encoders)

    def run(
        self,
        model: PlannedModel,
        inputs: Inputs,
        data_samples: Sequence[ActionDataSample],
    ) -> MultiModalBatch:
        """Return the batch; see the base class."""
        with disturbed(self.noise, model.encoders, data_samples):
            outputs = model.encode(inputs)
        return model.assemble(outputs, inputs, data_samples)
