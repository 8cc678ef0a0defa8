"""The paper's networks, really run through the stock scripts.

On generated media in the official layouts of both corpora and on generated
weights in the official layouts of the three checkpoints: everything but the
numbers is as in a real run, so no option of the configs is touched but those
that make it short.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import mmaction
import mmcv
import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmgmp.registry import MODELS
from mmgmp.testing.media import write_audio, write_video
from tests.data_prep.official_pickles import rows_of, write_split
from tests.data_prep.test_convert_vggsound import Original, write

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = Path(mmaction.__file__).parent / '.mim' / 'tools'
KITCHENS = {'D1': 'P08', 'D2': 'P01', 'D3': 'P22'}
FRAMES = 80

pytestmark = pytest.mark.slow


def noise(*shape: int) -> np.ndarray:
    return np.random.randint(0, 256, shape, np.uint8)


def write_hac(root: Path) -> None:
    """Two clips per domain and split: 340x256 video, sound, flow, CSVs."""
    for domain in ('human', 'animal', 'cartoon'):
        for part in ('videos', 'audio', 'flow'):
            (root / domain / part).mkdir(parents=True)
        for split in ('train', 'test'):
            rows = []
            for label in range(2):
                name = f'{split} {label}'
                rows.append(f'{name}.mp4,{label}\r\n')
                frames = noise(FRAMES, 32, 42, 3).repeat(8, 1).repeat(8, 2)
                write_video(root / domain / 'videos' / f'{name}.mp4', frames)
                write_audio(
                    root / domain / 'audio' / f'{name}.wav',
                    np.random.uniform(-0.5, 0.5, 16000 * FRAMES // 24),
                )
                for axis in 'xy':
                    path = root / domain / 'flow' / f'{name}_flow_{axis}.mp4'
                    write_video(path, frames)
            folder = root / 'HAC_Splits'
            folder.mkdir(exist_ok=True)
            path = folder / f'HAC_{split}_only_{domain}.csv'
            path.write_bytes(''.join(rows).encode())


def write_epic(root: Path) -> None:
    """One recording per domain and split as 456x256 frames, and pickles."""
    splits = root / 'MM-SADA_Domain_Adaptation_Splits'
    splits.mkdir(parents=True)
    for domain, kitchen in KITCHENS.items():
        for split in ('train', 'test'):
            rows = rows_of(domain, kitchen, 4)
            rows = rows[:2] if split == 'train' else rows[2:]
            for number, row in enumerate(rows):
                row.update(
                    video_id=f'{kitchen}_01',
                    start_timestamp='00:00:00.10',
                    stop_timestamp='00:00:01.20',
                    start_frame=6 + number,
                    stop_frame=72 + number,
                    verb_class=number,
                )
            write_split(splits, domain, split, rows)
            place = f'{split}/{domain}/{kitchen}_01'
            for part, count in (
                (f'rgb/{place}', FRAMES),
                (f'flow/{place}/u', FRAMES // 2),
                (f'flow/{place}/v', FRAMES // 2),
            ):
                image = noise(32, 57, 3).repeat(8, 0).repeat(8, 1)
                for frame in range(1, count + 1):
                    path = root / part / f'frame_{frame:010}.jpg'
                    mmcv.imwrite(np.roll(image, frame, 0), str(path))
            write_audio(
                root / f'rgb/{place}.wav',
                np.random.uniform(-0.5, 0.5, 16000 * 2),
            )


def write_weights(folder: Path) -> None:
    """Random numbers in the layouts of the official files."""
    base = ROOT / 'configs' / '_base_' / 'models'
    encoders = Config.fromfile(base / 'slowfast-r101_r18_slowonly-r50.py')
    folder.mkdir()
    for modality, head in (('video', 2304), ('flow', 2048)):
        encoder = encoders.model.encoders[modality].to_dict()
        backbone = MODELS.build(encoder['backbone'])
        backbone.init_weights()
        state = {f'backbone.{k}': v for k, v in backbone.state_dict().items()}
        state['cls_head.fc_cls.weight'] = torch.zeros(400, head)
        state['cls_head.fc_cls.bias'] = torch.zeros(400)
        target = folder / Path(encoder['pretrained']['checkpoint']).name
        torch.save({'meta': {'epoch': 256}, 'state_dict': state}, target)
    source = write(folder / 'H.pth.tar', Original())
    convert(
        'checkpoints/convert_vggsound.py',
        source,
        folder / 'vggsound_resnet18_avgpool.pth',
    )


def convert(script: str, *arguments: object) -> None:
    words = [sys.executable, ROOT / 'data_prep' / script, *arguments]
    subprocess.run([str(word) for word in words], check=True)


@pytest.fixture(scope='module')
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory as a user has it: data/HAC, data/EPIC, checkpoints."""
    root = tmp_path_factory.mktemp('full_size')
    np.random.seed(0)
    write_hac(root / 'data' / 'HAC')
    write_epic(root / 'data' / 'EPIC')
    for corpus, splits in (
        ('hac', 'HAC/HAC_Splits'),
        ('epic', 'EPIC/MM-SADA_Domain_Adaptation_Splits'),
    ):
        folder = root / 'data' / splits
        convert(
            f'{corpus}/convert_annotations.py', folder, folder.parent, '--flow'
        )
    write_weights(root / 'checkpoints')
    yield root
    for path in root.rglob('*.pth'):
        path.unlink()  # some 2 GB


def run(workplace: Path, *words: object) -> tuple[str, float]:
    """Run a stock script; return its log and its peak memory in GiB."""
    log = workplace / 'log.txt'
    with log.open('w') as file:
        process = subprocess.Popen(
            [sys.executable, '-W', 'ignore', *map(str, words)],
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd=workplace,
            env={**os.environ, 'OMP_NUM_THREADS': '2'},
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    text = log.read_text()
    assert process.returncode == 0, text[-5000:]
    return text, usage.ru_maxrss / 2**20


def options(batch_size: int) -> list[str]:
    """Two training steps and one batch of validation and test."""
    words = ['--cfg-options', 'train_cfg.max_epochs=1']
    words += ['default_hooks.logger.interval=1']
    for part, indices in (('train', 2 * batch_size), ('val', 1), ('test', 1)):
        words += [
            f'{part}_dataloader.dataset.indices={indices}',
            f'{part}_dataloader.batch_size={batch_size}',
            f'{part}_dataloader.num_workers=0',
            f'{part}_dataloader.persistent_workers=False',
        ]
    return words


@pytest.mark.parametrize(
    ('config', 'target', 'modalities', 'batch_size'),
    [
        pytest.param(
            'gmp/gmp_hac',
            'human',
            ('video', 'audio'),
            2,
            id='hac-va',
        ),
        pytest.param(
            'gmp/gmp_epic',
            'D1',
            ('video', 'audio'),
            2,
            id='epic-va',
        ),
        pytest.param(
            'gmp/gmp_epic',
            'D3',
            ('video', 'audio', 'flow'),
            1,
            id='epic-vaf',
        ),
        pytest.param(
            'gmp/gmp_hac',
            'animal',
            ('audio', 'flow'),
            2,
            id='hac-af',
        ),
        pytest.param(
            'gmp/variant_u/gmp-u-literal_hac',
            'human',
            ('video', 'audio'),
            2,
            id='hac-va-literal',
        ),
    ],
)
def test_train_and_test(
    config, target, modalities, batch_size, workplace, tmp_path
):
    path = ROOT / 'configs' / f'{config}.py'
    protocol = [
        f'protocol.target={target}',
        f'protocol.modalities=[{",".join(modalities)}]',
    ]
    log, trained = run(
        workplace,
        SCRIPTS / 'train.py',
        path,
        '--work-dir',
        tmp_path,
        '--seed',
        0,
        *options(batch_size),
        *protocol,
    )
    scalars = max(tmp_path.glob('*/vis_data/scalars.json')).read_text()
    steps = [json.loads(line) for line in scalars.splitlines()]
    steps = [step for step in steps if 'loss' in step]
    assert len(steps) == 2
    for step in steps:
        assert math.isfinite(step['loss'])
        for modality in modalities:
            assert f'semantic_ratio_{modality}' in step
    # The frozen stages are those of the files, the last ones have moved.
    state = torch.load(tmp_path / 'epoch_1.pth', weights_only=True)
    for modality in modalities:
        assert_only_the_last_stage_moved(
            state['state_dict'], modality, workplace / 'checkpoints', log
        )
    log, tested = run(
        workplace,
        SCRIPTS / 'test.py',
        tmp_path / path.name,  # as MMEngine wrote it out
        tmp_path / 'epoch_1.pth',
        '--work-dir',
        tmp_path / 'test',
        *options(batch_size),
    )
    for modality in modalities:
        assert f'acc/top1_{modality}' in log
    (tmp_path / 'epoch_1.pth').unlink()
    with (workplace / 'memory.txt').open('a') as file:
        file.write(
            f'{config} {protocol}: {trained:.2f} GiB, test {tested:.2f}\n'
        )


def assert_only_the_last_stage_moved(state, modality, folder, log):
    names = {
        'video': 'slowfast_r101_8x8x1_256e_kinetics400_rgb_20210218-'
        '0dd54025.pth',
        'audio': 'vggsound_resnet18_avgpool.pth',
        'flow': 'slowonly_r50_8x8x1_256e_kinetics400_flow_20200704-'
        '6b384243.pth',
    }
    assert f'{names[modality]} loaded' in log
    loaded = torch.load(folder / names[modality], weights_only=True)
    checked = 0
    for name, value in loaded['state_dict'].items():
        name = name.removeprefix('backbone.')
        if not name.endswith('conv.weight') or name.startswith('cls_head'):
            continue
        now = state[f'encoders.{modality}.backbone.{name}']
        assert torch.equal(now, value) is ('layer4' not in name), name
        checked += 1
    assert checked >= 20
