"""The interface of a fusion."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

from mmengine.model import BaseModule
from torch import Tensor

from mmgmp.utils.checks import check_choice


class BaseFusion(BaseModule):
    """Turn the features of all modalities into one tensor.

    Nothing in a fusion may depend on other samples of the batch: the
    per-modality contributions evaluate it on batches of zeros.

    Args:
        in_channels: Feature width D_m per modality, in modality order; the
            recognizer fills it in.
        init_cfg: As in MMEngine.

    Raises:
        ValueError: If the fusion is not defined for these modalities.
    """

    #: Registered contribution used unless the model names one.
    default_contribution = 'MaskedContribution'
    #: Width of the fused feature, set by the constructor.
    out_channels: int

    def __init__(
        self,
        in_channels: Mapping[str, int],
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if not in_channels:
            raise ValueError(
                'in_channels must name at least one modality, got none; set '
                'model.encoders'
            )
        self.in_channels = dict(in_channels)

    @abstractmethod
    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        """Fuse.

        Args:
            features: ``(N, D_m)`` per modality.

        Returns:
            Tensor of shape ``(N, out_channels)``.
        """

    def modality_parameters(self) -> dict[str, list]:
        """Parameters of the layers that read one modality's feature."""
        return {modality: [] for modality in self.in_channels}

    def _check_pair(self, key: str, chosen: str) -> str:
        """Check a two-modality fusion and return the other modality."""
        modalities = list(self.in_channels)
        if len(modalities) != 2:
            raise ValueError(
                f'{type(self).__name__} is defined for exactly two '
                f'modalities, got {modalities}; use '
                "model.fusion=dict(type='ConcatFusion') or 'SumFusion'"
            )
        check_choice(key, chosen, modalities, f'set model.fusion.{key}')
        return modalities[1 - modalities.index(chosen)]
