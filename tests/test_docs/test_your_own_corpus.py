"""The page is run as it stands, block by block, on clips made here."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.data_prep.sound_tracks import noise, write_with_sound

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / 'docs' / 'your_own_corpus.md'
BLOCK = re.compile(r'^```(\w+)\n(.*?)^```$', re.MULTILINE | re.DOTALL)


def blocks() -> list[tuple[str, str]]:
    """Language and text of the fenced blocks that name a language."""
    return BLOCK.findall(PAGE.read_text('utf-8'))


def save(text: str, folder: Path) -> None:
    """Write a Python block to the file that its first line names."""
    name = text.splitlines()[0].removeprefix('# ')
    is_file = name.endswith(('.py', '.yml'))
    assert is_file, f'first line must name the file: {name}'
    (folder / name).write_text(text)


def run(text: str, folder: Path) -> str:
    path = os.pathsep.join(
        [str(Path(sys.executable).parent), os.environ['PATH']]
    )
    done = subprocess.run(
        ['bash', '-e', '-c', text],
        cwd=folder,
        capture_output=True,
        text=True,
        env={
            **os.environ,
            'PATH': path,
            'PYTHONPATH': str(ROOT),
            'PYTHONWARNINGS': 'ignore',
            'OMP_NUM_THREADS': '1',
        },
    )
    shown = done.stdout + done.stderr
    assert done.returncode == 0, f'{text}\n{shown[-4000:]}'
    return shown


@pytest.fixture(scope='module')
def workplace(tmp_path_factory) -> Path:
    """What a reader has: the repository, and three folders of clips."""
    folder = tmp_path_factory.mktemp('reader')
    for name in ('data_prep', 'tools'):
        (folder / name).symlink_to(ROOT / name)
    (folder / 'configs').mkdir()
    for path in (ROOT / 'configs').iterdir():
        (folder / 'configs' / path.name).symlink_to(path)
    for domain in ('kitchen', 'garden', 'street'):
        for name in ('walk', 'run'):
            clips = folder / 'data/mine/clips' / domain / name
            clips.mkdir(parents=True)
            for number in range(4):
                write_with_sound(
                    clips / f'clip {number}.mp4',
                    noise(1, 16000, 1, number),
                    16000,
                    'aac',
                )
    return folder


@pytest.fixture(scope='module')
def outputs(workplace) -> list[str]:
    """What the shell blocks print, in order."""
    shown = []
    for language, text in blocks():
        if language in ('python', 'yaml'):
            save(text, workplace)
        elif language == 'shell':
            shown.append(run(text, workplace))
    return shown


def test_every_block_is_of_a_kind_that_is_run():
    languages = [language for language, _ in blocks()]
    assert languages == [
        'shell', 'python', 'shell', 'shell', 'python', 'python',
        'shell', 'shell', 'yaml', 'shell',
    ]  # fmt: skip


@pytest.mark.slow
def test_sound_annotation_and_check(workplace, outputs):
    assert '24 of 24 written' in outputs[0]
    assert outputs[1].split() == ['train', '18', 'test', '6']
    assert '24 samples, 48 files' in outputs[2]
    assert 'no faults' in outputs[2]
    report = json.loads((workplace / 'data/mine/check.json').read_text())
    assert report['is_complete']
    assert (workplace / 'data/mine/skip.txt').read_text() == ''


def test_training_and_testing(workplace, outputs):
    work_dir = workplace / 'work_dirs/mine'
    assert (work_dir / 'epoch_1.pth').is_file()
    [log] = work_dir.glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert any('semantic_ratio_video' in line for line in lines)
    # 18 training clips in all, 12 of the sources: 3 batches of 4.
    assert max(line.get('iter', 0) for line in lines) == 3
    for key in ('acc/top1:', 'acc/top1_video:', 'acc/top1_audio:'):
        assert key in outputs[-2]


def test_a_plan_leaves_every_domain_out_once(outputs):
    lines = [x for x in outputs[-1].splitlines() if 'tools/train.py' in x]
    assert len(lines) == 2 * 3 * 3
    for domain in ('kitchen', 'garden', 'street'):
        chosen = [x for x in lines if f'protocol.target={domain}' in x]
        assert len(chosen) == 2 * 3
