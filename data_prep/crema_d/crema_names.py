"""Names of CREMA-D's clips, and which split they belong to."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from mmgmp.utils.checks import choice_text
from mmgmp.utils.text_files import read_text

# In the label order of the released lists.
EMOTIONS = {
    'NEU': 'neutral',
    'HAP': 'happy',
    'SAD': 'sad',
    'FEA': 'fear',
    'DIS': 'disgust',
    'ANG': 'anger',
}
NAME = re.compile(r'(\d{4})_([A-Z]{3})_([A-Z]{3})_([A-Z]{1,2})')
LEVELS = ('LO', 'MD', 'HI', 'XX')
# The lists name this clip like all others, the file is named otherwise.
FILE_NAMES = {'1040_ITH_SAD_XX': '1040_ITH_SAD_X'}
CLIP_NAMES = {file: clip for clip, file in FILE_NAMES.items()}


def check_name(name: str) -> str:
    """Say what is wrong with the name of a clip.

    Args:
        name: File name without its ending.

    Returns:
        The problem, or ``''``.

    Example:
        >>> check_name('1001_IEO_HAP')
        "expected ACTOR_SENTENCE_EMOTION_LEVEL, got '1001_IEO_HAP'"
    """
    match = NAME.fullmatch(name)
    if match is None:
        return f'expected ACTOR_SENTENCE_EMOTION_LEVEL, got {name!r}'
    _, _, emotion, level = match.groups()
    advice = f'correct {name!r}'
    if emotion not in EMOTIONS:
        return choice_text('emotion', emotion, EMOTIONS, advice)
    if level not in LEVELS:
        return choice_text('level', level, LEVELS, advice)
    return ''


def read_list(path: Path, problems: list[str]) -> list[str]:
    """Read a list of clips: ``NAME,EMOTION`` or ``NAME``, without a header.

    Args:
        path: The file.
        problems: Takes one ``file:line: what is wrong`` per bad row.

    Returns:
        Names of the good rows.
    """
    names: list[str] = []
    before = len(problems)
    try:
        lines = csv.reader(io.StringIO(read_text(path), newline=''))
        for number, row in enumerate(lines, start=1):
            problem = check_row(row)
            if problem:
                problems.append(f'{path}:{number}: {problem}')
            elif row:
                names.append(row[0])
    except FileNotFoundError:
        problems.append(f'{path}: no such file')
    except ValueError as error:  # it names the file
        problems.append(str(error))
    except (OSError, csv.Error) as error:
        problems.append(f'{path}: cannot be read ({error})')
    if not names and len(problems) == before:
        problems.append(f'{path}: has no rows')
    return names


def check_row(row: Sequence[str]) -> str:
    """Say what is wrong with a row of a list.

    Args:
        row: Its cells; an empty line has none and is passed over.

    Returns:
        The problem, or ``''``.

    Example:
        >>> check_row(['1001_IEO_HAP_HI', 'SAD'])
        "the name says HAP, the second cell 'SAD'"
    """
    if not row:
        return ''
    if len(row) > 2:
        return f'expected "NAME,EMOTION", got {len(row)} cells: {row}'
    problem = check_name(row[0])
    if not problem and len(row) == 2 and row[1] != row[0].split('_')[2]:
        return f'the name says {row[0].split("_")[2]}, the second cell ' + (
            repr(row[1])
        )
    return problem


def split_by_actor(
    names: Iterable[str], counts: Mapping[str, int], seed: int
) -> dict[str, list[str]]:
    """Give whole actors to the splits, so that no voice is in two of them.

    The actors are ordered by a digest of seed and actor, which is the same on
    every machine and with every version of Python.

    Args:
        names: Names of the clips.
        counts: Number of actors by split; all others are trained on.
        seed: Of the order.

    Returns:
        Names by split.

    Raises:
        ValueError: If there are not more actors than asked for.

    Example:
        >>> names = ['1001_IEO_HAP_HI', '1002_IEO_HAP_HI', '1002_TIE_SAD_XX']
        >>> split_by_actor(names, {'test': 1}, 0)['test']
        ['1001_IEO_HAP_HI']
    """
    names = list(names)
    actors = sorted(
        {name.split('_')[0] for name in names},
        key=lambda actor: hashlib.sha256(f'{seed} {actor}'.encode()).digest(),
    )
    if sum(counts.values()) >= len(actors):
        raise ValueError(
            f'--test-actors and --val-actors must leave some of the '
            f'{len(actors)} actors to train on, got {dict(counts)}'
        )
    split_of = dict.fromkeys(actors, 'train')
    for split, count in counts.items():
        split_of |= dict.fromkeys(actors[:count], split)
        actors = actors[count:]
    found: dict[str, list[str]] = {split: [] for split in ('train', *counts)}
    for name in names:
        found[split_of[name.split('_')[0]]].append(name)
    return found
