"""From annotation files and media to batches."""

from __future__ import annotations

from mmgmp.datasets.audio_visual_dataset import AudioVisualDataset
from mmgmp.datasets.transforms import (
    CorruptAudio,
    CorruptedPipeline,
    CorruptVideo,
    FrequencyMask,
    LoadAudioSegment,
    LoadFlowFrames,
    LogMelSpectrogram,
    LogSpectrogram,
    MultiModalPipeline,
    MultiViewPipeline,
    PackMultiModalInputs,
    PyAVSeekDecode,
    PyAVSeekFlowDecode,
    PyAVSeekFlowInit,
    PyAVSeekInit,
    SpectrogramNoise,
    StackFlow,
)

__all__ = [
    'AudioVisualDataset',
    'CorruptAudio',
    'CorruptVideo',
    'CorruptedPipeline',
    'FrequencyMask',
    'LoadAudioSegment',
    'LoadFlowFrames',
    'LogMelSpectrogram',
    'LogSpectrogram',
    'MultiModalPipeline',
    'MultiViewPipeline',
    'PackMultiModalInputs',
    'PyAVSeekDecode',
    'PyAVSeekFlowDecode',
    'PyAVSeekFlowInit',
    'PyAVSeekInit',
    'SpectrogramNoise',
    'StackFlow',
]
