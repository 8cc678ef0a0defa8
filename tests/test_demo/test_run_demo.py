"""The closing table and picture of the demo, from what its steps leave."""

from __future__ import annotations

import importlib.util

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread, imsave

from mmgmp.apis.benchmark import load_plan
from mmgmp.testing.media import write_video
from tests.shipped import ROOT


@pytest.fixture(scope='module')
def demo():
    spec = importlib.util.spec_from_file_location(
        'run_demo', ROOT / 'demo/run_demo.py'
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_has_the_columns_of_the_plan(demo, tmp_path, capsys):
    columns = load_plan(demo.PLAN).metrics
    rows = [
        {'method': method, 'seed': seed}
        | dict.fromkeys(columns.values(), value + 0.1 * seed)
        for method, value in (('Base', 0.2), ('GMP', 0.5))
        for seed in (0, 1, 2)
    ]
    pd.DataFrame(rows).to_csv(tmp_path / 'report.csv')
    demo.report(tmp_path)
    text = capsys.readouterr().out
    assert text.count('30.0 +- 10.0') == text.count('60.0 +- 10.0') == 6
    assert 'SYNTHETIC' in text
    assert '3 paired seeds' in text


def test_the_picture_lays_two_images_side_by_side(demo, tmp_path):
    (tmp_path / 'annotated').mkdir()
    clip = np.zeros((4, 32, 32, 3), np.uint8)
    clip[..., 0] = 255
    write_video(tmp_path / f'annotated/000_{demo.CLIP}_scores.mp4', clip)
    ratios = np.zeros((30, 90, 3))
    ratios[..., 2] = 1
    imsave(tmp_path / 'ratios.png', ratios)
    demo.picture(tmp_path)
    red, _, blue = imread(tmp_path / 'demo.png')[..., :3].transpose(2, 0, 1)
    height, width = red.shape
    assert width > 3 * height
    assert red[height // 2, width // 8] > 0.8 > blue[height // 2, width // 8]
    assert blue[height // 2, -width // 3] > 0.8 > red[height // 2, -width // 3]
