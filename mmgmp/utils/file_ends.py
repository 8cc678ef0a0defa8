"""Tell from its own headers whether a file was cut off."""

from __future__ import annotations

import os
import struct

# What an MP4 or MOV file begins with, after four bytes of length.
_MP4_BOXES = (b'ftyp', b'free', b'mdat', b'moov', b'skip', b'wide')
_UNKNOWN_SIZE = (0, 0xFFFFFFFF)


def is_cut(path: str) -> str:
    """Compare the length that a WAV, MP4 or MOV file announces with its own.

    Decoders are lenient here: they take what there is.

    Args:
        path: Media file; of other formats only emptiness is noticed.

    Returns:
        What is missing, or ``''``.
    """
    size = os.path.getsize(path)
    if size == 0:
        return 'is empty'
    with open(path, 'rb') as file:
        head = file.read(12)
        if head[:4] == b'RIFF' and len(head) == 12:
            announced = int.from_bytes(head[4:8], 'little')
            is_known = announced not in _UNKNOWN_SIZE
            end = announced + 8 if is_known else size
            # The byte that fills up an odd number of them is often left out.
            end = size if end == size + 1 else end
        elif head[4:8] in _MP4_BOXES:
            end = _end_of_boxes(path, size)
        else:
            end = size
    return f'has {size} bytes of {end}' if end > size else ''


def _end_of_boxes(path: str, size: int) -> int:
    """Where the last top-level box of an MP4 file ends."""
    position = 0
    with open(path, 'rb') as file:
        while position < size:
            file.seek(position)
            head = file.read(16)
            if len(head) < 8:
                return position + 8
            length = struct.unpack('>I', head[:4])[0]
            if length == 1 and len(head) == 16:
                length = struct.unpack('>Q', head[8:])[0]
            # 0 is "to the end"; below 8 it is no box, the decoder will tell.
            if length < 8:
                return size
            position += length
    return position


def is_image_cut(content: bytes) -> bool:
    """Look for the end mark of a JPEG or PNG image.

    Args:
        content: The whole file.

    Returns:
        Whether the mark is missing, or everything is.

    Example:
        >>> is_image_cut(b''), is_image_cut(b'not an image')
        (True, False)
    """
    if content.startswith(b'\xff\xd8'):
        return b'\xff\xd9' not in content[-1024:]
    if content.startswith(b'\x89PNG'):
        return b'IEND' not in content[-64:]
    return not content
