"""Lists of classes, and the CSVs of Kinetics."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mmgmp.utils.checks import choice_text
from mmgmp.utils.text_files import read_text

COLUMNS = ('label', 'youtube_id', 'time_start', 'time_end', 'split')
HELD_OUT = ('val', 'validate', 'test')
#: What a row may say by the split that its CSV is given as.
SPLITS = {'train': ('train',), 'val': HELD_OUT, 'test': HELD_OUT}


def read_classes(path: Path, problems: list[str]) -> list[str]:
    """Read a list of classes, one a line; lines with ``#`` are comments.

    Args:
        path: The file.
        problems: Takes what is wrong.

    Returns:
        The names, in label order.
    """
    try:
        lines = read_text(path).splitlines()
    except (OSError, ValueError) as error:
        problems.append(f'{path}: {error}')
        return []
    names = [x.strip() for x in lines if x.strip() and x[0] != '#']
    twice = [name for name, count in Counter(names).items() if count > 1]
    if len(names) < 2 or twice:
        problems.append(
            f'{path}: must name two classes or more, each once, got '
            f'{len(names)}, {twice} twice'
        )
    return names


def read_rows(
    path: Path, split: str, classes: Sequence[str], problems: list[str]
) -> Iterator[dict[str, str]]:
    """Read the rows of one CSV that are of the classes.

    Args:
        path: The file, with a header.
        split: What it is given as.
        classes: Names of the classes; other rows are passed over.
        problems: Takes one ``file:line: what is wrong`` per bad row.

    Yields:
        The good rows.
    """
    try:
        reader = csv.DictReader(io.StringIO(read_text(path), newline=''))
        lacking = [c for c in COLUMNS if c not in (reader.fieldnames or ())]
        if lacking:
            problems.append(
                f'{path}: must have the columns {list(COLUMNS)}, lacks '
                f'{lacking}'
            )
            return
        for row in reader:
            if row['label'] not in classes:
                continue
            problem = check_row(row, split)
            if problem:
                problems.append(f'{path}:{reader.line_num}: {problem}')
            else:
                yield row
    except FileNotFoundError:
        problems.append(f'{path}: no such file')
    except ValueError as error:  # it names the file
        problems.append(str(error))
    except (OSError, csv.Error) as error:
        problems.append(f'{path}: cannot be read ({error})')


def check_row(row: Mapping[str, str], split: str) -> str:
    """Say what is wrong with a row.

    Args:
        row: Cells by column.
        split: What its CSV is given as.

    Returns:
        The problem, or ``''``.

    Example:
        >>> check_row(dict(label='singing', youtube_id='-9nQwLUdlJo',
        ...     time_start='5', time_end='5', split='train'), 'train')
        'time_end must come after time_start, whole seconds, got 5 and 5'
    """
    if not re.fullmatch(r'[\w-]{11}', row['youtube_id'] or '', re.ASCII):
        return f'youtube_id must have 11 letters, got {row["youtube_id"]!r}'
    start, stop = row['time_start'] or '', row['time_end'] or ''
    is_number = all(re.fullmatch(r'\d{1,6}', text) for text in (start, stop))
    if not is_number or int(stop) <= int(start):
        return (
            'time_end must come after time_start, whole seconds, got '
            f'{start} and {stop}'
        )
    if row['split'] not in SPLITS[split]:
        return choice_text(
            f'split of the --{split} CSV', row['split'], SPLITS[split],
            'are two files exchanged?',
        )  # fmt: skip
    return ''
