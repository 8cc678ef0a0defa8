"""From annotation files and media to batches."""

from __future__ import annotations

from mmgmp.datasets.audio_visual_dataset import AudioVisualDataset
from mmgmp.datasets.domain_balanced_sampler import DomainBalancedSampler
from mmgmp.datasets.transforms import (
    CachedViews,
    CorruptAudio,
    CorruptedPipeline,
    CorruptVideo,
    FrequencyMask,
    LoadAudioSegment,
    LoadFlowFrames,
    LoadSignalWindow,
    LogMelSpectrogram,
    LogSpectrogram,
    MultiModalPipeline,
    MultiViewPipeline,
    PackMultiModalInputs,
    PyAVSeekDecode,
    PyAVSeekFlowDecode,
    PyAVSeekFlowInit,
    PyAVSeekInit,
    SeededViews,
    SpectrogramNoise,
    StackFlow,
    StandardizeSignal,
)

__all__ = [
    'AudioVisualDataset',
    'CachedViews',
    'CorruptAudio',
    'CorruptVideo',
    'CorruptedPipeline',
    'DomainBalancedSampler',
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
