"""What happens to a sample whose media cannot be read."""

from __future__ import annotations

import logging
import struct
import sys

from mmengine.logging import print_log

# Errors of readers that are not OSError, by module, where it was imported.
_READER_ERRORS = (
    ('av', 'FFmpegError'),
    ('soundfile', 'LibsndfileError'),
    ('decord', 'DECORDError'),
    ('decord', 'DECORDLimitReachedError'),
)


def media_errors() -> tuple[type[Exception], ...]:
    """Exceptions that a missing or undecodable file raises.

    Ours are all :class:`OSError`; the stock transforms let those of the
    imported readers through. Bytes that are no text (``UnicodeDecodeError``
    on a name in a file's metadata) or no header (``struct.error``) are the
    file's fault too. Other errors may be the file's or a mistake; see
    :func:`mmgmp.datasets.file_damage.find_damage`.

    Returns:
        Exception types, for an ``except`` clause.

    Example:
        >>> OSError in media_errors(), ValueError in media_errors()
        (True, False)
    """
    readers = [
        getattr(sys.modules[module], name)
        for module, name in _READER_ERRORS
        if hasattr(sys.modules.get(module), name)
    ]
    return (OSError, EOFError, UnicodeDecodeError, struct.error, *readers)


class SkipPolicy:
    """Count the unreadable samples of one dataset, up to a limit.

    Args:
        max_errors: Unreadable samples to bear: a number of them (int >= 0) or
            a fraction of the dataset (float in [0, 1]).
        num_samples: Size of the dataset.

    Raises:
        ValueError: If ``max_errors`` is out of range.

    Example:
        >>> policy = SkipPolicy(0.05, num_samples=40)
        >>> policy.limit, 3 in policy, policy.sample_ids
        (2.0, False, [])
    """

    def __init__(self, max_errors: float, num_samples: int) -> None:
        is_fraction = isinstance(max_errors, float)
        if max_errors < 0 or (is_fraction and max_errors > 1):
            raise ValueError(
                'max_errors must be a count (int >= 0) or a fraction of the '
                f'dataset (float in [0, 1]), got {max_errors}'
            )
        self.limit = max_errors * num_samples if is_fraction else max_errors
        self._ids: dict[int, str] = {}

    def __contains__(self, index: int) -> bool:
        return index in self._ids

    @property
    def sample_ids(self) -> list[str]:
        """Ids of the unreadable samples met so far, each once."""
        return list(dict.fromkeys(self._ids.values()))

    def record(self, index: int, sample_id: str, error: Exception) -> None:
        """Note an unreadable sample and log it once.

        Args:
            index: Its index in the dataset.
            sample_id: Its id.
            error: What went wrong.

        Raises:
            RuntimeError: If there are now more than the limit allows.
        """
        is_new = sample_id not in self._ids.values()
        self._ids[index] = sample_id
        count = len(self.sample_ids)
        if is_new:
            print_log(
                f'Skipped sample {sample_id}, unreadable one number {count} '
                f'of at most {self.limit:g}: {error}',
                logger='current',
                level=logging.WARNING,
            )
        if count > self.limit:
            raise RuntimeError(
                f'max_errors: more than {self.limit:g} samples are '
                f'unreadable: {self.sample_ids}; repair the files, name the '
                'samples in skip_list, or raise max_errors'
            ) from error
