"""Encoders: one modality's input in, one vector per sample out."""

from mmgmp.models.encoders.modality_encoder import ModalityEncoder
from mmgmp.models.encoders.pretrained import load_strictly, tensors_of

__all__ = ['ModalityEncoder', 'load_strictly', 'tensors_of']
