"""Recognizers."""

from mmgmp.models.recognizers.audio_visual_recognizer import (
    AudioVisualRecognizer,
)

__all__ = ['AudioVisualRecognizer']
