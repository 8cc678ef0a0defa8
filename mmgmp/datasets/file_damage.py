"""A second opinion on files after an error that could have two causes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import mmcv

from mmgmp.datasets.transforms.audio_loading import LoadAudioSegment
from mmgmp.datasets.transforms.frame_index import read_frame_index
from mmgmp.datasets.transforms.signal_file import (
    is_signal_file,
    open_signal,
    read_window,
)
from mmgmp.datasets.transforms.video_file import open_video

Entry = Mapping[str, Any]


def find_damage(sources: Mapping[str, Entry]) -> OSError | None:
    """Read the files of a sample from end to end, with our own readers.

    Stock decoders meet a damaged file with an ``AttributeError`` of a missing
    stream, an ``IndexError`` of a video without frames, a ``ValueError`` of
    librosa: errors that a mistake in a config raises as well. A file tells
    which of the two it was.

    Args:
        sources: Annotation entry by modality, with resolved paths.

    Returns:
        What is wrong with the first file that cannot be read; None if all
        can.

    Example:
        >>> str(find_damage({'audio': {'path': 'absent.wav'}}))[:24]
        'absent.wav: no such file'
        >>> find_damage({'audio': {'waveform': [0.0], 'sample_rate': 1}})
    """
    for entry in sources.values():
        for key, path in entry.items():
            if key.startswith('path') and isinstance(path, str):
                damage = _damage_of(path, entry)
                if damage is not None:
                    return damage
    return None


def _damage_of(path: str, entry: Entry) -> OSError | None:
    """What is wrong with a file that may be of any kind."""
    if 'num_frames' in entry:
        return _try(_read_images, path, entry)
    if is_signal_file(path):
        return _try(_read_signal, path, entry)
    # A sound file may be called anything, but is no video, and the other way
    # round: what one of the two can read is whole.
    return _try(_read_sound, path, entry) and _try(_read_video, path, entry)


def _try(
    read: Callable[[str, Entry], None], path: str, entry: Entry
) -> OSError | None:
    try:
        read(path, entry)
    except OSError as error:
        return error
    # The libraries below raise whatever they like, which is the point.
    except Exception as error:
        text = f'{type(error).__name__}: {error}'
        return OSError(f'{path} cannot be read ({text})')
    return None


def _read_sound(path: str, entry: Entry) -> None:
    # Whether silence is a fault is for the config to say.
    LoadAudioSegment(on_silence='keep')({**entry, 'filename': path})


def _read_video(path: str, entry: Entry) -> None:
    del entry
    count = 0
    total = read_frame_index(path).total_frames
    with open_video(path) as (container, stream):
        for frame in container.decode(stream):
            if frame.is_corrupt:
                raise OSError(f'{path}: frame {count} is damaged')
            count += 1
    if count != total:
        raise OSError(f'{path} holds {count} frames, its header says {total}')


def _read_signal(path: str, entry: Entry) -> None:
    del entry
    read_window(open_signal(path), 0, None, path)


def _read_images(path: str, entry: Entry) -> None:
    first = int(entry.get('start_frame', 1))
    for number in range(first, first + int(entry['num_frames'])):
        name = Path(path, entry['filename_tmpl'].format(number))
        image = mmcv.imfrombytes(name.read_bytes(), flag='unchanged')
        if image is None:
            raise OSError(f'{name} is no image that can be decoded')
