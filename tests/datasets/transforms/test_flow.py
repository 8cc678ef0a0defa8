from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import mmcv
import numpy as np
import pytest

from mmgmp.datasets import (
    AudioVisualDataset,
    LoadFlowFrames,
    PyAVSeekFlowDecode,
    PyAVSeekFlowInit,
    StackFlow,
)
from mmgmp.registry import TRANSFORMS
from mmgmp.testing.media import write_video
from tests.datasets.conftest import moving_frames, write_annotation

COUNT = 48
SHAPE = (32, 64)


def flow_images(component: int) -> np.ndarray:
    """Grey images, every one and every pixel different enough to tell."""
    return np.random.default_rng(component).integers(
        0, 256, (COUNT, *SHAPE), dtype=np.uint8
    )


@pytest.fixture(scope='module')
def folders(tmp_path_factory) -> Path:
    """Flow of one long video as EPIC has it, in PNG so that it is exact."""
    root = tmp_path_factory.mktemp('folders')
    for component, name in enumerate(('u', 'v')):
        for number, image in enumerate(flow_images(component), start=1):
            path = root / 'P08_01' / name / f'frame_{number:010}.png'
            mmcv.imwrite(image, str(path))
    return root


@pytest.fixture(scope='module')
def videos(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp('videos')
    for component, name in enumerate('xy'):
        frames = moving_frames(COUNT, seed=component)
        grey = np.repeat(frames.mean(-1, keepdims=True), 3, -1)
        write_video(root / f'a_flow_{name}.mp4', grey.astype(np.uint8))
    return root


def folder_entry(**changes: Any) -> dict[str, Any]:
    return {
        'path_x': 'P08_01/u',
        'path_y': 'P08_01/v',
        'filename_tmpl': 'frame_{:010}.png',
        'start_frame': 5,
        'num_frames': 40,
        **changes,
    }


VIDEO_ENTRY = {'path_x': 'a_flow_x.mp4', 'path_y': 'a_flow_y.mp4'}


def pipeline(load: list[Any], *shape: Any) -> list[Any]:
    sample = dict(type='SampleFrames', clip_len=8, frame_interval=4)
    flow = [
        *load[:-1],
        dict(sample, test_mode=True),
        load[-1],
        *shape,
        dict(type='StackFlow'),
        dict(type='FormatShape', input_format='NCTHW'),
    ]
    return [
        dict(type='MultiModalPipeline', flow=flow),
        dict(type='PackMultiModalInputs'),
    ]


FOLDERS = [dict(type='LoadFlowFrames')]
VIDEOS = [dict(type='PyAVSeekFlowInit'), dict(type='PyAVSeekFlowDecode')]


def load_one(
    root: Path, tmp_path: Path, entry: dict[str, Any], steps: list[Any]
) -> np.ndarray:
    """The flow of a sample, read as training reads it."""
    sample = {'id': 'human/a', 'domain': 'human', 'label': 0, 'flow': entry}
    write_annotation(tmp_path / 'train.json', [sample])
    dataset = AudioVisualDataset(
        str(tmp_path / 'train.json'),
        modalities=['flow'],
        pipeline=steps,
        data_root=str(root),
    )
    return dataset[0]['inputs']['flow'].numpy()


def decode_grey(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack(
            [
                mmcv.rgb2gray(frame.to_ndarray(format='rgb24'))
                for frame in container.decode(video=0)
            ]
        )


def test_folders_give_the_very_pixels(folders, tmp_path):
    imgs = load_one(folders, tmp_path, folder_entry(), pipeline(FOLDERS))
    assert imgs.shape == (1, 2, 8, *SHAPE)
    # 40 frames, clip of 29: centred, offset 5, from frame 5 of the file.
    numbers = 5 + (40 - 29) // 2 + 4 * np.arange(8)
    for component in range(2):
        expected = flow_images(component)[numbers - 1]
        assert np.array_equal(imgs[0, component], expected)


def test_jpeg_files_are_read_as_grey(tmp_path):
    """Stored in colour or in grey, one channel comes out."""
    image = flow_images(0)[0]
    for name, stored in (('u', image), ('v', np.stack([image] * 3, -1))):
        path = tmp_path / 'P08_01' / name / 'frame_0000000001.jpg'
        mmcv.imwrite(stored, str(path))
    entry = folder_entry(
        filename_tmpl='frame_{:010}.jpg', start_frame=1, num_frames=1
    )
    imgs = load_one(tmp_path, tmp_path, entry, pipeline(FOLDERS))
    read = [
        mmcv.imread(str(tmp_path / 'P08_01' / n / path.name), flag='grayscale')
        for n in 'uv'
    ]
    assert np.array_equal(imgs[0, :, 0], np.stack(read))
    # One frame loops: all eight are the same.
    assert np.array_equal(imgs[0, :, 0], imgs[0, :, 7])


def test_two_videos_give_the_pixels_of_a_full_decode(videos, tmp_path):
    imgs = load_one(videos, tmp_path, VIDEO_ENTRY, pipeline(VIDEOS))
    assert imgs.shape == (1, 2, 8, *SHAPE)
    numbers = (COUNT - 29) // 2 + 4 * np.arange(8)
    for component, name in enumerate('xy'):
        full = decode_grey(videos / f'a_flow_{name}.mp4')
        assert np.array_equal(imgs[0, component], full[numbers])
        source = moving_frames(COUNT, component).mean(-1)[numbers]
        assert np.abs(imgs[0, component] - source).mean() < 4
    assert not np.array_equal(imgs[0, 0], imgs[0, 1])


@pytest.mark.parametrize('kind', ['folders', 'videos'])
def test_stock_flip_mirrors_both_and_inverts_x_alone(kind, request, tmp_path):
    root = request.getfixturevalue(kind)
    entry, load = {
        'folders': (folder_entry(), FOLDERS),
        'videos': (VIDEO_ENTRY, VIDEOS),
    }[kind]
    plain = load_one(root, tmp_path, entry, pipeline(load))
    flip = dict(type='Flip', flip_ratio=1)
    flipped = load_one(root, tmp_path, entry, pipeline(load, flip))
    assert np.array_equal(flipped[:, 0], 255 - plain[:, 0, ..., ::-1])
    assert np.array_equal(flipped[:, 1], plain[:, 1, ..., ::-1])


def test_stock_crops_cut_x_and_y_alike(folders, tmp_path):
    plain = load_one(folders, tmp_path, folder_entry(), pipeline(FOLDERS))
    steps = pipeline(FOLDERS, dict(type='CenterCrop', crop_size=(16, 8)))
    cropped = load_one(folders, tmp_path, folder_entry(), steps)
    assert np.array_equal(cropped, plain[..., 12:20, 24:40])


def test_the_published_training_list_runs(videos, tmp_path):
    steps = pipeline(
        VIDEOS,
        dict(type='Resize', scale=(-1, 40)),
        dict(type='RandomResizedCrop'),
        dict(type='Resize', scale=(24, 24), keep_ratio=False),
        dict(type='Flip', flip_ratio=0.5),
    )
    imgs = load_one(videos, tmp_path, VIDEO_ENTRY, steps)
    assert imgs.shape == (1, 2, 8, 24, 24)
    assert imgs.dtype == np.uint8


def test_a_looped_frame_is_flipped_each_time(folders, tmp_path):
    """Flip works in place: repeated frames must not share memory."""
    entry = folder_entry(num_frames=3)
    plain = load_one(folders, tmp_path, entry, pipeline(FOLDERS))
    flip = dict(type='Flip', flip_ratio=1)
    flipped = load_one(folders, tmp_path, entry, pipeline(FOLDERS, flip))
    assert np.array_equal(flipped[:, 1], plain[:, 1, ..., ::-1])


def test_arrays_pass_like_files():
    array = np.stack([flow_images(0), flow_images(1)], -1)
    results = PyAVSeekFlowInit()(dict(array=array, fps=24, start=1.0))
    assert (results['start_index'], results['total_frames']) == (24, 24)
    results['frame_inds'] = np.array([30, 24, 30])
    results = StackFlow()(PyAVSeekFlowDecode()(results))
    assert np.array_equal(np.stack(results['imgs']), array[[30, 24, 30]])
    assert not np.shares_memory(results['imgs'][0], array)


def test_segments_in_seconds(videos):
    paths = {k: str(videos / v) for k, v in VIDEO_ENTRY.items()}
    results = PyAVSeekFlowInit()(dict(paths, start=0.5, stop=1.5))
    assert (results['start_index'], results['total_frames']) == (12, 24)
    assert results['fps'] == 24


def test_only_the_clip_is_decoded(tmp_path):
    for name in 'xy':
        write_video(tmp_path / f'{name}.mp4', moving_frames(300))
    results = PyAVSeekFlowDecode()(
        dict(
            path_x=str(tmp_path / 'x.mp4'),
            path_y=str(tmp_path / 'y.mp4'),
            frame_inds=200 + 4 * np.arange(8),
        )
    )
    assert results['decoded_frames'] <= 2 * (29 + 3 * 12)


def test_videos_of_different_length_are_an_unreadable_sample(tmp_path):
    write_video(tmp_path / 'x.mp4', moving_frames(24))
    write_video(tmp_path / 'y.mp4', moving_frames(23))
    results = dict(
        path_x=str(tmp_path / 'x.mp4'), path_y=str(tmp_path / 'y.mp4')
    )
    with pytest.raises(OSError, match=r'x.mp4 has 24 .*y.mp4 has 23'):
        PyAVSeekFlowInit()(results)


def test_missing_and_broken_images_are_unreadable(tmp_path):
    (tmp_path / 'frame_1.jpg').write_bytes(b'not a picture')
    results = dict(
        path_x=str(tmp_path),
        path_y=str(tmp_path / 'absent'),
        filename_tmpl='frame_{}.jpg',
    )
    with pytest.raises(OSError, match=r'frame_1.jpg cannot be decoded'):
        LoadFlowFrames()({**results, 'frame_inds': np.array([1])})
    with pytest.raises(FileNotFoundError, match=r'frame_2.jpg: no such file'):
        LoadFlowFrames()({**results, 'frame_inds': np.array([2])})


@pytest.mark.parametrize(
    'images',
    [
        [np.zeros((4, 4), np.uint8)] * 3,
        [np.zeros((4, 4, 2), np.uint8)] * 2,
    ],
)
def test_stack_flow_refuses_anything_but_pairs(images):
    with pytest.raises(ValueError, match='imgs must be grey images'):
        StackFlow()(dict(imgs=images))


def test_stock_flip_is_wrong_on_stacked_images():
    """The reason why x and y alternate; if this fails, they need not."""
    flow = [np.full((2, 2, 2), 10, np.uint8) for _ in range(2)]
    flip = TRANSFORMS.build(dict(type='Flip', flip_ratio=1))
    results = flip(dict(imgs=flow, modality='Flow', img_shape=(2, 2)))
    assert results['imgs'][0][0, 0].tolist() == [245, 245]
    assert results['imgs'][1][0, 0].tolist() == [10, 10]
