from __future__ import annotations

import errno
import importlib.util
import os
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from mmgmp.datasets.sound_track import read_sound_track
from mmgmp.testing.media import write_video
from tests.data_prep.conftest import DATA_PREP
from tests.data_prep.sound_tracks import noise, tone, write_with_sound
from tests.media_truth import constant, place_of, write_media
from tests.processes import heed_interrupts

SCRIPT = DATA_PREP / 'extract_audio.py'


@pytest.fixture(scope='module')
def script():
    spec = importlib.util.spec_from_file_location('extract_audio', SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules['extract_audio'] = module
    spec.loader.exec_module(module)
    return module


def test_pcm_comes_out_bit_for_bit(script, tmp_path, capsys):
    samples = noise(1.5, 16000, 1)
    path = tmp_path / 'videos' / 'human' / 'a clip.mov'
    path.parent.mkdir(parents=True)
    write_with_sound(path, samples, 16000, 'pcm_s16le')
    assert script.main([str(tmp_path / 'videos'), str(tmp_path / 'out')]) == 0
    wav = tmp_path / 'out' / 'human' / 'a clip.wav'
    read, rate = soundfile.read(wav, dtype='int16')
    info = soundfile.info(wav)
    assert (rate, info.subtype, info.channels) == (16000, 'PCM_16', 1)
    assert np.array_equal(read, samples[:, 0])
    assert '1 of 1 written' in capsys.readouterr().out


@pytest.mark.parametrize(('rate', 'channels'), [(44100, 2), (48000, 1)])
def test_aac_is_resampled_to_16_khz_mono(script, tmp_path, rate, channels):
    write_with_sound(
        tmp_path / 'a.MP4', tone(1.5, rate, channels), rate, 'aac'
    )
    assert script.main([str(tmp_path), str(tmp_path / 'out')]) == 0
    read, _ = soundfile.read(tmp_path / 'out' / 'a.wav')
    assert len(read) == pytest.approx(1.5 * 16000, abs=1024)
    spectrum = np.abs(np.fft.rfft(read[2000:18000]))
    assert spectrum.argmax() == 440
    assert np.abs(read[2000:-2000]).max() == pytest.approx(8000 / 32768, 0.1)


@pytest.fixture
def mixed(tmp_path) -> Path:
    """A good file, one without sound, one cut, one that is no video."""
    folder = tmp_path / 'videos'
    folder.mkdir()
    write_with_sound(folder / 'good.mp4', tone(1, 16000, 1), 16000, 'aac')
    write_video(folder / 'mute.mp4', np.zeros((8, 32, 32, 3), np.uint8))
    whole = (folder / 'good.mp4').read_bytes()
    (folder / 'cut.mp4').write_bytes(whole[: len(whole) // 2])
    (folder / 'text.mp4').write_text('no video')
    return folder


def test_a_video_cut_between_two_packets_is_refused(script, tmp_path, capsys):
    """With its index first, what is left of it decodes without an error."""
    videos = tmp_path / 'videos'
    videos.mkdir()
    write_with_sound(
        tmp_path / 'whole.mov', noise(4, 16000, 1), 16000, 'pcm_s16le'
    )
    path = videos / 'cut.mov'
    put_index_first(tmp_path / 'whole.mov', path)
    size = path.stat().st_size
    os.truncate(path, size - 64000)
    assert script.main([str(videos), str(tmp_path / 'out')]) == 1
    shown = capsys.readouterr().err
    assert f'{path}: is cut off, has {size - 64000} bytes of {size}' in shown
    assert not list((tmp_path / 'out').glob('*'))


def put_index_first(source: Path, target: Path) -> None:
    options = {'movflags': 'faststart'}
    with (
        av.open(str(source)) as old,
        av.open(str(target), 'w', options=options) as new,
    ):
        copy = new.add_stream_from_template(old.streams.audio[0])
        for packet in old.demux(audio=0):
            if packet.dts is not None:
                packet.stream = copy
                new.mux(packet)


def test_a_file_in_place_of_the_output_folder_is_named(
    script, mixed, tmp_path, capsys
):
    out = tmp_path / 'out'
    out.write_text('mine')
    assert script.main([str(mixed), str(out), '--workers', '1']) == 2
    assert f'out: {out} must be a folder' in capsys.readouterr().err
    assert out.read_text() == 'mine'


@pytest.mark.parametrize('workers', [1, 2])
def test_every_failure_is_named_and_the_rest_is_done(
    script, mixed, tmp_path, capsys, workers
):
    out = tmp_path / 'out'
    argv = [str(mixed), str(out), '--workers', str(workers)]
    assert script.main(argv) == 1
    shown = capsys.readouterr()
    assert f'{mixed}/mute.mp4: no sound\n' in shown.err
    assert f'{mixed}/cut.mp4: is cut off, has ' in shown.err
    assert f'{mixed}/text.mp4: cannot be decoded (' in shown.err
    assert (
        '1 of 4 written, 0 were there, 1 without sound, 2 failed' in shown.out
    )
    assert [path.name for path in out.iterdir()] == ['good.wav']


def test_links_are_followed_and_the_rest_is_counted(
    script, mixed, tmp_path, capsys
):
    """A domain on another disk, a circle, leavings and other files."""
    videos, disk = tmp_path / 'corpus', tmp_path / 'disk'
    videos.mkdir()
    disk.mkdir()
    whole = (mixed / 'good.mp4').read_bytes()
    for name in ('a.mp4', 'b.WEBM', '._a.mp4', 'notes.txt', 'cover.jpg'):
        (disk / name).write_bytes(whole)
    for name in ('kitchen', 'garden'):
        (videos / name).symlink_to(disk)
    (disk / 'again').symlink_to(videos)
    (videos / 'one.mkv').symlink_to(mixed / 'good.mp4')
    (videos / 'gone.mkv').symlink_to(tmp_path / 'absent.mkv')
    out = videos / 'sounds'
    out.mkdir()
    (out / 'old.mp4').write_bytes(whole)
    assert script.main([str(videos), str(out), '--workers', '1']) == 0
    made = sorted(str(p.relative_to(out)) for p in out.rglob('*.wav'))
    expected = ['garden/a.wav', 'garden/b.wav']
    expected += ['kitchen/a.wav', 'kitchen/b.wav', 'one.wav']
    assert made == expected
    shown = capsys.readouterr().out
    assert 'passed over 7 files that are no videos: ' in shown
    assert '2 .txt' in shown


def test_a_target_at_fault_is_named(script, mixed, tmp_path, capsys):
    """A folder in place of the wav file, a file in place of its folder."""
    out = tmp_path / 'out'
    (out / 'good.wav').mkdir(parents=True)
    (mixed / 'kitchen').mkdir()
    (mixed / 'kitchen' / 'b.mp4').write_bytes(
        (mixed / 'good.mp4').read_bytes()
    )
    (out / 'kitchen').write_text('mine')
    argv = [str(mixed), str(out), '--workers', '1', '--force']
    assert script.main(argv) == 1
    shown = capsys.readouterr().err
    written = f'cannot be written to {out}/'
    assert f'{mixed}/good.mp4: {written}good.wav (' in shown
    assert f'{mixed}/kitchen/b.mp4: {written}kitchen/b.wav (' in shown


def test_a_full_disk_is_no_broken_video(script, mixed, tmp_path, monkeypatch):
    def write(self, samples):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(soundfile.SoundFile, 'write', write)
    target = tmp_path / 'out' / 'good.wav'
    said = script.extract((mixed / 'good.mp4', target))
    assert said.startswith(f'cannot be written to {target} ([Errno 28]')
    assert not list(target.parent.iterdir())


def test_a_silent_track_is_written_and_said(script, tmp_path, capsys):
    videos = tmp_path / 'videos'
    videos.mkdir()
    samples = np.zeros((16000, 1), np.int16)
    write_with_sound(videos / 'a.mov', samples, 16000, 'pcm_s16le')
    assert script.main([str(videos), str(tmp_path / 'out')]) == 0
    shown = capsys.readouterr()
    assert 'a.mov: its sound is silent throughout' in shown.err
    assert '1 of those written are silent' in shown.out
    assert (tmp_path / 'out' / 'a.wav').is_file()


def test_second_0_of_the_sound_is_second_0_of_the_picture(script, tmp_path):
    write_media(
        tmp_path / 'a.mkv',
        constant(48),
        codec='mpeg4',
        time_base=Fraction(1, 24),
        sound='aac',
        sound_start=0.4,
        sound_gaps=[(1.0, 1.3)],
    )
    assert script.main([str(tmp_path), str(tmp_path / 'out')]) == 0
    wave, _ = soundfile.read(tmp_path / 'out' / 'a.wav', dtype='float32')
    for first in (9600, 24000):
        place, sure = place_of(wave[first : first + 4800])
        assert place == pytest.approx(first / 16000, abs=2e-3)
        assert sure > 0.8
    assert not wave[:5000].any()
    assert np.array_equal(wave, read_sound_track(tmp_path / 'a.mkv'))


def test_a_second_run_does_the_rest_only(script, mixed, tmp_path, capsys):
    out = tmp_path / 'out'
    argv = [str(mixed), str(out), '--workers', '1']
    script.main(argv)
    (out / 'good.wav').write_bytes(b'mine')
    (mixed / 'cut.mp4').write_bytes((mixed / 'good.mp4').read_bytes())
    assert script.main(argv) == 1
    assert '1 of 4 written, 1 were there' in capsys.readouterr().out
    assert (out / 'good.wav').read_bytes() == b'mine'
    assert script.main([*argv, '--force']) == 1
    assert (out / 'good.wav').read_bytes() == (out / 'cut.wav').read_bytes()


@pytest.mark.parametrize('kind', ['missing', 'empty', 'file'])
def test_a_wrong_folder_is_named(script, tmp_path, capsys, kind):
    folder = tmp_path / 'videos'
    if kind == 'empty':
        folder.mkdir()
    if kind == 'file':
        folder.write_text('')
    assert script.main([str(folder), str(tmp_path / 'out')]) == 2
    assert f'{folder}: no folder with videos' in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_two_videos_for_one_sound_are_refused(script, mixed, tmp_path, capsys):
    (mixed / 'good.avi').write_bytes(b'')
    assert script.main([str(mixed), str(tmp_path / 'out')]) == 2
    shown = capsys.readouterr().err
    assert 'good.avi' in shown
    assert 'good.mp4' in shown


@pytest.mark.slow
def test_an_interrupted_run_leaves_whole_files_and_continues(script, tmp_path):
    videos, out = tmp_path / 'videos', tmp_path / 'out'
    videos.mkdir()
    write_with_sound(videos / '0.mov', noise(9, 16000, 1), 16000, 'pcm_s16le')
    for number in range(1, 400):
        os.link(videos / '0.mov', videos / f'{number}.mov')
    command = [sys.executable, SCRIPT, videos, out, '--workers', '2']
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=heed_interrupts,
    )
    end = time.monotonic() + 60
    while not list(out.glob('*.wav')) and time.monotonic() < end:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    shown = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 130, shown
    assert 'the same command continues' in shown
    assert 'Traceback' not in shown
    sizes = {path.stat().st_size for path in out.glob('*.wav')}
    assert sizes == {9 * 16000 * 2 + 44}
    assert len(list(out.iterdir())) < 400
    assert script.main([str(videos), str(out), '--workers', '1']) == 0
    assert sorted(p.stem for p in out.iterdir()) == sorted(
        p.stem for p in videos.iterdir()
    )
