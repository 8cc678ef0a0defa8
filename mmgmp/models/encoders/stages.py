"""Run a backbone stage by stage."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from mmaction.models.backbones import ResNet, ResNet3d, ResNet3dSlowFast
from torch import Tensor, nn
from torch.nn import functional as F

from mmgmp.models.backbones import WDCNN


class StagedBackbone(ABC):
    """A backbone cut into a stem (stage 0) and stages 1, 2, ...

    Running all stages in order gives what the backbone's own ``forward``
    returns for its last stage; nothing of the network is written again.

    Args:
        backbone: The backbone.
    """

    def __init__(self, backbone: nn.Module) -> None:
        self.backbone: Any = backbone

    @property
    @abstractmethod
    def num_stages(self) -> int:
        """Number of stages behind the stem."""

    @abstractmethod
    def modules(self, stage: int) -> list[nn.Module]:
        """Return the modules of a stage, for freezing."""

    @abstractmethod
    def run(self, state: Any, stage: int) -> Any:
        """Run one stage.

        Args:
            state: The input for stage 0, else what the stage before
                returned.
            stage: ``0..num_stages``.
        """

    @property
    @abstractmethod
    def out_channels(self) -> int:
        """Width of the pooled feature."""


class PlainStages(StagedBackbone):
    """ResNet, ResNet3d and SlowOnly: one pathway."""

    @property
    def num_stages(self) -> int:
        """Number of residual stages."""
        return len(self.backbone.res_layers)

    @property
    def out_channels(self) -> int:
        """Width of the pooled feature."""
        return int(self.backbone.feat_dim)

    def modules(self, stage: int) -> list[nn.Module]:
        """Return the modules of a stage, for freezing."""
        name = self.backbone.res_layers[stage - 1] if stage else 'conv1'
        return [getattr(self.backbone, name)]

    def run(self, state: Tensor, stage: int) -> Tensor:
        """Run one stage; see the base class."""
        backbone = self.backbone
        for module in self.modules(stage):
            state = module(state)
        if stage == 0 and getattr(backbone, 'with_pool1', True):
            state = backbone.maxpool(state)
        # Halves time; of one frame, as a spectrogram is, nothing is left.
        has_pool2 = stage == 1 and getattr(backbone, 'with_pool2', False)
        if has_pool2 and state.shape[2] > 1:
            state = backbone.pool2(state)
        return state


class SlowFastStages(StagedBackbone):
    """SlowFast: two pathways and the lateral connections between them."""

    @property
    def num_stages(self) -> int:
        """Number of residual stages."""
        return len(self.backbone.slow_path.res_layers)

    @property
    def out_channels(self) -> int:
        """Width of the pooled feature, both pathways together."""
        return int(
            self.backbone.slow_path.feat_dim + self.backbone.fast_path.feat_dim
        )

    def modules(self, stage: int) -> list[nn.Module]:
        """Return the modules of a stage, for freezing."""
        slow, fast = self.backbone.slow_path, self.backbone.fast_path
        name = slow.res_layers[stage - 1] if stage else 'conv1'
        modules = [getattr(slow, name), getattr(fast, name)]
        lateral = self._lateral(stage)
        return modules if lateral is None else [*modules, lateral]

    def run(self, state: Any, stage: int) -> tuple[Tensor, Tensor]:
        """Run one stage; the state is (slow, fast) after the stem."""
        backbone = self.backbone
        if stage == 0:
            rate = backbone.resample_rate
            state = (
                _subsample(state, rate),
                _subsample(state, rate // backbone.speed_ratio),
            )
        slow_module, fast_module, *_ = self.modules(stage)
        slow, fast = slow_module(state[0]), fast_module(state[1])
        if stage == 0:
            slow = backbone.slow_path.maxpool(slow)
            fast = backbone.fast_path.maxpool(fast)
        lateral = self._lateral(stage)
        if lateral is not None:
            slow = torch.cat((slow, lateral(fast)), dim=1)
        return slow, fast

    def _lateral(self, stage: int) -> nn.Module | None:
        slow = self.backbone.slow_path
        if not slow.lateral or stage == self.num_stages:
            return None
        name = slow.lateral_connections[stage - 1] if stage else None
        module: nn.Module = (
            slow.conv1_lateral if name is None else getattr(slow, name)
        )
        return module


class BlockStages(StagedBackbone):
    """WDCNN: one block per stage."""

    @property
    def num_stages(self) -> int:
        """Number of blocks behind the stem."""
        return len(self.backbone.blocks) - 1

    @property
    def out_channels(self) -> int:
        """Width of the pooled feature."""
        return int(self.backbone.feat_dim)

    def modules(self, stage: int) -> list[nn.Module]:
        """Return the modules of a stage, for freezing."""
        return [self.backbone.blocks[stage]]

    def run(self, state: Tensor, stage: int) -> Tensor:
        """Run one stage; see the base class."""
        maps: Tensor = self.backbone.run_stage(state, stage)
        return maps


def _subsample(clip: Tensor, stride: int) -> Tensor:
    """Keep every ``stride``-th frame, as the backbone does."""
    return F.interpolate(
        clip, mode='nearest', scale_factor=(1.0 / stride, 1.0, 1.0)
    )


def split_stages(backbone: nn.Module) -> StagedBackbone | None:
    """Return the stages of a known backbone family, else None.

    Args:
        backbone: Any backbone.

    Example:
        >>> split_stages(ResNet(depth=18, in_channels=1)).num_stages
        4
    """
    if isinstance(backbone, ResNet3dSlowFast):
        return SlowFastStages(backbone)
    if isinstance(backbone, (ResNet, ResNet3d)):
        return PlainStages(backbone)
    if isinstance(backbone, WDCNN):
        return BlockStages(backbone)
    return None
