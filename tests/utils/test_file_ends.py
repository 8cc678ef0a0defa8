from __future__ import annotations

import pytest
import soundfile

from mmgmp.utils.file_ends import is_cut
from tests.media_truth import noise


@pytest.mark.parametrize(('lost', 'whole'), [(0, True), (1, True), (2, False)])
def test_a_missing_byte_of_filling_is_no_cut(tmp_path, lost, whole):
    path = tmp_path / 'a.wav'
    soundfile.write(path, noise(1, 16000)[:15999], 16000, 'PCM_U8')
    content = path.read_bytes()
    path.write_bytes(content[: len(content) - lost])
    assert (is_cut(str(path)) == '') == whole
