r"""Run a script of this package, from a clone or an installed wheel.

    python -m mmgmp                                  # what there is
    python -m mmgmp mini_hac/render data/mini_hac
    python -m mmgmp hac/convert_annotations data/mini_hac/HAC_Splits \
        data/mini_hac
    python -m mmgmp train gmp_mini-hac --work-dir work_dirs/gmp
    python -m mmgmp demo work_dirs/gmp/best_acc_top1_epoch_12.pth clip.mp4

Scripts are named by their path below ``tools``, ``data_prep`` or ``demo``,
configs and plans by their file name.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
FOLDERS = ('tools', 'data_prep', 'demo')


def root() -> Path:
    """Return the folder that holds scripts and configs.

    That is the clone that the package is imported from, or what the wheel
    carries beside its modules.

    Raises:
        FileNotFoundError: If there is neither.
    """
    for folder in (HERE.parent, HERE / '.mim'):
        if all((folder / name).is_dir() for name in (*FOLDERS, 'configs')):
            return folder
    raise FileNotFoundError(
        f'{HERE} must be in a clone of mmgmp or hold .mim with {FOLDERS}; '
        'install the package again'
    )


def scripts(folder: Path) -> Iterator[tuple[str, Path, str]]:
    """Yield the scripts: name, path and what each says of itself.

    Args:
        folder: As :func:`root` returns it.
    """
    for kind in FOLDERS:
        for path in sorted((folder / kind).rglob('*.py')):
            text = path.read_text('utf-8')
            if '__main__' in text and not path.name.startswith('_'):
                name = path.relative_to(folder / kind).with_suffix('')
                says = (ast.get_docstring(ast.parse(text)) or '').split('\n')
                yield name.as_posix(), path, says[0]


def find(folder: Path, name: str) -> Path:
    """Return the script of a name.

    Args:
        folder: As :func:`root` returns it.
        name: With or without its folder and ending.

    Raises:
        ValueError: If there is none.
    """
    known = {short: path for short, path, _ in scripts(folder)}
    short = name.removesuffix('.py')
    for kind in FOLDERS:
        short = short.removeprefix(f'{kind}/')
    if short not in known:
        raise ValueError(
            f'the script must be one of {sorted(known)}, got {name!r}; '
            'python -m mmgmp lists them with what they do'
        )
    return known[short]


def locate(folder: Path, word: str) -> str:
    """Return the path of the config or plan that a word names.

    Args:
        folder: As :func:`root` returns it.
        word: A word of the command line.

    Returns:
        The path if exactly one config or plan bears the name and no file of
        that name is at hand, else the word.
    """
    if '/' in word or word.startswith('-') or Path(word).exists():
        return word
    found = [
        path
        for ending in ('', '.py', '.yml')
        for path in (folder / 'configs').rglob(f'{word}{ending}')
        if path.suffix in ('.py', '.yml') and '_base_' not in path.parts
    ]
    return str(found[0]) if len(found) == 1 else word


def main(argv: Sequence[str] | None = None) -> int:
    """Run a script, or list all.

    Args:
        argv: Name of the script and its arguments.

    Returns:
        Its exit status; 2 if there is no such script.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    folder = root()
    if not words or words[0] in ('-h', '--help'):
        lines = [f'  {name:<30}{says}' for name, _, says in scripts(folder)]
        text = '\n'.join([str(__doc__), str(folder), '', *lines, ''])
        sys.stdout.write(text)
        return 0
    try:
        script = find(folder, words[0])
    except ValueError as error:
        sys.stderr.write(f'mmgmp: {error}\n')
        return 2
    if script.is_relative_to(folder / 'tools'):  # these take configs
        words[1:] = [locate(folder, word) for word in words[1:]]
    command = [sys.executable, str(script), *words[1:]]
    return subprocess.run(command, check=False).returncode


if __name__ == '__main__':
    sys.exit(main())
