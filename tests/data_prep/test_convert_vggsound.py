"""The converter against the original network, with random numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from mmgmp.models.encoders import ModalityEncoder

from .conftest import import_script

AUDIO = dict(type='ResNet', depth=18, in_channels=1)


class Block(nn.Module):
    """Basic block, named as in the file."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        if stride > 1:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False),
                nn.BatchNorm2d(outputs),
            )

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
        return (out + getattr(self, 'downsample', nn.Identity())(x)).relu()


class Original(nn.Module):
    """ResNet-18 on one channel with average pooling, as in the file."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.pool = nn.MaxPool2d(3, 2, 1)
        inputs = 64
        for layer, outputs in enumerate((64, 128, 256, 512), start=1):
            blocks = nn.Sequential(
                Block(inputs, outputs, 1 if layer == 1 else 2),
                Block(outputs, outputs, 1),
            )
            self.add_module(f'layer{layer}', blocks)
            inputs = outputs
        self.fc = nn.Linear(512, 309)

    def features(self, x: Tensor) -> Tensor:
        x = self.pool(self.bn1(self.conv1(x)).relu())
        for layer in range(1, 5):
            x = self.get_submodule(f'layer{layer}')(x)
        return x.mean((2, 3))


@pytest.fixture(scope='module')
def original() -> Original:
    torch.manual_seed(0)
    network = Original().eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values in (module.running_mean, module.bias):
                nn.init.normal_(values, std=0.1)
            for values in (module.running_var, module.weight):
                nn.init.uniform_(values, 0.5, 1.5)
    return network


def write(path: Path, network: nn.Module, key: str = 'model_state_dict'):
    weights = {f'audnet.{k}': v for k, v in network.state_dict().items()}
    torch.save({key: weights, 'epoch': 3}, path)
    return path


@pytest.fixture(scope='module')
def script():
    return import_script('checkpoints', 'convert_vggsound')


@pytest.fixture
def converted(script, original, tmp_path, capsys):
    source = write(tmp_path / 'in.pth.tar', original)
    target = tmp_path / 'made' / 'out.pth'
    assert script.main([str(source), str(target)]) == 0
    assert 'fc.weight, fc.bias) dropped' in capsys.readouterr().out
    return target


def test_the_file_has_the_documented_layout(original):
    weights = original.state_dict()
    assert len(weights) == 122
    assert weights['fc.weight'].shape == (309, 512)
    assert weights['layer4.0.downsample.0.weight'].shape == (512, 256, 1, 1)


def test_features_equal_the_originals(original, converted):
    state = torch.load(converted, weights_only=True)
    assert set(state) == {'state_dict'}
    encoder = ModalityEncoder(AUDIO, pretrained=str(converted))
    assert set(state['state_dict']) == set(encoder.backbone.state_dict())
    encoder.init_weights()
    inputs = torch.randn(2, 1, 129, 200)
    with torch.no_grad():
        expected = original.features(inputs)
        torch.testing.assert_close(encoder.eval()(inputs), expected)
    assert expected.std() > 1e-3


def test_a_changed_network_is_refused(script, original, tmp_path, capsys):
    weights = dict(original.state_dict())
    weights['layer5.weight'] = weights.pop('layer4.1.bn2.bias')
    source = tmp_path / 'in.pth'
    torch.save({'model_state_dict': weights}, source)
    assert script.main([str(source), str(tmp_path / 'out.pth')]) == 1
    message = capsys.readouterr().err
    assert "missing ['layer4.1.bn2.bias']" in message
    assert "unexpected ['layer5.weight']" in message
    assert not (tmp_path / 'out.pth').exists()


@pytest.mark.parametrize('content', [b'', b'not a checkpoint'])
def test_other_files_are_refused(script, tmp_path, capsys, content):
    source = tmp_path / 'in.pth'
    source.write_bytes(content)
    assert script.main([str(source), str(tmp_path / 'out.pth')]) == 1
    assert 'must be a whole checkpoint' in capsys.readouterr().err


@pytest.mark.parametrize('is_zip', [True, False])
def test_a_file_cut_anywhere_is_named(script, tmp_path, capsys, is_zip):
    """The original is in PyTorch's older form, which is no archive."""
    source = tmp_path / 'in.pth'
    weights = {f'audnet.{i}': torch.ones(9) for i in range(4)}
    torch.save(
        {'model_state_dict': weights},
        source,
        _use_new_zipfile_serialization=is_zip,
    )
    content = source.read_bytes()
    for length in range(0, len(content), 23):
        source.write_bytes(content[:length])
        assert script.main([str(source), str(tmp_path / 'out.pth')]) == 1
        shown = capsys.readouterr().err
        assert f'{source}' in shown, length
        assert 'must be a whole checkpoint' in shown, length
    assert not (tmp_path / 'out.pth').exists()


@pytest.mark.parametrize('content', [{1: 2, 'a': 3}, torch.zeros(3)])
def test_other_content_is_said_by_its_type(script, tmp_path, capsys, content):
    torch.save(content, tmp_path / 'in.pth')
    argv = [str(tmp_path / 'in.pth'), str(tmp_path / 'out.pth')]
    assert script.main(argv) == 1
    assert 'must hold a model_state_dict, got ' in capsys.readouterr().err


@pytest.mark.parametrize('kind', ['folder', 'file'])
def test_a_place_that_cannot_be_written_is_said(
    script, original, tmp_path, capsys, kind
):
    source = write(tmp_path / 'in.pth', original)
    target = tmp_path / 'made' / 'out.pth'
    if kind == 'folder':
        target.mkdir(parents=True)
    else:
        target.parent.write_text('mine')
    assert script.main([str(source), str(target)]) == 1
    shown = capsys.readouterr()
    assert str(target.parent) in shown.err
    assert shown.out == ''
    assert not list(tmp_path.rglob('.*'))


def test_another_checkpoint_is_refused(script, original, tmp_path, capsys):
    source = write(tmp_path / 'in.pth', original, key='state_dict')
    assert script.main([str(source), str(tmp_path / 'out.pth')]) == 1
    assert 'must hold a model_state_dict' in capsys.readouterr().err


def test_a_missing_file_is_said(script, tmp_path, capsys):
    missing = str(tmp_path / 'none.pth')
    assert script.main([missing, str(tmp_path / 'out.pth')]) == 1
    assert 'none.pth' in capsys.readouterr().err
