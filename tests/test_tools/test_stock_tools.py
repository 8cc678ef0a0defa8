"""MMAction2's own tools on a config of this package, in this process."""

from __future__ import annotations

import importlib
import json
import runpy
import sys
from pathlib import Path

import av
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmgmp.registry import MODELS
from tests.shipped import GMP, ROOT, load

TOOLS = ROOT / 'tools'


@pytest.fixture
def script(monkeypatch, capsys):
    """Run a script as the command line does, and return what it prints."""
    monkeypatch.setenv('MPLBACKEND', 'Agg')
    monkeypatch.setenv('LOCAL_RANK', '0')
    monkeypatch.syspath_prepend(str(TOOLS))

    def run(name, *words):
        monkeypatch.setattr(sys, 'argv', [name, *map(str, words)])
        code = 0
        try:
            runpy.run_path(str(TOOLS / name), run_name='__main__')
        except SystemExit as end:
            code = end.code or 0
        shown = capsys.readouterr()
        assert code == 0, shown.out + shown.err
        return shown.out + shown.err

    return run


@pytest.fixture
def stock(script):
    return lambda *words: script('stock.py', *words)


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp('model') / 'model.pth'
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmaction'):
        state = MODELS.build(load().model).state_dict()
    torch.save({'state_dict': state, 'meta': {}}, path)
    return path


@pytest.fixture
def options(mini_hac, tmp_path):
    words = ['--cfg-options', f'work_dir={tmp_path / "work"}']
    for split in ('train', 'val', 'test'):
        words += [
            f'{split}_dataloader.dataset.data_root={mini_hac}',
            f'{split}_dataloader.dataset.indices=4',
            f'{split}_dataloader.batch_size=2',
            f'{split}_dataloader.num_workers=0',
            f'{split}_dataloader.persistent_workers=False',
        ]
    return words


def test_a_confusion_matrix_of_a_checkpoint(
    stock, checkpoint, options, tmp_path
):
    out, picture = tmp_path / 'matrix.pkl', tmp_path / 'matrix.png'
    stock(
        'analysis_tools/confusion_matrix.py',
        *(GMP, checkpoint, '--out', out, '--show-path', picture),
        *(*options, 'protocol.target=cartoon'),
    )
    assert picture.read_bytes().startswith(b'\x89PNG')
    assert out.stat().st_size > 0


def test_a_learning_rate_curve(stock, options, tmp_path):
    picture = tmp_path / 'lr.jpg'
    shown = stock(
        'visualizations/vis_scheduler.py',
        *(GMP, '--dataset-size', 6, '--not-show', '--save-path', picture),
        *(*options, 'train_cfg.max_epochs=2'),
    )
    assert 'Iterations per epoch: 3' in shown
    assert picture.stat().st_size > 10_000


def test_the_clips_of_a_data_set(stock, options, tmp_path):
    shown = stock(
        'visualizations/browse_dataset.py',
        *(GMP, tmp_path / 'clips', '-p', 'train', '-n', 2, *options),
    )
    assert 'analysis/browse_dataset.py stands in' in shown
    files = sorted((tmp_path / 'clips').glob('*.mp4'))
    assert len(files) == 2
    for file in files:
        assert str(file) in shown
        with av.open(str(file)) as container:
            assert len(list(container.decode(video=0))) == 8


def test_the_operations_of_a_model(stock, options, tmp_path):
    shapes = ['--shape', 'video=1,3,8,56,56', 'audio=1,129,157']
    named = stock('analysis_tools/get_flops.py', GMP, *shapes)
    for part in ('encoders.video', 'encoders.audio', 'cls_head', 'all'):
        assert part in named
    assert 'in training only' in named
    read = stock('analysis_tools/get_flops.py', GMP, *options)
    row = next(x for x in named.splitlines() if 'encoders.video' in x)
    assert row in read


def test_shapes_that_do_not_fit_the_model(script, capsys):
    with pytest.raises(AssertionError, match='--shape must name .*video'):
        script('analysis/get_flops.py', GMP, '--shape', 'audio=1,9,9')


def test_part_by_part_adds_up():
    """A layer whose operations are known, behind two names."""
    module = _load('get_flops')
    model = torch.nn.Module()
    model.encoders = torch.nn.ModuleDict(
        {'video': torch.nn.Linear(4, 3), 'audio': torch.nn.Linear(2, 3)}
    )
    model.cls_head = torch.nn.Linear(3, 5)
    model.encoders['audio'].weight.requires_grad_(False)
    model.forward = lambda inputs, mode: model.cls_head(
        model.encoders['video'](inputs['video'])
        + model.encoders['audio'](inputs['audio'])
    )
    rows = {
        name: rest
        for name, *rest in module.count(model, {'video': (4,), 'audio': (2,)})
    }
    assert rows['encoders.video'] == [12, 15, 15]
    assert rows['encoders.audio'] == [6, 9, 3]
    assert rows['cls_head'] == [15, 20, 20]
    assert rows['all'] == [33, 44, 38]


def _load(name):
    spec = importlib.util.spec_from_file_location(
        name, TOOLS / f'analysis/{name}.py'
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def resumed(tmp_path):
    """A run that was killed behind iteration 4 and resumed behind 2."""
    for number, (first, last) in enumerate([(1, 4), (3, 6)]):
        folder = tmp_path / f'run/{number}/vis_data'
        folder.mkdir(parents=True)
        lines = [
            {'loss': i + 10 * number, 'time': 1.0 + (i % 2), 'data_time': 0.5,
             'iter': i, 'epoch': (i + 1) // 2, 'step': i}
            for i in range(first, last + 1)
        ]  # fmt: skip
        lines.append({'acc/top1': 0.5, 'step': number + 1})
        text = ''.join(json.dumps(line) + '\n' for line in lines)
        (folder / 'scalars.json').write_text(text)
    return tmp_path / 'run'


def test_a_resumed_run_has_each_step_once(resumed):
    lines = _load('analyze_logs').read_lines(str(resumed))
    losses = {x['step']: x['loss'] for x in lines if 'loss' in x}
    assert losses == {1: 1, 2: 2, 3: 13, 4: 14, 5: 15, 6: 16}
    assert sum('loss' in x for x in lines) == 6
    assert [x['step'] for x in lines if 'acc/top1' in x] == [1, 2]


def test_curves_and_times_of_a_log(stock, resumed, tmp_path):
    name = 'analysis_tools/analyze_logs.py'
    for key in ('loss', 'acc/top1'):
        out = tmp_path / f'{key[:3]}.png'
        stock(name, 'plot_curve', resumed, '--keys', key, '--out', out)
        assert out.read_bytes().startswith(b'\x89PNG')
    shown = stock(name, 'cal_train_time', resumed, '--legend', 'GMP')
    # Without the first line of each epoch: 1 s each.
    assert '1.0000' in shown
    assert '50 %' in shown


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['--keys', 'los'], "must be of .*'loss'.*got 'los'"),
        (['--keys', 'loss', 'acc/top1'], 'got both'),
    ],
)
def test_keys_that_cannot_be_drawn(words, message, script, resumed):
    with pytest.raises(AssertionError, match=message):
        script('analysis/analyze_logs.py', 'plot_curve', resumed, *words)


def test_clips_are_drawn_with_their_bars(
    script, checkpoint, options, tmp_path
):
    """The stock test.py, started by this project's."""
    out = tmp_path / 'drawn'
    shown = script(
        'test.py',
        *(GMP, checkpoint, '--show-dir', out, '--interval', 2),
        *options,
    )
    assert 'acc/top1' in shown
    files = sorted(out.glob('*.mp4'))
    assert len(files) == 2
    with av.open(str(files[0])) as container:
        frame = next(container.decode(video=0))
    # Picture, spectrogram, caption, and three groups of six lines.
    assert frame.width == 480
    assert frame.height > 480 + 96 + 3 * 6 * 18


def test_a_hook_of_the_config_s_own_is_left_alone(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(TOOLS))
    module = importlib.import_module('_stock_script')
    config = tmp_path / 'mine.py'
    config.write_text(
        "default_hooks = dict(visualization=dict(type='VisualizationHook'))"
    )
    words = [str(config), 'x.pth', '--show-dir', 'out']
    assert module.add_visualization(words, tmp_path) == words
    config.write_text('a = 1')
    assert module.add_visualization(words[:2], tmp_path) == words[:2]
    (tmp_path / 'new').mkdir()
    changed = module.add_visualization(words, tmp_path / 'new')
    assert changed[1:] == words[1:]
    found = Config.fromfile(changed[0])
    assert found.a == 1
    hook = found.default_hooks.visualization
    assert hook.type == 'BranchVisualizationHook'
    assert Path(changed[0]).stem == 'mine'
