"""WDCNN: a small one-dimensional network for raw signals."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from mmengine.model import BaseModule
from torch import Tensor, nn

from mmgmp.registry import MODELS


@MODELS.register_module()
class WDCNN(BaseModule):
    """Deep convolutional network with wide first-layer kernels.

    A convolution over 64 samples in steps of 16, which acts as a learned
    filter bank, then convolutions over 3; behind each of them batch norm,
    ReLU, and a maximum over pairs. The first is the stem (stage 0 of
    ``ModalityEncoder.frozen_stages``), the others are stages 1, 2, ...

    The published network flattens its last maps into a layer of 100 units;
    here the encoder averages them, so that windows of any length will do
    [choice].

    Args:
        in_channels: Channels of the signal, such as the axes of an
            accelerometer.
        channels: Width of the stem and of each stage behind it.
        kernel_size: Width of the first convolution, in samples.
        stride: Step of the first convolution, in samples.
        init_cfg: As in MMEngine; PyTorch's initial values by default.

    Raises:
        ValueError: If ``channels`` is empty, a number is not positive, or
            ``kernel_size`` is smaller than ``stride``; in ``forward``, if a
            signal has other channels or is too short for the last stage.

    Example:
        >>> import torch
        >>> WDCNN(in_channels=3)(torch.zeros(2, 3, 2048)).shape
        torch.Size([2, 64, 3])

    Source: Zhang et al., "A New Deep Learning Model for Fault Diagnosis with
    Good Anti-Noise and Domain Adaptation Ability on Raw Vibration Signals",
    Sensors 17(2):425, 2017, Table 2; the last convolution is not padded.
    """

    def __init__(
        self,
        in_channels: int = 1,
        channels: Sequence[int] = (16, 32, 64, 64, 64),
        kernel_size: int = 64,
        stride: int = 16,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        _check(in_channels, channels, kernel_size, stride)
        self.in_channels = in_channels
        self.feat_dim = channels[-1]
        # Width, step and padding of each convolution; the last has no padding.
        stem = (kernel_size, stride, (kernel_size - stride) // 2)
        shapes = [stem, *[(3, 1, 1)] * (len(channels) - 1)]
        if len(channels) > 1:
            shapes[-1] = (3, 1, 0)
        widths = pairwise([in_channels, *channels])
        self.blocks = nn.ModuleList(
            _block(before, behind, *shape)
            for (before, behind), shape in zip(widths, shapes, strict=True)
        )
        #: Shortest signal of which the last stage leaves something.
        self.min_samples = _min_samples(shapes)

    def forward(self, inputs: Tensor) -> Tensor:
        """Encode.

        Args:
            inputs: ``(N, C, L)``.

        Returns:
            Maps ``(N, channels[-1], L')``.
        """
        for stage in range(len(self.blocks)):
            inputs = self.run_stage(inputs, stage)
        return inputs

    def run_stage(self, state: Tensor, stage: int) -> Tensor:
        """Run the stem (stage 0) or one stage behind it.

        Args:
            state: The signal for stage 0, else what the stage before
                returned.
            stage: ``0..len(channels) - 1``.
        """
        if stage == 0:
            self._check_signal(state)
        maps: Tensor = self.blocks[stage](state)
        return maps

    def _check_signal(self, signal: Tensor) -> None:
        channels, length = signal.shape[-2:]
        if signal.ndim != 3 or channels != self.in_channels:
            raise ValueError(
                f'WDCNN takes signals (N, {self.in_channels}, L), got '
                f'{tuple(signal.shape)}; set in_channels of '
                'model.encoders.<modality>.backbone, or channels of '
                'LoadSignalWindow'
            )
        if length < self.min_samples:
            raise ValueError(
                f'WDCNN of {len(self.blocks)} blocks needs windows of at '
                f'least {self.min_samples} samples, got {length}; convert '
                'with a longer --window, or shorten channels of '
                'model.encoders.<modality>.backbone'
            )


def _min_samples(shapes: Sequence[tuple[int, int, int]]) -> int:
    """Go back from one position behind the last maximum."""
    length = 1
    for kernel, stride, padding in reversed(shapes):
        length = (2 * length - 1) * stride + kernel - 2 * padding
    return length


def _block(
    before: int, behind: int, kernel: int, stride: int, padding: int
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv1d(before, behind, kernel, stride, padding),
        nn.BatchNorm1d(behind),
        nn.ReLU(inplace=True),
        nn.MaxPool1d(2),
    )


def _check(
    in_channels: int, channels: Sequence[int], kernel_size: int, stride: int
) -> None:
    numbers = (in_channels, stride, *channels)
    if not channels or min(numbers) < 1 or kernel_size < stride:
        raise ValueError(
            'WDCNN needs in_channels, stride and all of channels >= 1 and '
            f'kernel_size >= stride, got in_channels={in_channels}, '
            f'channels={list(channels)}, kernel_size={kernel_size} and '
            f'stride={stride}; correct model.encoders.<modality>.backbone'
        )
