from __future__ import annotations

import numpy as np
import pytest

from mmgmp.datasets import MultiModalPipeline, PyAVSeekDecode, PyAVSeekInit
from mmgmp.datasets.transforms.clip_times import spans_of
from mmgmp.datasets.transforms.frame_index import read_frame_index
from mmgmp.registry import TRANSFORMS
from tests.media_truth import constant, jittered, number_of, write_media

STEP = 1 / 24


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp('clips')
    times = [k / 24 if k < 30 else 2 + k / 24 for k in range(96)]
    write_media(path / 'pause.mp4', times)
    write_media(path / 'late.mp4', constant(24, 0.5), sound='aac')
    write_media(path / 'rate.mkv', jittered(48), rate=25)
    write_media(path / 'single.mp4', constant(1))
    write_media(path / 'loop.mp4', constant(40))
    write_media(path / 'odd.mp4', constant(15))
    return path


@pytest.mark.parametrize(
    ('name', 'segment', 'numbers'),
    [
        # Pictures 30 on appear from 3.25 s on.
        ('pause.mp4', (0.0, 1.0), (0, 24)),
        ('pause.mp4', (3.25, 3.5), (30, 36)),
        ('pause.mp4', (4.0, None), (48, 96)),
        ('pause.mp4', (1.0, 3.5), (24, 36)),
        # The last picture before the pause is shown all the time.
        ('pause.mp4', (2.0, 3.0), (29, 30)),
        ('pause.mp4', (1.2084, 1.21), (29, 30)),
        ('late.mp4', (0.0, 1.0), (0, 12)),
        ('late.mp4', (0.75, None), (6, 24)),
        # Rounded to milliseconds by whoever annotated.
        ('pause.mp4', (0.042, 0.083), (1, 2)),
        ('pause.mp4', (0.041, 0.084), (1, 2)),
    ],
)
def test_a_segment_holds_the_pictures_shown_then(
    folder, name, segment, numbers
):
    start, stop = segment
    entry = dict(filename=str(folder / name), start=start, stop=stop)
    results = PyAVSeekInit()(entry)
    first, last = numbers
    assert results['start_index'] == first
    assert results['total_frames'] == last - first


@pytest.mark.parametrize('segment', [(0.0, 0.4), (9.0, None), (1.6, 2.0)])
def test_a_segment_without_pictures_is_an_unreadable_file(folder, segment):
    start, stop = segment
    path = str(folder / 'late.mp4')
    with pytest.raises(OSError, match=r'late.mp4 .* shows no picture'):
        PyAVSeekInit()(dict(filename=path, start=start, stop=stop))


@pytest.mark.parametrize(
    'segment',
    [
        dict(start=float('nan')),
        dict(start=-1.0),
        dict(start='1.0'),
        dict(start=True),
        dict(stop=float('inf')),
        dict(start=0, stop='2'),
    ],
)
def test_what_is_no_second_names_the_file(folder, segment):
    path = str(folder / 'late.mp4')
    with pytest.raises(ValueError, match=r'(start|stop) must be .*late.mp4'):
        PyAVSeekInit()(dict(filename=path, **segment))


def test_a_wrong_rate_in_the_header_changes_nothing(folder):
    index = read_frame_index(str(folder / 'rate.mkv'))
    times = jittered(48)
    assert index.times(range(48)) == pytest.approx(times)
    assert index.fps == pytest.approx(47 / times[-1])
    assert index.seconds(47) < index.end < index.seconds(47) + 0.1


def test_frame_times_of_arrays_come_from_their_rate():
    results = dict(array=np.zeros((9, 2, 2, 3), np.uint8), fps=4)
    results['frame_inds'] = np.array([[8, 0], [2, 2]])
    results = PyAVSeekDecode()(PyAVSeekInit()(results))
    assert results['frame_times'].tolist() == [2.0, 0.0, 0.5, 0.5]
    assert results['segment_seconds'] == (0.0, 2.25)


def clip_of(path, clip_len, **entry):
    """What the sound is told of a clip that begins with the segment."""
    got = {}
    pipeline = MultiModalPipeline(
        video=[
            dict(type='PyAVSeekInit'),
            TRANSFORMS.build(
                dict(
                    type='SampleFrames',
                    clip_len=clip_len,
                    frame_interval=2,
                    test_mode=True,
                )
            ),
            dict(type='PyAVSeekDecode'),
        ],
        audio=[lambda results: got.update(results) or results],
    )
    sources = dict(video=dict(path=str(path), **entry), audio={})
    pipeline.pipelines['audio'] = lambda results: (
        got.update(results) or results
    )
    results = pipeline(dict(modalities=('video', 'audio'), sources=sources))
    return got, [number_of(image) for image in results['video']['imgs']]


def test_an_ordinary_clip_is_one_span(folder):
    clip, numbers = clip_of(folder / 'pause.mp4', 8)
    times = read_frame_index(str(folder / 'pause.mp4')).times(numbers)
    assert clip['clip_seconds'] == (times[0], times[-1])
    assert clip['clip_spans'] == (clip['clip_seconds'],)


def test_a_looped_clip_sounds_as_it_looks(folder):
    clip, numbers = clip_of(folder / 'loop.mp4', 32)
    assert numbers == [k % 40 for k in range(0, 64, 2)]
    expected = [(0, 40 * STEP), (0, 22 * STEP)]
    assert np.allclose(clip['clip_spans'], expected)


def test_a_loop_of_odd_length_does_not_slip(folder):
    clip, numbers = clip_of(folder / 'odd.mp4', 16)
    assert numbers == [k % 15 for k in range(0, 32, 2)]
    spans = clip['clip_spans']
    assert np.allclose(spans, [(0, 15 * STEP), (0, 15 * STEP), (0, 0)])
    # All that was heard before the last picture, which is number 30.
    lengths = sum(stop - start for start, stop in spans)
    assert lengths == pytest.approx(30 * STEP)


def test_a_looped_segment_stays_within_it(folder):
    clip, _ = clip_of(folder / 'pause.mp4', 8, start=0.5, stop=0.75)
    spans = clip['clip_spans']
    assert len(spans) == 3
    assert min(start for start, _ in spans) == pytest.approx(0.5)
    assert max(stop for _, stop in spans) == pytest.approx(0.75)


def test_a_single_picture_lasts_as_long_as_it_is_shown(folder):
    clip, _ = clip_of(folder / 'single.mp4', 4)
    assert clip['clip_seconds'] == (0.0, 0.0)
    assert np.allclose(clip['clip_spans'], [(0.0, STEP)])


def test_spans_of_a_picture_that_stands_still():
    assert spans_of([1.0, 2.0, 2.0, 2.0], (0.0, 4.0)) == ((1.0, 2.0),)
