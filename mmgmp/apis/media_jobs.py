"""What is checked of a corpus, and what a check finds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

FAULT_KINDS = (
    'annotation',
    'missing',
    'truncated',
    'undecodable',
    'frame-count',
    'too-short',
    'unreadable',
    'silent',
    'sample-rate',
    'lacking',
    'few',
    'count',
)


@dataclass(frozen=True)
class CheckSettings:
    """What counts as a fault.

    Args:
        sample_rate: Rate that sounds must have in Hz; ``None`` takes any.
        min_seconds: Shortest file or segment, in seconds.
        tolerance: Seconds by which a segment may reach beyond its file, and a
            sound end before its video.
        silence: A sound whose largest and smallest sample are no further
            apart is silent; 1 is full scale. It is judged as training gets
            it: after the channels were mixed.
        full: Whether to decode everything, or the ends alone.
        sound: Options of ``LoadAudioSegment`` with which sounds are read.
        min_samples: Samples that each class has to have in each domain of
            each annotation file, >= 0.
    """

    sample_rate: int | None = 16000
    min_seconds: float = 0.1
    tolerance: float = 0.5
    silence: float = 1e-4
    full: bool = True
    sound: Mapping[str, Any] = field(default_factory=dict)
    min_samples: int = 1


@dataclass(frozen=True)
class Fault:
    """Something wrong with a file, and the samples that it concerns.

    Args:
        kind: One of ``FAULT_KINDS``.
        path: The file.
        message: What is wrong.
        samples: Ids of the samples.
        modality: Modality that the file is read for; ``''`` if of none.
    """

    kind: str
    path: str
    message: str
    samples: tuple[str, ...] = ()
    modality: str = ''


@dataclass(frozen=True)
class Segment:
    """The part of a file that a sample uses.

    Args:
        sample: Id of the sample.
        start: First second, or number of the first frame of a folder or of
            the first sample of a signal; ``None`` is the beginning.
        stop: Last second, or the number behind the last one; ``None`` is the
            end.
    """

    sample: str
    start: float | None = None
    stop: float | None = None


@dataclass(frozen=True)
class MediaJob:
    """A file, or two of flow, with every segment that is used of it.

    Args:
        kind: ``'sound'``, ``'video'``, ``'frames'`` (a folder of images) or
            ``'signal'`` (a stored array).
        paths: One path; two for flow.
        template: Name of an image with a field for its number.
        segments: What the samples use.
        modality: Modality that it is read for.
    """

    kind: str
    paths: tuple[str, ...]
    template: str
    segments: tuple[Segment, ...]
    modality: str = ''

    @property
    def samples(self) -> tuple[str, ...]:
        """Ids of all samples, each once."""
        return tuple(dict.fromkeys(part.sample for part in self.segments))

    def fault(
        self,
        kind: str,
        message: str,
        path: str = '',
        samples: tuple[str, ...] | None = None,
    ) -> Fault:
        """Name something wrong with the file.

        Args:
            kind: One of ``FAULT_KINDS``.
            message: What is wrong.
            path: Which of the files; the first by default.
            samples: The samples it concerns; all by default.
        """
        whom = self.samples if samples is None else samples
        return Fault(kind, path or self.paths[0], message, whom, self.modality)


@dataclass(frozen=True)
class MediaResult:
    """What a check found.

    Args:
        faults: What is wrong.
        seconds: Length of the file; ``None`` if unknown.
    """

    faults: tuple[Fault, ...] = ()
    seconds: float | None = None
