"""Batching and normalisation."""

from mmgmp.models.data_preprocessors.audio_visual_data_preprocessor import (
    AudioVisualDataPreprocessor,
)

__all__ = ['AudioVisualDataPreprocessor']
