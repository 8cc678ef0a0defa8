"""Turn the six MM-SADA split pickles into the two annotation files of mmgmp.

Needs neither pandas nor trust in the pickles. See README.md beside this file.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from official_splits import read_rows, seconds

from mmgmp.utils.annotation_output import write_annotations
from mmgmp.utils.checks import choice_text

# Each domain is one kitchen, that is one participant.
PARTICIPANTS = {'D1': 'P08', 'D2': 'P01', 'D3': 'P22'}
SPLITS = ('train', 'test')
CLASSES = ('take', 'put', 'open', 'close', 'wash', 'cut', 'mix', 'pour')
# Frame numbers of the annotation count 60 a second; flow has every second.
FPS = 60
TEMPLATE = 'frame_{:010}.jpg'
CLIPS_DIR = 'MM-SADA_Domain_Adaptation_Splits'


@dataclass(frozen=True)
class Layout:
    """Where the media of a sample are, relative to the data root.

    Args:
        name: ``'frames'`` (SimMMDG: folders of frames) or ``'clips'``
            (MMDG_Benchmark: one mp4 per action).
        has_flow: Whether to add flow entries.
        clips_dir: Folder of ``video`` and ``flow``, for ``'clips'``.
        audio_dir: Folder of the wav files, below it split and domain.
    """

    name: str = 'frames'
    has_flow: bool = False
    clips_dir: str = CLIPS_DIR
    audio_dir: str = 'rgb'

    def entries(
        self, row: dict[str, Any], split: str, domain: str
    ) -> dict[str, dict[str, Any]]:
        """Describe the files of one row.

        Args:
            row: Row of a split file that was checked.
            split: ``'train'`` or ``'test'``.
            domain: Its domain.

        Returns:
            One entry per modality.
        """
        place, video_id = f'{split}/{domain}', row['video_id']
        describe = frame_folders if self.name == 'frames' else self.clip_files
        entries = describe(row, place)
        entries['audio'] = {
            'path': f'{self.audio_dir}/{place}/{video_id}.wav',
            'start': seconds(row['start_timestamp']),
            'stop': seconds(row['stop_timestamp']),
        }
        wanted = ('video', 'audio', 'flow')[: 3 if self.has_flow else 2]
        return {name: entries[name] for name in wanted}

    def clip_files(
        self, row: dict[str, Any], place: str
    ) -> dict[str, dict[str, Any]]:
        """Name the mp4 files of one action.

        Args:
            row: Row of a split file.
            place: ``split/domain``.

        Returns:
            Entries of video and flow.
        """
        first, count = flow_range(row)
        domain, label = Path(place).name, row['verb_class']
        stem = f'{place}/{domain}_{row["video_id"]}'
        video = f'{stem}_{row["start_frame"]}_{row["stop_frame"]}_{label}.mp4'
        flow = f'{self.clips_dir}/flow/{stem}_{first}_{first + count}_{label}'
        return {
            'video': {'path': f'{self.clips_dir}/video/{video}'},
            'flow': {'path_x': f'{flow}_u.mp4', 'path_y': f'{flow}_v.mp4'},
        }


def flow_range(row: dict[str, Any]) -> tuple[int, int]:
    """Choose the flow frames of an action, as the published code does.

    Args:
        row: Row of a split file.

    Returns:
        First frame, ``ceil(start / 2)``, and number of frames,
        ``int((stop - start) / 2)``.

    Example:
        >>> flow_range({'start_frame': 579, 'stop_frame': 610})
        (290, 15)
    """
    start, stop = row['start_frame'], row['stop_frame']
    return -(-start // 2), (stop - start) // 2


def frame_folders(
    row: dict[str, Any], place: str
) -> dict[str, dict[str, Any]]:
    """Name the folders of frames of one action.

    Args:
        row: Row of a split file.
        place: ``split/domain``.

    Returns:
        Entries of video and flow.
    """
    start, stop = row['start_frame'], row['stop_frame']
    first, count = flow_range(row)
    path = f'{place}/{row["video_id"]}'
    return {
        'video': {
            'path': f'rgb/{path}',
            'start_frame': start,
            'num_frames': stop - start,
            'filename_tmpl': TEMPLATE,
            'fps': FPS,
        },
        'flow': {
            'path_x': f'flow/{path}/u',
            'path_y': f'flow/{path}/v',
            'start_frame': first,
            'num_frames': count,
            'filename_tmpl': TEMPLATE,
            'fps': FPS // 2,
        },
    }


def check_row(
    row: dict[str, Any], domain: str, seen: dict[int, str], place: str
) -> str:
    """Say what is wrong with a row.

    Args:
        row: Row of a split file.
        domain: Domain of the file.
        seen: Where each uid was met before; takes this one.
        place: File and row, to be remembered in ``seen``.

    Returns:
        The problem, or ``''``.
    """
    for name in ('uid', 'start_frame', 'stop_frame', 'verb_class'):
        if not isinstance(row[name], int):
            return f'{name} must be a whole number, got {row[name]!r}'
    participant, video_id = row['participant_id'], row['video_id']
    if participant != PARTICIPANTS[domain]:
        return (
            f'participant_id must be {PARTICIPANTS[domain]}, the kitchen of '
            f'{domain}, got {participant!r}'
        )
    known = str(video_id).removeprefix(f'{participant}_')
    if known == video_id or not known.isdecimal():
        return f'video_id must be {participant}_NN, got {video_id!r}'
    if not 0 <= row['verb_class'] < len(CLASSES):
        return (
            f'verb_class must be 0 to {len(CLASSES) - 1}, got '
            f'{row["verb_class"]}'
        )
    start, stop = row['start_frame'], row['stop_frame']
    if start < 1 or stop < start + 2:
        return (
            'start_frame must be >= 1 and stop_frame at least 2 more, got '
            f'{start} and {stop}'
        )
    try:
        times = seconds(row['start_timestamp']), seconds(row['stop_timestamp'])
    except ValueError as error:
        return f'timestamp: {error}'
    if times[1] <= times[0]:
        return f'stop_timestamp must come after start_timestamp, got {times}'
    if row['uid'] in seen:
        return f'uid {row["uid"]} is listed before, in {seen[row["uid"]]}'
    seen[row['uid']] = place
    return ''


def convert(
    splits_dir: Path, layout: Layout
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Read the six pickles.

    Args:
        splits_dir: Folder of the six files.
        layout: Where the media are.

    Returns:
        The annotation by split, and the problems found; with problems the
        annotations are incomplete.
    """
    problems = [
        choice_text(
            f'{path}: domain', domain, PARTICIPANTS, 'move this file elsewhere'
        )
        for split in SPLITS
        for path in sorted(splits_dir.glob(f'D[0-9]*_{split}.pkl'))
        if (domain := path.name.split('_')[0]) not in PARTICIPANTS
    ]
    seen: dict[int, str] = {}
    annotations = {}
    for split in SPLITS:
        samples = []
        for domain in PARTICIPANTS:
            path = splits_dir / f'{domain}_{split}.pkl'
            try:
                rows = read_rows(path)
            except FileNotFoundError:
                problems.append(f'{path}: no such file')
                continue
            except (OSError, ValueError) as error:
                problems.append(f'{path}: {error}')
                continue
            if not rows:
                problems.append(f'{path}: has no rows')
            for number, row in enumerate(rows):
                place = f'{path}: row {number}'
                problem = check_row(row, domain, seen, place)
                if problem:
                    problems.append(f'{place}: {problem}')
                    continue
                samples.append(
                    {
                        'id': f'{domain}/{row["video_id"]}_{row["uid"]}',
                        'domain': domain,
                        'label': row['verb_class'],
                        **layout.entries(row, split, domain),
                    }
                )
        metainfo = {
            'corpus': 'EPIC-Kitchens',
            'classes': list(CLASSES),
            'domains': list(PARTICIPANTS),
        }
        annotations[split] = {'metainfo': metainfo, 'data_list': samples}
    return annotations, problems


def summarise(annotations: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Count what was converted.

    Args:
        annotations: Annotation by split.

    Yields:
        One line per split.
    """
    for split, annotation in annotations.items():
        domains = [sample['domain'] for sample in annotation['data_list']]
        counts = (f'{name} {domains.count(name)}' for name in PARTICIPANTS)
        yield f'{split}: {", ".join(counts)}'


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line.

    Args:
        argv: Words; ``None`` takes the process's own.

    Returns:
        The arguments.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('splits_dir', type=Path, help='folder of the pickles')
    parser.add_argument('out_dir', type=Path, help='usually the EPIC folder')
    parser.add_argument(
        '--layout',
        choices=('frames', 'clips'),
        default='frames',
        help='folders of frames as in SimMMDG (default), or one mp4 per '
        'action as in MMDG_Benchmark',
    )
    parser.add_argument(
        '--flow', action='store_true', help='add the flow files'
    )
    parser.add_argument(
        '--clips-dir',
        default=CLIPS_DIR,
        help='folder of video/ and flow/ for --layout clips, default '
        '%(default)s',
    )
    parser.add_argument(
        '--audio-dir',
        help='folder of {train,test}/D*/NAME.wav, default rgb for frames and '
        'audio in CLIPS_DIR for clips',
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Convert, or report every bad row and write nothing.

    Args:
        argv: Command line; ``None`` takes the process's own.

    Returns:
        Exit status: 0 done, 1 if the pickles have problems or the annotation
        cannot be written.
    """
    args = parse(argv)
    default = {'frames': 'rgb', 'clips': f'{args.clips_dir}/audio'}
    layout = Layout(
        name=args.layout,
        has_flow=args.flow,
        clips_dir=args.clips_dir,
        audio_dir=args.audio_dir or default[args.layout],
    )
    annotations, problems = convert(args.splits_dir, layout)
    if not write_annotations(args.out_dir, 'epic', annotations, problems):
        return 1
    print(*summarise(annotations), sep='\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())
