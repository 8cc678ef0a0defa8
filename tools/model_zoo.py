"""Bring metafiles, model-index.yml and the tables of the READMEs up to date.

Run it after adding or removing a config, or after writing a measured result
into a metafile::

    python tools/model_zoo.py          # rewrite what is out of date
    python tools/model_zoo.py --check  # only say what is, and fail

Every folder of algorithms in ``configs`` keeps a ``metafile.yml`` with one
model for each config in and below it. ``Collections`` and, in each model,
``Results``, ``Weights`` and ``In Collection`` are written by hand and kept;
the rest follows from the name ``{algorithm}_{corpus}.py``. A result is of one
unseen domain, named in its ``Dataset``::

    Results:
    - Dataset: HAC, target cartoon
      Task: Multimodal Domain Generalization
      Metrics: {top1 acc: 61.5}
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
START, STOP = '<!-- model zoo -->', '<!-- end of model zoo -->'
CORPORA = {
    'hac': 'HAC',
    'epic': 'EPIC-Kitchens',
    'epic-clips': 'EPIC-Kitchens, one file per action',
    'mini-hac': 'mini-HAC (synthetic)',
    'crema-d': 'CREMA-D',
    'kinetics-sounds': 'Kinetics-Sounds',
    'hust': 'HUST motor',
    'pretext': 'mini-HAC pretext (synthetic)',
}
TASK = 'Multimodal Domain Generalization'
METRIC = 'top1 acc'
KEPT = ('Results', 'Weights')


def parse_name(path: Path) -> tuple[str, str]:
    """Read algorithm and corpus off a config's name.

    Args:
        path: The config.

    Returns:
        Algorithm and corpus.

    Raises:
        ValueError: If the name does not follow the pattern.

    Example:
        >>> parse_name(Path('configs/mmdg/cmrf-gmp_epic-clips.py'))
        ('cmrf-gmp', 'epic-clips')
    """
    algorithm, _, corpus = path.stem.partition('_')
    if not algorithm or corpus not in CORPORA:
        raise ValueError(
            'a config must be named {algorithm}_{corpus}.py with a corpus of '
            f'{list(CORPORA)}, got {path.name}; see docs/configs.md'
        )
    return algorithm, corpus


def describe(path: Path, collection: str) -> dict[str, Any]:
    """Make the entry of one config, without results.

    Args:
        path: The config, below the root.
        collection: Its collection.

    Returns:
        Entry of ``Models``.
    """
    _, corpus = parse_name(path)
    return {
        'Name': path.stem,
        'Config': path.relative_to(ROOT).as_posix(),
        'In Collection': collection,
        'Metadata': {'Training Data': CORPORA[corpus]},
    }


def choose_collection(algorithm: str, names: Sequence[str]) -> str:
    """Choose the collection that an algorithm's name begins with.

    Args:
        algorithm: First part of the config's name.
        names: Names of the collections.

    Returns:
        The longest that fits, else the first.

    Example:
        >>> choose_collection('rna-net-gmp', ['MOOSA', 'RNA-Net'])
        'RNA-Net'
    """
    fitting = [
        name
        for name in names
        if algorithm.startswith(re.sub(r'[^a-z0-9]+', '-', name.lower()))
    ]
    return max(fitting, key=len, default=names[0])


def folders() -> list[Path]:
    """List the folders of ``configs`` that keep a metafile."""
    return sorted(
        path.parent for path in (ROOT / 'configs').glob('*/metafile.yml')
    )


def read_metafile(folder: Path) -> dict[str, Any]:
    """Read what a metafile says, and check that it names a collection.

    Args:
        folder: Folder of ``configs``.

    Returns:
        Its content.

    Raises:
        ValueError: If there is none.
    """
    path = folder / 'metafile.yml'
    content = yaml.safe_load(path.read_text('utf-8'))
    if not (content or {}).get('Collections'):
        raise ValueError(
            f'{path.relative_to(ROOT)} must name at least one of Collections; '
            'begin it by hand as configs/gmp/metafile.yml does, and put a '
            f'README.md with the lines {START!r} and {STOP!r} beside it'
        )
    return dict(content)


def update_metafile(folder: Path) -> tuple[str, list[dict[str, Any]]]:
    """Make the metafile of a folder anew.

    Args:
        folder: Folder of ``configs``.

    Returns:
        Its text and its models.
    """
    content = read_metafile(folder)
    old = {model['Config']: model for model in content.get('Models') or ()}
    names = [collection['Name'] for collection in content['Collections']]
    models = []
    for path in sorted(folder.rglob('*.py')):
        before = old.get(path.relative_to(ROOT).as_posix(), {})
        collection = before.get('In Collection') or choose_collection(
            parse_name(path)[0], names
        )
        model = describe(path, collection)
        model.update({key: before[key] for key in KEPT if key in before})
        models.append(model)
    text = yaml.safe_dump(
        {'Collections': content['Collections'], 'Models': models},
        sort_keys=False,
        allow_unicode=True,
    )
    return text, models


def measured(model: Mapping[str, Any]) -> str:
    """Return a model's measured top-1 accuracies, ``''`` without one.

    Args:
        model: Entry of a metafile.

    Example:
        >>> measured({'Results': [{
        ...     'Dataset': 'HAC, target cartoon', 'Task': TASK,
        ...     'Metrics': {'top1 acc': 61.5}}]})
        'cartoon 61.5'
    """
    return ', '.join(
        f'{result["Dataset"].split("target ")[-1]} {result["Metrics"][METRIC]}'
        for result in model.get('Results') or ()
        if result['Task'] == TASK and METRIC in result['Metrics']
    )


def table(models: Sequence[Mapping[str, Any]], folder: Path) -> Iterator[str]:
    """Make the table of a folder: algorithms by corpora.

    Args:
        models: Entries of its metafile.
        folder: Folder that links start from.

    Yields:
        Lines of Markdown.
    """
    rows: dict[str, dict[str, str]] = {}
    for model in models:
        path = ROOT / model['Config']
        algorithm, corpus = parse_name(path)
        link = path.relative_to(folder).as_posix()
        text = measured(model) or 'config'
        rows.setdefault(algorithm, {})[corpus] = f'[{text}]({link})'
    there = {corpus for cells in rows.values() for corpus in cells}
    corpora = [corpus for corpus in CORPORA if corpus in there]
    titles = ' | '.join(CORPORA[corpus] for corpus in corpora)
    yield f'| algorithm | {titles} |'
    yield '|' + ' --- |' * (len(corpora) + 1)
    for algorithm, cells in sorted(rows.items()):
        filled = ' | '.join(cells.get(corpus, '') for corpus in corpora)
        yield f'| `{algorithm}` | {filled} |'
    yield ''


def summary(
    index: Mapping[Path, Sequence[Mapping[str, Any]]],
) -> Iterator[str]:
    """Make the lines of the overview: a row per folder.

    Args:
        index: Models by folder.

    Yields:
        Lines of Markdown.
    """
    yield '| folder | configs | with a measured result |'
    yield '| --- | --- | --- |'
    for folder, models in index.items():
        path = folder.relative_to(ROOT).as_posix()
        count = sum(bool(measured(model)) for model in models)
        yield f'| [`{path}`]({path}/README.md) | {len(models)} | {count} |'
    yield ''


def insert(path: Path, lines: Iterator[str]) -> str:
    """Replace what stands between the two markers of a file.

    Args:
        path: A Markdown file.
        lines: The new lines.

    Returns:
        The new text.

    Raises:
        ValueError: If the file lacks the markers.
    """
    text = path.read_text('utf-8') if path.is_file() else ''
    if text.count(START) != 1 or text.count(STOP) != 1:
        raise ValueError(
            f'{path.relative_to(ROOT)} must hold the lines {START!r} and '
            f'{STOP!r} once each; the tables are put between them'
        )
    head, rest = text.split(START)
    tail = rest.split(STOP)[1]
    body = '\n'.join(lines)
    return f'{head}{START}\n\n{body}\n{STOP}{tail}'


def make_all() -> dict[Path, str]:
    """Make every file anew.

    Returns:
        Text by path.
    """
    made: dict[Path, str] = {}
    index = {}
    for folder in folders():
        text, models = update_metafile(folder)
        index[folder] = models
        made[folder / 'metafile.yml'] = text
        readme = folder / 'README.md'
        made[readme] = insert(readme, table(models, folder))
    imports = sorted(
        (folder / 'metafile.yml').relative_to(ROOT).as_posix()
        for folder in index
    )
    made[ROOT / 'model-index.yml'] = yaml.safe_dump({'Import': imports})
    made[ROOT / 'README.md'] = insert(ROOT / 'README.md', summary(index))
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Rewrite, or with ``--check`` only compare.

    Args:
        argv: Command line; ``None`` takes the process's own.

    Returns:
        Exit status: 1 if something is or cannot be brought up to date.
    """
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        '--check', action='store_true', help='write nothing, fail if stale'
    )
    args = parser.parse_args(argv)
    try:
        made = make_all()
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    stale = [
        path
        for path, text in made.items()
        if not path.is_file() or path.read_text('utf-8') != text
    ]
    for path in stale:
        print(f'{path.relative_to(ROOT)}', file=sys.stderr)
        if not args.check:
            path.write_text(made[path], 'utf-8')
    if stale and args.check:
        print('out of date: run python tools/model_zoo.py', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
