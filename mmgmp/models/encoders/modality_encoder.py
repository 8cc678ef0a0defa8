"""One modality's backbone, pooled to a vector."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from mmengine.logging import print_log
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mmgmp.models.encoders.checkpointing import checkpoint_contexts
from mmgmp.models.encoders.pretrained import (
    load_strictly,
    read_pretrained,
    read_weights,
)
from mmgmp.models.encoders.stages import StagedBackbone, split_stages
from mmgmp.registry import MODELS
from mmgmp.structures import FrozenState
from mmgmp.utils.checks import check_choice

#: Where the initial values of residual stage 4 come from.
LAYER4_INITS = ('pretrained', 'random')


@MODELS.register_module()
class ModalityEncoder(BaseModule):
    """Any backbone, average pooling, and a frozen lower part.

    ``forward`` is :meth:`forward_frozen` followed by
    :meth:`forward_trainable`. The frozen part keeps no graph; the trainable
    part can be called alone on what the frozen part returned.

    Args:
        backbone: Config of the backbone.
        frozen_stages: -1 trains everything, 0 freezes the stem, i the stem
            and residual stages 1..i with their lateral connections.
        frozen_norm_eval: Whether batch norms of the frozen part use their
            running statistics. False lets them use, and drift with, batch
            statistics, as the released codes do for video.
        feature_dropout: Drop probability on the pooled feature; the released
            codes use 0.5 for video and flow.
        channels_last: Store weights and activations channels-last, about
            twice as fast for 3D convolutions on a CPU. Signals have one
            layout only.
        with_cp: Recompute the trainable stages in the backward pass to save
            memory.
        out_channels: Width of the pooled feature, for backbones that do not
            tell it.
        pretrained: Local checkpoint of the backbone, or ``dict(checkpoint=...,
            prefix=...)`` to take the tensors whose names start with the
            prefix. Read when weights are initialised, hence in training only.
            Strict: every name and shape must match. None starts at random.
        layer4_init: ``'pretrained'``, or ``'random'`` to leave residual
            stage 4 at its initial values whatever ``pretrained`` holds for
            it. For sound a key mismatch in the released codes does so.
        init_cfg: As in MMEngine.

    Raises:
        ValueError: If ``frozen_stages`` is out of range, nothing is left to
            train, ``layer4_init`` is unknown, or the backbone has no stage 4,
            cannot be split or does not tell its width; when weights are
            initialised, if the checkpoint does not fit.
        FileNotFoundError: When weights are initialised, if there is no
            checkpoint.

    Example:
        >>> encoder = ModalityEncoder(
        ...     dict(type='ResNet', depth=18, in_channels=1),
        ...     frozen_stages=3)
        >>> encoder(torch.zeros(2, 1, 65, 60)).shape
        torch.Size([2, 512])

    Source: GMP (arXiv 2603.14175), implementation details: SlowFast for video
    (2304 features, fast pathway first) and ResNet-18 for audio (512).
    """

    def __init__(
        self,
        backbone: Mapping[str, Any],
        frozen_stages: int = -1,
        frozen_norm_eval: bool = True,
        feature_dropout: float = 0.0,
        channels_last: bool = False,
        with_cp: bool = False,
        out_channels: int | None = None,
        pretrained: str | Mapping[str, str] | None = None,
        layer4_init: str = 'pretrained',
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.backbone = MODELS.build(dict(backbone))
        self.pretrained = read_pretrained(pretrained)
        self.layer4_init = layer4_init
        self.frozen_stages = frozen_stages
        self.frozen_norm_eval = frozen_norm_eval
        self._clip_ndim = _input_ndim(self.backbone)
        self.channels_last = channels_last and self._clip_ndim > 3
        self.with_cp = with_cp
        self.dropout = nn.Dropout(feature_dropout)
        stages = split_stages(self.backbone)
        self._check(stages, out_channels)
        self.out_channels: int = out_channels or (
            stages.out_channels if stages else 0
        )
        for parameter in self._frozen_parameters():
            parameter.requires_grad = False
        if self.channels_last:
            self._to_channels_last()

    # -- weights ----------------------------------------------------------

    def init_weights(self) -> None:
        """Initialise at random, then load ``pretrained`` over it."""
        super().init_weights()
        if not self.pretrained:
            return
        stages = split_stages(self.backbone)
        is_random = self.layer4_init == 'random'
        kept = [
            (module, {k: v.clone() for k, v in module.state_dict().items()})
            for module in (stages.modules(4) if stages and is_random else ())
        ]
        source = self.pretrained['checkpoint']
        weights = read_weights(**self.pretrained)
        load_strictly(self.backbone, weights, source)
        for module, state in kept:
            module.load_state_dict(state)
        print_log(
            f'{type(self.backbone).__name__}: {len(weights)} tensors of '
            f'{source} loaded; layer4 is {self.layer4_init}',
            logger='current',
        )

    # -- forward ----------------------------------------------------------

    def forward(self, inputs: Tensor | FrozenState) -> Tensor:
        """Encode.

        Args:
            inputs: ``(N, C, T, H, W)``, ``(N, C, F, T)`` or ``(N, C, L)``,
                optionally with a dimension of several clips after ``N``; a
                backbone of 3D convolutions takes ``(N, C, F, T)`` as clips
                of one frame. Or what the frozen stages made of it before.

        Returns:
            Features ``(N, out_channels)``, averaged over clips.
        """
        return self.forward_trainable(self.forward_frozen(inputs))

    def forward_frozen(self, inputs: Tensor | FrozenState) -> tuple[Any, int]:
        """Run the frozen stages without a graph.

        Args:
            inputs: As in :meth:`forward`.

        Returns:
            The state between the parts, and the number of clips per sample;
            pass both on to :meth:`forward_trainable`.
        """
        if isinstance(inputs, FrozenState):
            return self._resumed(inputs)
        clips = 1
        if inputs.ndim == 4 and self._clip_ndim == 5:
            inputs = inputs.unsqueeze(2)
        if inputs.ndim > self._clip_ndim:
            clips = inputs.shape[1]
            inputs = inputs.flatten(0, 1)
        if self.channels_last:
            inputs = inputs.contiguous(memory_format=_layout(inputs.ndim))
        state: Any = inputs
        # Found anew each time: a copy of the model, or one whose batch norms
        # were converted, has other modules.
        stages = split_stages(self.backbone)
        if stages is not None:
            with torch.no_grad():
                for stage in range(self.frozen_stages + 1):
                    state = stages.run(state, stage)
        return state, clips

    def _resumed(self, stored: FrozenState) -> tuple[Any, int]:
        """Take up stored maps in the type and layout they were made in."""
        dtype = next(self.parameters()).dtype
        maps = [m.to(dtype) for m in stored.maps]
        if self.channels_last:
            maps = [m.contiguous(memory_format=_layout(m.ndim)) for m in maps]
        return (tuple(maps) if len(maps) > 1 else maps[0]), stored.clips

    def frozen_state_dict(self) -> dict[str, Tensor]:
        """Return the weights and statistics that the frozen part reads.

        Example:
            >>> backbone = dict(type='ResNet', depth=18, in_channels=1)
            >>> encoder = ModalityEncoder(backbone, frozen_stages=0)
            >>> sorted(encoder.frozen_state_dict())[0]
            'backbone.conv1.bn.bias'
        """
        owned = {
            id(value)
            for module in self._frozen_modules()
            for value in (*module.parameters(), *module.buffers())
        }
        named = (*self.named_parameters(), *self.named_buffers())
        return {
            name: value.detach()
            for name, value in named
            if id(value) in owned and not name.endswith('num_batches_tracked')
        }

    def forward_trainable(self, state: tuple[Any, int]) -> Tensor:
        """Run the trainable stages, pool, and average the clips.

        Args:
            state: What :meth:`forward_frozen` returned.

        Returns:
            Features ``(N, out_channels)`` in at least float32.
        """
        maps, clips = state
        stages = split_stages(self.backbone)
        if stages is None:
            maps = self.backbone(maps)
        else:
            for stage in range(self.frozen_stages + 1, stages.num_stages + 1):
                if self.with_cp and self.training:
                    modules = stages.modules(stage)
                    maps = checkpoint(
                        stages.run,
                        maps,
                        stage,
                        use_reentrant=False,
                        context_fn=partial(checkpoint_contexts, modules),
                    )
                else:
                    maps = stages.run(maps, stage)
        feature = _pool(maps)
        if clips > 1:
            feature = feature.unflatten(0, (-1, clips)).mean(1)
        dropped: Tensor = self.dropout(feature)
        return dropped

    # -- modes ------------------------------------------------------------

    def train(self, mode: bool = True) -> ModalityEncoder:
        """Set the mode, keeping frozen batch norms in eval mode.

        Args:
            mode: Whether to train.
        """
        super().train(mode)
        if mode and self.frozen_norm_eval:
            for module in self._frozen_modules():
                module.eval()
        return self

    def _frozen_modules(self) -> list[nn.Module]:
        stages = split_stages(self.backbone)
        if stages is None:
            return []
        return [
            module
            for stage in range(self.frozen_stages + 1)
            for module in stages.modules(stage)
        ]

    def _frozen_parameters(self) -> list[nn.Parameter]:
        return [p for m in self._frozen_modules() for p in m.parameters()]

    def _to_channels_last(self) -> None:
        for parameter in self.backbone.parameters():
            if parameter.ndim in (4, 5):
                parameter.data = parameter.data.contiguous(
                    memory_format=_layout(parameter.ndim)
                )

    def _check(
        self, stages: StagedBackbone | None, out_channels: int | None
    ) -> None:
        self._check_layer4(stages)
        name = type(self.backbone).__name__
        if stages is None:
            if self.frozen_stages >= 0:
                raise ValueError(
                    'frozen_stages needs a ResNet, ResNet3d, SlowOnly, '
                    f'SlowFast or WDCNN backbone, got {name}; set '
                    'frozen_stages=-1 in the encoder and freeze inside the '
                    'backbone'
                )
            if out_channels is None:
                raise ValueError(
                    f'out_channels must be given for the backbone {name}; '
                    'set out_channels of the encoder to the width of its '
                    'pooled feature'
                )
        elif not -1 <= self.frozen_stages < stages.num_stages:
            raise ValueError(
                f'frozen_stages must be in -1..{stages.num_stages - 1}, got '
                f'{self.frozen_stages}, which leaves no stage of the {name} '
                'to train; lower frozen_stages of the encoder or drop the '
                'modality from model.encoders'
            )

    def _check_layer4(self, stages: StagedBackbone | None) -> None:
        check_choice(
            'layer4_init',
            self.layer4_init,
            LAYER4_INITS,
            'correct model.encoders.<modality>.layer4_init',
        )
        has_layer4 = stages is not None and stages.num_stages >= 4
        if self.layer4_init == 'random' and not has_layer4:
            raise ValueError(
                "layer4_init='random' needs a backbone with residual stages 1 "
                f'to 4, got {type(self.backbone).__name__}; set '
                "layer4_init='pretrained' in the encoder"
            )


def _layout(ndim: int) -> torch.memory_format:
    return torch.channels_last_3d if ndim == 5 else torch.channels_last


def _input_ndim(backbone: nn.Module) -> int:
    """Number of dimensions of a batch of single clips."""
    for module in backbone.modules():
        if isinstance(module, nn.Conv3d):
            return 5
        if isinstance(module, nn.Conv2d):
            return 4
        if isinstance(module, nn.Conv1d):
            return 3
    return 5


def _pool(maps: Tensor | tuple[Tensor, ...]) -> Tensor:
    """Average over everything but channels, fast pathway first."""
    if isinstance(maps, tuple):
        return torch.cat([_pool(m) for m in reversed(maps)], dim=1)
    if maps.dtype in (torch.float16, torch.bfloat16):
        maps = maps.float()
    return maps.flatten(2).mean(2) if maps.ndim > 2 else maps
