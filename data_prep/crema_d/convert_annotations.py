"""Turn the official CREMA-D folder into the annotation files of mmgmp.

See README.md beside this file.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from crema_names import (
    CLIP_NAMES,
    EMOTIONS,
    FILE_NAMES,
    check_name,
    read_list,
    split_by_actor,
)

from mmgmp.utils.annotation_output import write_annotations

CORPUS, DOMAIN = 'CREMA-D', 'crema-d'
SPLITS = ('train', 'val', 'test')
MEDIA = {'video': ('VideoFlash', '.flv'), 'audio': ('AudioWAV', '.wav')}


def list_clips(
    root: Path, media: Mapping[str, tuple[str, str]], problems: list[str]
) -> list[str]:
    """Name all clips that have a video or a sound.

    Args:
        root: The official folder.
        media: Folder and ending by modality.
        problems: Takes what is wrong with file names.

    Returns:
        Names in order.
    """
    names = set()
    for folder, suffix in media.values():
        for path in (root / folder).glob(f'*{suffix}'):
            name = CLIP_NAMES.get(path.stem, path.stem)
            problem = check_name(name)
            if problem:
                problems.append(f'{path}: {problem}')
            names.add(name)
    if not names:
        folders = [str(root / folder) for folder, _ in media.values()]
        problems.append(f'{folders}: hold no clips; is {root} CREMA-D?')
    return sorted(names)


def find_file(root: Path, folder: str, name: str, suffix: str) -> str | None:
    """Return the path of a clip's file below the root, None without one.

    Args:
        root: The official folder.
        folder: Folder in it.
        name: Name of the clip.
        suffix: Ending of the file.
    """
    for stem in (name, FILE_NAMES.get(name, name)):
        path = f'{folder}/{stem}{suffix}'
        if (root / path).is_file():
            return path
    return None


def make_sample(
    root: Path, media: Mapping[str, tuple[str, str]], name: str
) -> tuple[dict[str, Any], list[str]]:
    """Describe one clip.

    Args:
        root: The official folder.
        media: Folder and ending by modality.
        name: Name of the clip, which was checked.

    Returns:
        Entry of ``data_list``, and the files that it lacks.
    """
    sample: dict[str, Any] = {
        'id': f'{DOMAIN}/{name}',
        'domain': DOMAIN,
        'label': list(EMOTIONS).index(name.split('_')[2]),
    }
    lacking = []
    for modality, (folder, suffix) in media.items():
        path = find_file(root, folder, name, suffix)
        if path is None:
            lacking.append(f'{folder}/{name}{suffix}')
        sample[modality] = {'path': path}
    return sample, lacking


def convert(
    root: Path,
    names: Mapping[str, Sequence[str]],
    media: Mapping[str, tuple[str, str]],
    problems: list[str],
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Describe the clips of all splits.

    Args:
        root: The official folder.
        names: Names of the clips by split.
        media: Folder and ending by modality.
        problems: Takes clips that are listed twice.

    Returns:
        The annotation by split, without clips that lack a file, and the
        files that are lacking.
    """
    metainfo = {
        'corpus': CORPUS,
        'classes': list(EMOTIONS.values()),
        'domains': [DOMAIN],
    }
    seen: dict[str, str] = {}
    annotations, lacking = {}, []
    for split, listed in names.items():
        samples = []
        for name in listed:
            if name in seen:
                problems.append(
                    f'{name} is listed before in {seen[name]}, now in {split}'
                )
                continue
            seen[name] = split
            sample, missing = make_sample(root, media, name)
            lacking += missing
            samples += [] if missing else [sample]
        annotations[split] = {'metainfo': metainfo, 'data_list': samples}
    return annotations, lacking


def summarise(annotations: Mapping[str, dict[str, Any]]) -> Iterator[str]:
    """Count what was converted.

    Args:
        annotations: Annotation by split.

    Yields:
        One line per split.
    """
    for split, annotation in annotations.items():
        samples = annotation['data_list']
        actors = {s['id'].split('/')[1].split('_')[0] for s in samples}
        counts = Counter(s['label'] for s in samples)
        texts = (f'{n} {counts[i]}' for i, n in enumerate(EMOTIONS.values()))
        yield (
            f'{split}: {len(samples)} clips of {len(actors)} actors '
            f'({", ".join(texts)})'
        )


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line.

    Args:
        argv: Words; ``None`` takes the process's own.

    Returns:
        The arguments.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('root', type=Path, help='the official folder')
    parser.add_argument('out_dir', type=Path, help='usually the same')
    for split in SPLITS:
        parser.add_argument(
            f'--{split}-list', type=Path, help=f'CSV of the {split} clips'
        )
    for split in SPLITS[1:]:
        parser.add_argument(
            f'--{split}-actors',
            type=int,
            default=0,
            help=f'without lists: number of actors whose clips are {split}',
        )
    parser.add_argument(
        '--seed', type=int, help='of the choice of actors; must be given'
    )
    for modality, (folder, suffix) in MEDIA.items():
        parser.add_argument(
            f'--{modality}-files',
            default=f'{folder}/*{suffix}',
            help='folder/*.ending below root, default %(default)s',
        )
    parser.add_argument(
        '--allow-missing',
        type=Path,
        metavar='FILE',
        help='leave out clips that lack a file, and list those files here',
    )
    args = parser.parse_args(argv)
    has_lists = bool(args.train_list and args.test_list)
    has_actors = args.test_actors > 0 and args.seed is not None
    is_mixed = any((args.train_list, args.val_list, args.test_list)) and any(
        (args.test_actors, args.val_actors)
    )
    if has_lists is has_actors or is_mixed or args.val_actors < 0:
        parser.error(
            'name the split: --train-list and --test-list, or --test-actors '
            '(1 or more) and --seed'
        )
    for modality in MEDIA:
        files = getattr(args, f'{modality}_files')
        if not re.fullmatch(r'[^*]+/\*\.\w+', files):
            parser.error(f'--{modality}-files must be folder/*.ending')
    return args


def choose(
    args: argparse.Namespace,
    media: Mapping[str, tuple[str, str]],
    problems: list[str],
) -> dict[str, list[str]]:
    """Return the names of all clips by split.

    Args:
        args: The command line.
        media: Folder and ending by modality.
        problems: Takes what is wrong.
    """
    paths = {split: getattr(args, f'{split}_list') for split in SPLITS}
    if paths['train']:
        return {
            split: read_list(path, problems)
            for split, path in paths.items()
            if path
        }
    names = list_clips(args.root, media, problems)
    # Validation takes nothing from the test.
    counts = {'test': args.test_actors, 'val': args.val_actors}
    counts = {split: count for split, count in counts.items() if count}
    try:
        return {} if problems else split_by_actor(names, counts, args.seed)
    except ValueError as error:
        problems.append(str(error))
        return {}


def listing(path: Path | None, lacking: Sequence[str]) -> dict[Path, str]:
    """Write down the files that are lacking.

    Args:
        path: File for the list; None makes none.
        lacking: Their paths.

    Returns:
        Text by path.
    """
    return {path: ''.join(f'{name}\n' for name in lacking)} if path else {}


def main(argv: Sequence[str] | None = None) -> int:
    """Convert, or report everything that is wrong and write nothing.

    Args:
        argv: Command line; ``None`` takes the process's own.

    Returns:
        Exit status: 0 done, 1 if there are problems or the annotation cannot
        be written.
    """
    args = parse(argv)
    problems: list[str] = []
    media = {}
    for modality in MEDIA:
        folder, _, suffix = getattr(args, f'{modality}_files').partition('/*')
        media[modality] = folder, suffix
    names = choose(args, media, problems)
    annotations, lacking = convert(args.root, names, media, problems)
    if not args.allow_missing:
        problems += [f'{args.root / path}: no such file' for path in lacking]
    problems += [
        f'{split}: no clip has its files; are they where --video-files and '
        '--audio-files say?'
        for split, annotation in annotations.items()
        if not annotation['data_list'] and not problems
    ]
    texts = listing(args.allow_missing, lacking)
    if not write_annotations(
        args.out_dir, 'crema_d', annotations, problems, texts
    ):
        return 1
    print(*summarise(annotations), sep='\n')
    if lacking:
        print(f'left out: {len(lacking)} files missing ({args.allow_missing})')
    return 0


if __name__ == '__main__':
    sys.exit(main())
