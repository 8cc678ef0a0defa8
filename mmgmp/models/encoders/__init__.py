"""Encoders: one modality's input in, one vector per sample out."""

from mmgmp.models.encoders.modality_encoder import ModalityEncoder
from mmgmp.models.encoders.pretrained import load_strictly

__all__ = ['ModalityEncoder', 'load_strictly']
