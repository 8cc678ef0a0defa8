"""What the scripts here share with MMAction2's: their names and configs."""

from __future__ import annotations

import argparse
import runpy
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import mmaction
from mmengine.config import Config, DictAction

TOOLS = Path(mmaction.__file__).parent / '.mim' / 'tools'
_BY_EPOCH = {'EpochBasedTrainLoop': True, 'IterBasedTrainLoop': False}
_HOOK = "default_hooks = dict(visualization=dict(type='{}'))\n"


def complete(word: str) -> str:
    """Add the ending to a config that is named without it.

    ``mim search`` prints names without an ending, and ``mim train`` hands on
    what it is given.

    Args:
        word: A word of the command line.

    Returns:
        The word, or the path of a config of that name.
    """
    path = Path(f'{word}.py')
    is_config = 'configs' in path.parts and path.is_file()
    return str(path) if is_config else word


def find_config(words: Sequence[str]) -> int | None:
    """Return the place of the config in a command line, None without one.

    Args:
        words: The command line.
    """
    return next(
        (
            place
            for place, word in enumerate(words)
            if word.endswith('.py') and Path(word).is_file()
        ),
        None,
    )


def add_visualization(words: Sequence[str], folder: Path) -> list[str]:
    """Give the config of ``test.py --show-dir`` a hook that draws.

    The script wants one before it reads ``--cfg-options``.

    Args:
        words: The command line.
        folder: Where a config that inherits from the named one goes.

    Returns:
        The command line with that config, if it was needed.
    """
    place = find_config(words)
    wanted = any(word.startswith('--show') for word in words)
    if place is None or not wanted:
        return list(words)
    path = Path(words[place]).resolve()
    config = Config.fromfile(path, import_custom_modules=False)
    if 'visualization' in (config.get('default_hooks') or {}):
        return list(words)
    # Its name is that of the run.
    draft = folder / path.name
    hook = _HOOK.format('BranchVisualizationHook')
    draft.write_text(f'_base_ = {str(path)!r}\n{hook}', 'utf-8')
    return [*words[:place], str(draft), *words[place + 1 :]]


def write_out(words: Sequence[str], folder: Path) -> list[str]:
    """Put a config whose protocol is written out in place of the named one.

    Only ``train.py`` and ``test.py`` of MMAction2 build the runner that does
    it. ``--cfg-options`` are in the written config, so scripts without that
    option can be given them, too.

    Args:
        words: The command line, without the script.
        folder: Where the config goes.

    Returns:
        The command line with that config; as it was without a protocol.
    """
    from mmgmp.utils.protocol import resolve_protocol

    place = find_config(words)
    if place is None:
        return list(words)
    path = Path(words[place])
    config = Config.fromfile(path)
    if config.get('protocol') is None:
        return list(words)
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, default={}
    )
    found, rest = parser.parse_known_args(list(words))
    config.merge_from_dict(found.cfg_options)
    config = resolve_protocol(config)
    kind = config.train_cfg.get('type') if config.get('train_cfg') else None
    if kind in _BY_EPOCH:
        # vis_scheduler.py knows no other way of saying it.
        del config.train_cfg['type']
        config.train_cfg.by_epoch = _BY_EPOCH[kind]
    plain = folder / path.name
    config.dump(plain)
    return [str(plain) if word == words[place] else word for word in rest]


def run(name: str) -> None:
    """Run MMAction2's own script on this process's command line.

    Args:
        name: ``train.py`` or ``test.py``.
    """
    words = [complete(word) for word in sys.argv[1:]]
    with tempfile.TemporaryDirectory() as folder:
        if name == 'test.py':
            words = add_visualization(words, Path(folder))
        sys.argv[1:] = words
        runpy.run_path(str(TOOLS / name), run_name='__main__')
