"""The files on the page are taken from it and used."""

from __future__ import annotations

import importlib
import math
import re
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmgmp.registry import MODELS, MODULATIONS, RUNNERS
from mmgmp.structures import BatchSignals, MultiModalBatch, Task
from tests.shipped import ROOT, small

FILES = {
    text.splitlines()[0].removeprefix('# '): text
    for text in re.findall(
        r'^```python\n(.*?)^```$',
        (ROOT / 'docs' / 'extending.md').read_text('utf-8'),
        re.MULTILINE | re.DOTALL,
    )
}
CONFIG = 'mine_mini-hac.py'


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder: Path = tmp_path_factory.mktemp('reader')
    for name, text in FILES.items():
        (folder / name).write_text(text)
    (folder / 'configs').symlink_to(ROOT / 'configs')
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        for name in FILES:
            if name != CONFIG:
                importlib.import_module(name.removesuffix('.py'))
        yield folder


def test_the_page_has_four_files():
    assert len(FILES) == 4
    assert CONFIG in FILES


def test_the_strategy(folder):
    strategy = MODULATIONS.build(dict(type='DampLeader', factor=0.25))
    signals = BatchSignals(
        ('video', 'audio'), torch.tensor([2.0, 0.5]), torch.ones(2)
    )
    factors = strategy.coefficients(signals)
    assert factors.of(Task.CLASSIFICATION).tolist() == [0.25, 1.0]
    assert factors.of(Task.DOMAIN).tolist() == [1.0, 1.0]
    with pytest.raises(ValueError, match=r'factor of DampLeader .* got 2'):
        MODULATIONS.build(dict(type='DampLeader', factor=2))


def test_the_fusion(folder):
    widths = {'video': 3, 'audio': 2}
    fusion = MODELS.build(
        dict(type='MaxFusion', in_channels=widths, out_channels=4)
    )
    features = {m: torch.randn(5, d) for m, d in widths.items()}
    fused = fusion(features)
    assert fused.shape == (5, 4)
    parts = [fusion.projections[m](x) for m, x in features.items()]
    assert torch.equal(fused, torch.maximum(*parts))
    assert torch.equal(
        fused[:2], fusion({m: x[:2] for m, x in features.items()})
    )


def test_the_method(folder):
    method = MODELS.build(
        dict(
            type='DomainMeansMethod',
            in_channels={'audio': 1},
            num_classes=2,
            weight=3.0,
        )
    )
    # Means 2 and -1 of two and four samples, 0 of all: (2*4 + 4*1) / 6 = 2.
    feature = torch.tensor([[1.0], [3.0], [-1.0], [-1.0], [-2.0], [0.0]])
    batch = MultiModalBatch(
        {'audio': feature},
        labels=torch.zeros(6, dtype=torch.long),
        domain_labels=torch.tensor([0, 0, 2, 2, 2, 2]),  # the batch lacks 1
        fused=feature,
        logits=feature,
    )
    losses = method.losses(batch)
    assert losses[Task.DOMAIN]['means'].item() == pytest.approx(6)


def test_the_config_trains(folder, mini_hac, tmp_path):
    config = small(Config.fromfile(folder / CONFIG), mini_hac, tmp_path)
    runner = RUNNERS.build(config)
    runner.train()
    hub = runner.message_hub
    losses, _ = hub.get_scalar('train/loss_domain_means').data
    assert len(losses) == 2
    assert all(math.isfinite(loss) and loss > 0 for loss in losses)
    factors = {
        hub.get_scalar(f'train/semantic_coefficient_{m}').data[0][-1]
        for m in ('video', 'audio')
    }
    # One of two modalities is ahead in every step.
    assert factors == {0.5, 1.0}
