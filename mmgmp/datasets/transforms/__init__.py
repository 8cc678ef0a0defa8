"""Transforms: decode and listen, shape, augment and pack."""

from __future__ import annotations

from mmgmp.datasets.transforms.audio_loading import LoadAudioSegment
from mmgmp.datasets.transforms.corruptions import (
    CorruptAudio,
    CorruptedPipeline,
    CorruptVideo,
)
from mmgmp.datasets.transforms.flow import (
    LoadFlowFrames,
    PyAVSeekFlowDecode,
    PyAVSeekFlowInit,
    StackFlow,
)
from mmgmp.datasets.transforms.multi_modal_pipeline import MultiModalPipeline
from mmgmp.datasets.transforms.multi_view import MultiViewPipeline
from mmgmp.datasets.transforms.pack_multi_modal_inputs import (
    PackMultiModalInputs,
)
from mmgmp.datasets.transforms.pyav_seek import PyAVSeekDecode, PyAVSeekInit
from mmgmp.datasets.transforms.seeded_views import CachedViews, SeededViews
from mmgmp.datasets.transforms.signal_loading import (
    LoadSignalWindow,
    StandardizeSignal,
)
from mmgmp.datasets.transforms.spectrogram import (
    LogMelSpectrogram,
    LogSpectrogram,
)
from mmgmp.datasets.transforms.spectrogram_augment import (
    FrequencyMask,
    SpectrogramNoise,
)

__all__ = [
    'CachedViews',
    'CorruptAudio',
    'CorruptVideo',
    'CorruptedPipeline',
    'FrequencyMask',
    'LoadAudioSegment',
    'LoadFlowFrames',
    'LoadSignalWindow',
    'LogMelSpectrogram',
    'LogSpectrogram',
    'MultiModalPipeline',
    'MultiViewPipeline',
    'PackMultiModalInputs',
    'PyAVSeekDecode',
    'PyAVSeekFlowDecode',
    'PyAVSeekFlowInit',
    'PyAVSeekInit',
    'SeededViews',
    'SpectrogramNoise',
    'StackFlow',
    'StandardizeSignal',
]
