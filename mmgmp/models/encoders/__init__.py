"""Encoders: one modality's input in, one vector per sample out."""

from mmgmp.models.encoders.modality_encoder import ModalityEncoder

__all__ = ['ModalityEncoder']
