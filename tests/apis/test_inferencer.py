"""Inference on real files and arrays with a small untrained model."""

from __future__ import annotations

import csv
import json
import logging
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmgmp.apis import MMGMPInferencer
from mmgmp.apis.clip_inputs import read_sound
from mmgmp.registry import INFERENCERS, MODELS
from mmgmp.testing.media import write_video
from mmgmp.utils.config_data import CONFIG_KEY, config_to_text
from tests.shipped import GMP, load

ROOT = Path(__file__).resolve().parents[2]
CLASSES = ['sleeping', 'watching tv', 'eating', 'drinking', 'swimming',
           'running', 'opening door']  # fmt: skip
RNG = np.random.default_rng(0)
FRAMES = RNG.integers(0, 255, (40, 64, 64, 3), np.uint8)
WAVE = RNG.uniform(-0.5, 0.5, 32000).astype(np.float32)


def write_clip(path, frames, wave, fps=24):
    """An mp4 file with picture and sound."""
    with av.open(str(path), 'w') as container:
        video = container.add_stream('mpeg4', rate=Fraction(fps))
        video.height, video.width = frames.shape[1:3]
        video.pix_fmt = 'yuv420p'
        sound = container.add_stream('aac', rate=16000)
        sound.layout = 'mono'
        for image in frames:
            frame = av.VideoFrame.from_ndarray(image, format='rgb24')
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        frame = av.AudioFrame.from_ndarray(wave[None], 'fltp', 'mono')
        frame.sample_rate = 16000
        container.mux(sound.encode(frame))
        container.mux(sound.encode(None))


@pytest.fixture(scope='module')
def media(tmp_path_factory):
    folder = tmp_path_factory.mktemp('media')
    write_clip(folder / 'sound.mp4', FRAMES, WAVE)
    write_video(folder / 'silent.mp4', FRAMES, 24)
    return folder


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    config = load()
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmaction'):
        model = MODELS.build(config.model)
    path = tmp_path_factory.mktemp('model') / 'model.pth'
    state = {
        'state_dict': model.state_dict(),
        'meta': {
            'dataset_meta': {'classes': CLASSES},
            CONFIG_KEY: config_to_text(config.to_dict()),
        },
    }
    torch.save(state, path)
    return str(path)


@pytest.fixture(scope='module')
def inferencer(checkpoint):
    return MMGMPInferencer(weights=checkpoint, device='cpu')


def test_it_is_registered():
    assert INFERENCERS.get('MMGMPInferencer') is MMGMPInferencer


def test_a_file_with_sound(inferencer, media):
    (found,) = inferencer(str(media / 'sound.mp4'))['predictions']
    assert found['name'] == CLASSES[found['label']]
    assert found['score'] == max(found['scores'].values())
    assert list(found['scores']) == CLASSES
    assert sum(found['scores'].values()) == pytest.approx(1)
    assert list(found['modality_scores']) == ['video', 'audio']
    assert found['missing'] == []


def test_a_file_without_sound_says_so(inferencer, media, caplog):
    with caplog.at_level(logging.INFO):
        (found,) = inferencer(media / 'silent.mp4')['predictions']
    assert found['missing'] == ['audio']
    assert list(found['modality_scores']) == ['video']


def test_a_missing_sound_is_zeros_not_silence(inferencer, media, monkeypatch):
    # As trained ones do, this encoder makes something even of silence.
    for module in inferencer.model.encoders['audio'].modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            lifted = torch.full_like(module.bias, 0.1)
            monkeypatch.setattr(module.bias, 'data', lifted)
    (without,) = inferencer({'video': FRAMES, 'audio': None})['predictions']
    silence = np.zeros(32000, np.float32)
    (silent,) = inferencer((FRAMES, silence))['predictions']
    assert without['scores'] != silent['scores']
    model = inferencer.model
    assert model.missing_modalities == {}
    data = next(iter(inferencer.preprocess(
        inferencer._inputs_to_list((FRAMES, silence))
    )))  # fmt: skip
    inputs = model.data_preprocessor(data, False)['inputs']
    features = model.encode(inputs)
    features['audio'] = torch.zeros_like(features['audio'])
    scores = model.cls_head(model.fusion(features)).softmax(1)[0]
    assert list(without['scores'].values()) == pytest.approx(
        scores.tolist(), abs=1e-5
    )


def test_arrays_equal_the_file_they_come_from(inferencer, media):
    """Up to the losses of the sound's compression, here none: decoded."""
    with av.open(str(media / 'sound.mp4')) as container:
        frames = np.stack(
            [f.to_ndarray(format='rgb24') for f in container.decode(video=0)]
        )
    wave = read_sound(media / 'sound.mp4')
    (of_file,) = inferencer(str(media / 'sound.mp4'))['predictions']
    (of_arrays,) = inferencer((frames, wave))['predictions']
    assert of_arrays['scores'] == pytest.approx(of_file['scores'], abs=1e-5)


def test_a_list_keeps_its_order_whatever_is_missing(inferencer, media):
    inputs = [
        str(media / 'silent.mp4'),
        (FRAMES, WAVE),
        {'audio': WAVE},
        {'video': FRAMES[::-1], 'audio': WAVE},
        {'video': str(media / 'sound.mp4'), 'audio': None},
    ]
    together = inferencer(inputs, batch_size=3)['predictions']
    alone = [inferencer(item)['predictions'][0] for item in inputs]
    assert [p['missing'] for p in together] == [
        ['audio'], [], ['video'], [], ['audio']
    ]  # fmt: skip
    for one, other in zip(together, alone, strict=True):
        assert one['scores'] == pytest.approx(other['scores'], abs=1e-4)


def test_another_sample_rate_is_resampled(inferencer):
    import librosa

    half = librosa.resample(WAVE, orig_sr=16000, target_sr=8000)
    clip = {'video': FRAMES, 'audio': half, 'sample_rate': 8000}
    (found,) = inferencer(clip)['predictions']
    assert found['missing'] == []


def test_annotated_videos(inferencer, media, tmp_path):
    results = inferencer(
        [str(media / 'sound.mp4'), (FRAMES, None)], out_dir=tmp_path / 'out'
    )
    first, second = map(Path, results['visualization'])
    assert first.name == '000_sound_scores.mp4'
    with av.open(str(first)) as container:
        pictures = list(container.decode(video=0))
        assert len(pictures) == len(FRAMES)
        assert pictures[0].height > pictures[0].width == 480
    assert read_sound(first) is not None
    assert read_sound(second) is None


@pytest.mark.parametrize('is_dumped', [False, True])
def test_the_config_may_be_given(is_dumped, checkpoint, inferencer, tmp_path):
    """A dumped one has its keys sorted, which must not swap the features."""
    path = GMP
    if is_dumped:
        load().dump(tmp_path / 'dumped.py')
        path = tmp_path / 'dumped.py'
        encoders = Config.fromfile(path).model.encoders
        assert list(encoders) == ['audio', 'video']
    made = MMGMPInferencer(str(path), checkpoint, 'cpu')
    assert made.model.modalities == ('video', 'audio')
    (found,) = made((FRAMES, WAVE))['predictions']
    (expected,) = inferencer((FRAMES, WAVE))['predictions']
    assert found['scores'] == pytest.approx(expected['scores'], abs=1e-6)


@pytest.mark.parametrize(
    ('clip', 'error', 'message'),
    [
        (3, TypeError, 'must be a path'),
        ({'video': None}, ValueError, 'must hold video or audio'),
        ({'film': 'a.mp4'}, ValueError, r"got \['film'\]"),
        ((FRAMES[..., :1], WAVE), ValueError, 'frames must be uint8 RGB'),
        ((FRAMES, WAVE[None]), ValueError, 'audio must be a float waveform'),
        ((FRAMES, WAVE[:0]), ValueError, 'audio must be a float waveform'),
        ((FRAMES[:0], WAVE), ValueError, 'frames must be uint8 RGB'),
        (
            (FRAMES, WAVE * np.nan),
            ValueError,
            'audio holds samples that',
        ),
        ((FRAMES, WAVE * 32768), ValueError, 'scale of integers'),
        ({'audio': WAVE, 'sample_rate': 1}, ValueError, '1000 to 1000000 Hz'),
        ({'video': FRAMES, 'fps': np.nan}, ValueError, 'fps must be a number'),
        ('none.mp4', FileNotFoundError, 'no such file'),
    ],
)
def test_what_cannot_be_recognised(clip, error, message, inferencer):
    with pytest.raises(error, match=message):
        inferencer(clip)


def test_a_broken_file(inferencer, tmp_path):
    (tmp_path / 'broken.mp4').write_bytes(b'no film')
    with pytest.raises(OSError, match='cannot be decoded'):
        inferencer(tmp_path / 'broken.mp4')


@pytest.mark.parametrize('count', [1, 2, 15])
def test_short_clips_with_sound(inferencer, tmp_path, count):
    path = tmp_path / 'short.mp4'
    write_clip(path, FRAMES[:count], WAVE[:11200])
    for clip in (path, (FRAMES[:count], WAVE[:11200])):
        (found,) = inferencer(clip)['predictions']
        assert np.isfinite(list(found['scores'].values())).all()
        assert found['missing'] == []


def test_scores_that_are_no_numbers_are_no_result(checkpoint):
    broken = MMGMPInferencer(weights=checkpoint, device='cpu')
    with torch.no_grad():
        next(broken.model.cls_head.parameters()).fill_(torch.nan)
    with pytest.raises(ValueError, match=r'#0 cannot be recognised'):
        broken((FRAMES, WAVE))


def changed(checkpoint, path, **changes):
    state = torch.load(checkpoint, weights_only=True)
    state['meta'].pop(CONFIG_KEY)
    torch.save({**state, **changes}, path)
    return str(path)


@pytest.mark.parametrize(
    'place',
    [
        lambda text: {'message_hub': {'runtime_info': {'cfg': text}}},
        lambda text: {'meta': {'cfg': text}},
        lambda text: {'meta': {'config': text}},
        lambda text: {'meta': {CONFIG_KEY: text}},
    ],
    ids=['hub', 'cfg', 'config', 'data'],
)
def test_text_in_a_checkpoint_is_not_executed(place, checkpoint, tmp_path):
    trace = tmp_path / 'trace'
    text = f'__import__("os").mkdir({str(trace)!r})\nmodel = dict(type="x")'
    path = changed(checkpoint, tmp_path / 'a.pth', **place(text))
    with pytest.raises(ValueError, match=r'a\.pth.*name the config.*--config'):
        MMGMPInferencer(weights=path, device='cpu')
    with pytest.raises(ValueError, match='name the config'):
        MMGMPInferencer({}, path, 'cpu')
    assert not trace.exists()


def test_weights_that_leave_a_part_at_random_are_refused(checkpoint, tmp_path):
    weights = torch.load(checkpoint, weights_only=True)['state_dict']
    del weights['cls_head.output.weight']
    path = changed(checkpoint, tmp_path / 'a.pth', state_dict=weights)
    config = str(GMP)
    with pytest.raises(ValueError, match='1 that are missing.*cls_head'):
        MMGMPInferencer(config, path, 'cpu')
    path = changed(checkpoint, tmp_path / 'a.pth', state_dict=[weights])
    with pytest.raises(ValueError, match='must hold tensors by name'):
        MMGMPInferencer(config, path, 'cpu')


def test_a_damaged_checkpoint_is_refused(checkpoint, tmp_path):
    content = bytearray(Path(checkpoint).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / 'a.pth').write_bytes(content)
    with pytest.raises(OSError, match=r'a\.pth must be a whole checkpoint'):
        MMGMPInferencer(weights=str(tmp_path / 'a.pth'), device='cpu')


@pytest.fixture
def demo(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / 'demo'))
    import demo

    return demo.main


def test_the_demo_prints_scores_and_what_is_missing(
    demo, checkpoint, media, tmp_path, capsys
):
    clips = [str(media / name) for name in ('sound.mp4', 'silent.mp4')]
    out = ['--out-dir', str(tmp_path / 'out')]
    assert demo([str(checkpoint), *clips, '--device', 'cpu', *out]) == 0
    shown = capsys.readouterr().out
    assert shown.count('not in the file: audio') == 1
    assert 'silent.mp4 recognised from video alone, with zeros' in shown
    assert 'sound.mp4' in shown
    names = sorted(path.name for path in (tmp_path / 'out').glob('*.mp4'))
    assert names == ['000_sound_scores.mp4', '001_silent_scores.mp4']


def test_the_demo_names_a_missing_file(demo, checkpoint, capsys):
    assert demo([str(checkpoint), 'none.mp4', '--device', 'cpu']) == 2
    assert 'demo: none.mp4: no such file' in capsys.readouterr().err


@pytest.fixture
def folder(media, tmp_path):
    """Clips at two depths, one broken, and what is no clip."""
    root = tmp_path / 'clips'
    (root / 'more').mkdir(parents=True)
    for name in ('a.mp4', 'more/d.MP4'):
        (root / name).symlink_to(media / 'silent.mp4')
    (root / 'b.mp4').write_bytes(b'no video')
    (root / 'c.mp4').symlink_to(media / 'sound.mp4')
    (root / 'notes.txt').write_text('none')
    return root


def test_a_folder_of_clips_one_of_them_broken(
    demo, checkpoint, folder, tmp_path, capsys
):
    words = [checkpoint, str(folder), '--device', 'cpu', '--show-branches']
    assert demo([*words, '--batch-size', '3']) == 2
    assert 'b.mp4' in capsys.readouterr().err
    for ending in ('csv', 'json'):
        out = tmp_path / f'found.{ending}'
        argv = [*words, '--batch-size', '3', '--on-error', 'skip']
        assert demo([*argv, '--out', str(out)]) == 1
    shown = capsys.readouterr()
    assert '1 of 4 clips were skipped' in shown.err
    assert '2 clips recognised from video alone' in shown.out
    for text in ('fused', 'video', 'audio', 'missing', 'skipped: '):
        assert text in shown.out
    with open(tmp_path / 'found.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    names = [Path(row['clip']).name for row in rows]
    assert names == ['a.mp4', 'b.mp4', 'c.mp4', 'd.MP4']
    assert [row['missing'] for row in rows] == ['audio', '', '', 'audio']
    assert [bool(row['error']) for row in rows] == [False, True, False, False]
    assert rows[2]['audio class'] in CLASSES
    assert rows[0]['audio class'] == rows[1]['fused class'] == ''
    found = json.loads((tmp_path / 'found.json').read_text())
    assert [row.get('name', '') for row in found] == [
        row['fused class'] for row in rows
    ]
    # A clip is what it is, whatever stood beside it in the batch.
    assert found[0]['scores'] == pytest.approx(found[3]['scores'])


def test_one_clip_shows_the_first_guess_of_each_branch(
    demo, checkpoint, media, inferencer, capsys
):
    path = str(media / 'sound.mp4')
    assert demo([checkpoint, path, '--device', 'cpu', '--top', '7']) == 0
    row = next(
        line
        for line in capsys.readouterr().out.splitlines()
        if 'first guess' in line
    )
    (found,) = inferencer(path)['predictions']
    for scores in (found['scores'], *found['modality_scores'].values()):
        assert max(scores, key=scores.get) in row


def test_a_clip_that_lacks_a_modality_may_be_refused(
    demo, checkpoint, media, capsys
):
    words = [checkpoint, str(media / 'silent.mp4'), '--device', 'cpu']
    assert demo([*words, '--missing', 'raise']) == 2
    assert 'silent.mp4 has no audio, which the model takes' in (
        capsys.readouterr().err
    )
    assert demo([*words, '--missing', 'translate']) == 2
    assert "'translate' needs a method with translators" in (
        capsys.readouterr().err
    )


def test_the_model_s_own_stand_in_comes_first(checkpoint, media, caplog):
    strict = MMGMPInferencer(
        weights=checkpoint, device='cpu', on_missing='raise'
    )
    strict.model.missing_modalities = {'audio': 'zeros'}
    with caplog.at_level(logging.INFO):
        (found,) = strict(str(media / 'silent.mp4'))['predictions']
    assert found['missing'] == ['audio']
    with pytest.raises(ValueError, match='on_missing'):
        MMGMPInferencer(weights=checkpoint, on_missing='nothing')


def test_a_folder_without_clips_is_named(demo, checkpoint, tmp_path, capsys):
    assert demo([checkpoint, str(tmp_path)]) == 2
    assert 'holds no video' in capsys.readouterr().err
