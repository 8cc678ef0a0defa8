"""The figures of a finished run, in PNG and SVG."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch

TOOLS = Path(__file__).resolve().parents[2] / 'tools/analysis'


def run(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, '-W', 'ignore', *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )


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


def test_confusion_matrix(cells):
    dump = cells[1] / 'test/predictions.pkl'
    done = run(TOOLS / 'confusion.py', dump)
    assert done.returncode == 0, done.stderr
    assert 'running' in done.stdout
    assert '50.0' in done.stdout
    svg = dump.with_name('confusion_fused.svg').read_text()
    assert '<!-- GMP, target H: mini-HAC (SYNTHETIC), seed 0, fused -->' in svg
    assert dump.with_name('confusion_fused.png').is_file()


def test_curves_of_several_runs(cells, tmp_path):
    done = run(
        TOOLS / 'compare_curves.py',
        f'Base={cells[0]}',
        f'GMP={cells[1]}',
        '--out',
        tmp_path / 'fig5',
    )
    assert done.returncode == 0, done.stderr
    svg = (tmp_path / 'fig5.svg').read_text()
    assert '<!-- mini-HAC (SYNTHETIC), seed 0, target H -->' in svg
    assert '<!-- GMP, video -->' in svg
    assert '<!-- Conflicting gradients -->' in svg


def test_runs_of_different_seeds_are_not_compared(cells, tmp_path):
    other = make_cell(tmp_path / 'other', 1)
    done = run(TOOLS / 'compare_curves.py', cells[0], other)
    assert done.returncode == 2
    assert 'must be of one corpus and seed' in done.stderr


@pytest.mark.parametrize(
    ('script', 'word'),
    [('confusion.py', 'test/predictions.pkl'), ('compare_curves.py', '')],
)
def test_outside_of_a_benchmark_the_corpus_is_asked_for(script, word, cells):
    (cells[0] / 'cell.json').unlink()
    done = run(TOOLS / script, cells[0] / word)
    assert done.returncode == 2
    assert '--corpus and --seed must be given' in done.stderr


def test_feature_map_has_help():
    done = run(TOOLS / 'feature_map.py', '--help')
    assert done.returncode == 0, done.stderr
    assert '--splits' in done.stdout
