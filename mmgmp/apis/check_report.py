"""The report of a check, and the file that a later one continues from."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from mmgmp.apis.corpus_counts import SplitCounts
from mmgmp.apis.media_jobs import (
    FAULT_KINDS,
    CheckSettings,
    Fault,
    MediaJob,
    MediaResult,
)
from mmgmp.utils import draft_files
from mmgmp.utils.text_files import read_json

#: Faults that make a sample unusable. A silent clip can be used, and published
#: numbers include it; a sound of another rate is resampled.
UNUSABLE = (
    'missing',
    'truncated',
    'undecodable',
    'frame-count',
    'too-short',
    'unreadable',
    'lacking',
)
_FORMAT = 'mmgmp check_data 2'


@dataclass
class DataReport:
    """What :func:`check_data` found.

    Args:
        faults: Everything that is wrong.
        num_samples: Samples in the annotation files.
        num_files: Media files, a folder of frames counting as one.
        num_reused: Those taken from an earlier report.
        is_complete: Whether the check came to its end.
        splits: Samples by class and domain of each annotation file.
        modalities: Samples by modality, with and without an entry and by
            kind of fault.
    """

    faults: list[Fault] = field(default_factory=list)
    num_samples: int = 0
    num_files: int = 0
    num_reused: int = 0
    is_complete: bool = False
    splits: list[SplitCounts] = field(default_factory=list)
    modalities: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def counts(self) -> dict[str, int]:
        """Number of faults by kind, in the order of ``FAULT_KINDS``."""
        found = Counter(fault.kind for fault in self.faults)
        return {kind: found[kind] for kind in FAULT_KINDS if found[kind]}

    def sample_ids(self, kinds: Sequence[str] = UNUSABLE) -> list[str]:
        """Name the samples with certain faults.

        Args:
            kinds: Kinds of faults.

        Returns:
            Their ids, each once, sorted.

        Raises:
            ValueError: If a kind is unknown.

        Example:
            >>> DataReport([Fault('silent', 'a.wav', '', ('a',))]).sample_ids()
            []
        """
        unknown = sorted(set(kinds) - set(FAULT_KINDS))
        if unknown:
            raise ValueError(
                f'kinds must be among {FAULT_KINDS}, got {unknown}'
            )
        chosen = (f.samples for f in self.faults if f.kind in kinds)
        return sorted({sample for samples in chosen for sample in samples})


@dataclass(frozen=True)
class FileRecord:
    """A result, and what the file was like then.

    Args:
        fingerprint: As :func:`fingerprint` gives it.
        result: What was found.
    """

    fingerprint: str
    result: MediaResult

    @property
    def is_missing(self) -> bool:
        """Whether the file was not there, and may have come since."""
        return any(fault.kind == 'missing' for fault in self.result.faults)


def fingerprint(job: MediaJob, settings: CheckSettings) -> str:
    """Return what changes with the files, their segments, and the rules.

    Args:
        job: The files.
        settings: What is a fault.
    """
    statuses = [os.stat(path) for path in job.paths if os.path.exists(path)]
    files = [(status.st_size, status.st_mtime_ns) for status in statuses]
    text = json.dumps([asdict(settings), asdict(job), files])
    return hashlib.sha256(text.encode()).hexdigest()


def file_key(job: MediaJob) -> str:
    """Name a job in the report.

    Args:
        job: The files.
    """
    return ' '.join((job.kind, *job.paths, job.template, job.modality))


def save_report(
    path: str,
    report: DataReport,
    records: Mapping[str, FileRecord],
    settings: CheckSettings,
) -> None:
    """Write the report, complete or not at all.

    Args:
        path: JSON file.
        report: What was found.
        records: Results by file.
        settings: What was a fault.
    """
    content = {
        'format': _FORMAT,
        'is_complete': report.is_complete,
        'settings': asdict(settings),
        'num_samples': report.num_samples,
        'num_files': report.num_files,
        'counts': report.counts,
        'splits': [asdict(split) for split in report.splits],
        'modalities': report.modalities,
        'faults': [asdict(fault) for fault in report.faults],
        'files': {k: asdict(r) for k, r in records.items()},
    }
    text = json.dumps(content, indent=1, ensure_ascii=False) + '\n'
    with draft_files(path) as [draft]:
        # A name that is no valid Unicode comes out as JSON's own escape.
        draft.write_bytes(text.encode('utf-8', errors='backslashreplace'))


def read_report(path: str) -> dict[str, FileRecord]:
    """Read what an earlier check found.

    Args:
        path: JSON file.

    Returns:
        Results by file; empty if there is no report.

    Raises:
        ValueError: If the file is something else.
    """
    if not os.path.exists(path):
        return {}
    try:
        content = read_json(path)
        if content['format'] != _FORMAT:
            raise ValueError(f'its format is {content["format"]!r}')
        return {
            key: FileRecord(
                record['fingerprint'],
                MediaResult(
                    tuple(
                        Fault(**{**fault, 'samples': tuple(fault['samples'])})
                        for fault in record['result']['faults']
                    ),
                    record['result']['seconds'],
                ),
            )
            for key, record in content['files'].items()
        }
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f'report: {path} is no report of this tool ({error}); name '
            'another file, or delete this one to start anew'
        ) from error
