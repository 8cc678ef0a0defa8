from __future__ import annotations

import numpy as np
import pytest

from mmgmp.testing.media import write_video


@pytest.mark.parametrize(
    ('frames', 'message'),
    [
        (np.zeros((2, 16, 16, 3)), r'uint8 of shape \(T, H, W, 3\)'),
        (np.zeros((2, 16, 16), np.uint8), r'uint8 of shape'),
        (np.zeros((2, 15, 16, 3), np.uint8), r'must be even'),
    ],
)
def test_unfit_frames_are_refused(tmp_path, frames, message):
    with pytest.raises(ValueError, match=message):
        write_video(tmp_path / 'clip.mp4', frames)
    assert not (tmp_path / 'clip.mp4').exists()
