from __future__ import annotations

import av
import numpy as np
import pytest

from mmgmp.datasets.transforms.pyav_seek import read_frames
from mmgmp.visualization.prediction_video import write_prediction_video
from tests.media_truth import jittered, turn, write_media

SCORES = {'fused': {'eating': 0.75, 'running': 0.25}}


def test_pictures_keep_their_times_and_are_upright(tmp_path):
    path, out = tmp_path / 'clip.mp4', tmp_path / 'out' / 'scores.mp4'
    times = [0.25 + time for time in jittered(24)]
    write_media(path, times, sound='aac')
    turn(path, 90)
    wave = np.zeros(16000, np.float32)
    write_prediction_video(out, read_frames(str(path)), SCORES, wave)
    with av.open(str(out)) as container:
        frames = list(container.decode(video=0))
        assert len(container.streams.audio) == 1
    assert [frame.time for frame in frames] == pytest.approx(times, abs=1e-4)
    # 64 x 48 stored, so 480 x 640 above the bars.
    assert frames[0].width == 480
    assert frames[0].height > 640
