"""The figures of a finished run, in PNG and SVG."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
import torch

from mmgmp.registry import MODELS
from tests.shipped import GMP, load

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / 'tools/analysis'


@pytest.fixture
def run(capsys):
    """Run a script's ``main`` and return its exit status and output."""

    def run(script, *words):
        spec = spec_from_file_location('script', TOOLS / script)
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.main([str(word) for word in words]), capsys.readouterr()

    return run


def make_cell(folder: Path, seed: int) -> Path:
    (folder / 'test').mkdir(parents=True)
    values = dict(corpus='mini-HAC', synthetic=True, seed=seed)
    values.update(method=folder.name, target='H')
    (folder / 'cell.json').write_text(json.dumps(values))
    (folder / 'task_gradients.csv').write_text(
        'iteration,semantic_ratio_video,conflict_video\n1,1.5,0\n2,1.1,1\n'
    )
    meta = {'dataset_meta': {'classes': ['running', 'eating']}}
    torch.save({'meta': meta}, folder / 'best.pth')
    samples = [
        {'pred_score': torch.tensor([0.7, 0.3]),
         'gt_label': torch.tensor([label]), 'domain': 'human'}
        for label in (0, 1)
    ]  # fmt: skip
    (folder / 'test/predictions.pkl').write_bytes(pickle.dumps(samples))
    return folder


@pytest.fixture
def cells(tmp_path):
    return make_cell(tmp_path / 'Base', 0), make_cell(tmp_path / 'GMP', 0)


def test_confusion_matrix(run, cells):
    dump = cells[1] / 'test/predictions.pkl'
    code, shown = run('confusion.py', dump)
    assert code == 0
    assert 'running' in shown.out
    assert '50.0' in shown.out
    assert 'clips' in shown.out
    svg = dump.with_name('confusion_fused.svg').read_text()
    assert '<!-- GMP, target H: mini-HAC (SYNTHETIC), seed 0, fused -->' in svg
    assert dump.with_name('confusion_fused.png').is_file()


def test_curves_of_several_runs(run, cells, tmp_path):
    runs = [f'Base={cells[0]}', f'GMP={cells[1]}']
    code, _ = run('compare_curves.py', *runs, '--out', tmp_path / 'fig5')
    assert code == 0
    svg = (tmp_path / 'fig5.svg').read_text()
    assert '<!-- mini-HAC (SYNTHETIC), seed 0, target H -->' in svg
    assert '<!-- GMP, video -->' in svg
    assert '<!-- Conflict rate -->' in svg


def test_folders_of_one_name_are_told_apart(run, cells, tmp_path):
    runs = []
    for row, cell in zip(('Base', 'GMP'), cells, strict=False):
        runs.append(tmp_path / row / 'seed-0')
        shutil.copytree(cell, runs[-1])
    out = tmp_path / 'fig5'
    code, _ = run('compare_curves.py', *runs, '--out', out)
    assert code == 0
    svg = out.with_suffix('.svg').read_text()
    assert '<!-- GMP/seed-0, video -->' in svg
    same = [f'a={folder}' for folder in runs]
    code, shown = run('compare_curves.py', *same, '--out', out)
    assert code == 2
    assert 'runs must have names of their own' in shown.err


def test_runs_of_different_seeds_are_not_compared(run, cells, tmp_path):
    other = make_cell(tmp_path / 'other', 1)
    code, shown = run('compare_curves.py', cells[0], other)
    assert code == 2
    assert 'must be of one corpus and seed' in shown.err


@pytest.mark.parametrize(
    ('script', 'word'),
    [('confusion.py', 'test/predictions.pkl'), ('compare_curves.py', '')],
)
def test_outside_of_a_benchmark_the_corpus_is_asked_for(
    script, word, run, cells
):
    (cells[0] / 'cell.json').unlink()
    code, shown = run(script, cells[0] / word)
    assert code == 2
    assert '--corpus and --seed must be given' in shown.err


class Hostile:
    def __reduce__(self):
        return os.mkdir, ('ran',)


@pytest.mark.parametrize(
    ('name', 'content', 'message'),
    [
        ('test/predictions.pkl', pickle.dumps([Hostile()]), 'is refused'),
        ('test/predictions.pkl', b'', 'is no dump of test.py'),
        ('cell.json', b'', 'cell.json is no complete JSON'),
        ('cell.json', b'{}', 'cell.json must say what the cell is'),
        ('best.pth', b'', 'best.pth'),
    ],
)
def test_a_damaged_file_is_named(
    name, content, message, run, cells, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    (cells[0] / name).write_bytes(content)
    code, shown = run('confusion.py', cells[0] / 'test/predictions.pkl')
    assert code == 2
    assert message in shown.err
    assert not (tmp_path / 'ran').exists()


def test_classes_of_another_checkpoint_are_refused(run, cells):
    meta = {'dataset_meta': {'classes': ['running']}}
    torch.save({'meta': meta}, cells[0] / 'best.pth')
    code, shown = run('confusion.py', cells[0] / 'test/predictions.pkl')
    assert code == 2
    assert '--checkpoint must be of the run' in shown.err


def test_an_ensemble_of_two_dumps(run, tmp_path):
    dumps = []
    for name, scores in (('video', [0.7, 0.2]), ('audio', [0.4, 0.9])):
        samples = [
            {'pred_score': torch.tensor([p, 1 - p]), 'sample_id': f'h/{i}',
             'gt_label': torch.tensor([0]), 'domain': 'human',
             'modality_scores': {name: torch.tensor([p, 1 - p])}}
            for i, p in enumerate([*scores, 0.0][: 2 + (name == 'video')])
        ]  # fmt: skip
        dumps.append(tmp_path / f'{name}.pkl')
        dumps[-1].write_bytes(pickle.dumps(samples))
    code, shown = run('../ensemble.py', *dumps)
    assert code == 0
    text = ' '.join(shown.out.split())
    assert 'weight 0.50, 2 samples; 1 that others lack are LEFT OUT' in text
    assert 'acc/top1 │ 100.00' in text
    assert 'acc/top1_video │ 50.00' in text
    code, shown = run('../ensemble.py', *dumps, '--weights', '1')
    assert code == 2
    assert 'one per file, got 1 for 2' in shown.err
    code, shown = run('../ensemble.py', *dumps, '--validation', *dumps)
    assert 'weight 0.50' in shown.out


def test_a_damaged_table_is_named(run, cells):
    (cells[0] / 'task_gradients.csv').write_text('iteration,a\n1\n')
    code, shown = run('compare_curves.py', cells[0])
    assert code == 2
    assert 'task_gradients.csv:2: must have 2 cells' in shown.err


def test_a_map_of_features(run, mini_hac, tmp_path):
    """The real thing: encoders and fusion over clips of three domains."""
    config = load()
    checkpoint = tmp_path / 'model.pth'
    state = MODELS.build(config.model).state_dict()
    meta = {'dataset_meta': {'classes': []}}
    torch.save({'state_dict': state, 'meta': meta}, checkpoint)
    words = [GMP, checkpoint, '--out', tmp_path / 'map']
    words += ['--corpus', 'mini-HAC', '--seed', 0, '--synthetic']
    words += ['--features', 'fused', '--cfg-options']
    for split in ('val', 'test'):
        words += [
            f'{split}_dataloader.dataset.data_root={mini_hac}',
            f'{split}_dataloader.dataset.indices=4',
            f'{split}_dataloader.num_workers=0',
            f'{split}_dataloader.persistent_workers=False',
        ]
    code, _ = run('feature_map.py', *words)
    assert code == 0
    svg = (tmp_path / 'map.svg').read_text()
    assert '<!-- t-SNE, mini-HAC (SYNTHETIC), seed 0 -->' in svg
    assert '<!-- fused, by domain -->' in svg
