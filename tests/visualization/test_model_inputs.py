from __future__ import annotations

import av
import numpy as np
import pytest
import torch

from mmgmp.visualization.model_inputs import draw_inputs, write_model_view
from mmgmp.visualization.prediction_video import draw_scores


def test_frames_and_sound_stand_below_each_other():
    video = torch.zeros(1, 3, 4, 8, 16, dtype=torch.uint8)
    video[0, 0, 2] = 200  # the third frame is red
    sound = torch.zeros(1, 5, 7)
    sound[0, 0] = 1.0  # the lowest frequency
    pictures = draw_inputs({'video': video, 'audio': sound})
    assert len(pictures) == 4
    # A line, 240 rows of picture, a line, 96 rows of sound.
    assert {p.shape for p in pictures} == {(18 + 240 + 18 + 96, 480, 3)}
    colours = [p[100, 240].tolist() for p in pictures]
    assert colours == [[0, 0, 0], [0, 0, 0], [200, 0, 0], [0, 0, 0]]
    bottom, top = pictures[0][-3, 240], pictures[0][-90, 240]
    assert bottom.sum() > top.sum() + 300


def test_flow_has_two_colours():
    flow = torch.full((1, 2, 3, 4, 4), 128.0)
    flow[0, 0] = 255
    (picture, *_) = draw_inputs({'flow': flow})
    assert picture[100, 240].tolist() == [255, 128, 128]


@pytest.mark.parametrize(
    'value', [torch.empty(0), object(), torch.zeros(4, 8)]
)
def test_what_is_missing_or_cached_says_so(value):
    (picture,) = draw_inputs({'audio': value})
    assert picture.shape == (18, 480, 3)
    assert (picture < 255).any()


def test_a_spectrogram_of_nothing_but_silence_is_drawn():
    values = torch.full((1, 4, 4), -np.inf)
    (picture,) = draw_inputs({'audio': values})
    assert picture.shape == (18 + 96, 480, 3)


def test_a_view_is_written_with_and_without_scores(tmp_path):
    video = torch.zeros(1, 3, 4, 8, 8, dtype=torch.uint8)
    heights = []
    for name, scores in (('a', {}), ('b', {'fused': {'run': 1.0}})):
        path = tmp_path / f'{name}.mp4'
        write_model_view(path, {'video': video}, scores, 'run, human', fps=2)
        with av.open(str(path)) as container:
            frames = list(container.decode(video=0))
        heights.append(frames[0].height)
        times = [frame.time for frame in frames]
        assert times == pytest.approx([0, 0.5, 1, 1.5], abs=1e-3)
    assert heights[1] > heights[0] > 480


def test_a_branch_says_its_own_first_guess(monkeypatch):
    lines = []
    monkeypatch.setattr(
        'mmgmp.visualization.prediction_video.write_line',
        lambda picture, text, place, bold=False: lines.append(text),
    )
    fused = {f'class {n}': 0.1 + 0.01 * (n == 0) for n in range(9)}
    audio = {**dict.fromkeys(fused, 0.0), 'class 8': 0.9}
    draw_scores({'fused': fused, 'audio': audio}, caption='a line')
    assert lines[0] == 'a line'
    assert 'fused: class 0 11%' in lines
    # It is none of the five classes that are drawn.
    assert 'audio: class 8 90%' in lines
    assert 'class 8' not in lines
