"""Cut clips hold the frames of their range."""
import struct

import numpy as np
import pytest
from numbered_video import draw_number, read_number, rotate, write_video
from tiny_release import NUM_FRAMES, details, make_release

from gaie_mmaction.datasets import VideoFile
from gaie_mmaction.datasets.annotations import Segment, read_annotations
from gaie_mmaction.release import cutting, prepare


def test_cut_clips_hold_the_frames_of_their_range(tmp_path):
    root = make_release(tmp_path / 'r', rows='17,0,9\n99,12,29\n5,29,29\n')
    report = prepare(root, tmp_path / 'out', cut=True, workers=2)
    assert not report.deviations
    segments_, clips = (read_annotations(str(tmp_path / f'out/trainval.{kind}'), 32)
                        for kind in ('csv', 'txt'))
    assert len(segments_) == len(clips) == 5
    for segment, clip in zip(segments_, clips):
        assert (segment['clip_id'], segment['label']) == (clip['clip_id'], clip['label'])
        with VideoFile(tmp_path / 'out/clips' / clip['video']) as reader:
            numbers = [read_number(image) for image in reader.read(range(len(reader)))]
            assert numbers == list(range(segment['start_frame'], segment['end_frame'] + 1))
            keys = reader._table.keys[:, 0]
            assert len(keys) == -(-len(reader) // 8)  # dense


@pytest.mark.parametrize('quarters', [0, 1, 2, 3])
@pytest.mark.parametrize('colours', [None, (1, 1), (1, 2), (5, 2)])
def test_cut_clip_looks_like_its_source(tmp_path, quarters, colours):
    """Rotation, colour matrix and range, of which a clip could lose the note."""
    path = tmp_path / 'v.mp4'
    write_video(path, 12, colours=colours, draw=lambda number, noise: noise + np.uint8(
        [180, 20, 5 * number]))
    rotate(path, quarters)
    assert cutting.cut_clips(path, 'v', [Segment('c', 'v.mp4', 3, 8, 0)], tmp_path,
                             cutting.encode_clip, '') == (1, [])
    with VideoFile(path) as source, VideoFile(tmp_path / 'c.mp4') as clip:
        expected, images = source.read(range(3, 9)), clip.read(range(6))
    for image, other in zip(images, expected):
        assert image.shape == other.shape
        difference = image.astype(float) - other
        assert np.abs(difference.mean(axis=(0, 1))).max() < 2 and np.abs(difference).mean() < 4


@pytest.mark.parametrize('size, expected', [
    ((1280, 720), (456, 256)), ((1080, 1920), (256, 456)), ((64, 48), (64, 48)),
    ((333, 257), (332, 256)), ((65, 49), (64, 48))])
def test_size_of_clips(size, expected):
    assert cutting.clip_size(*size) == expected


def test_second_cut_does_what_is_missing_or_has_changed(tmp_path):
    root, out = make_release(tmp_path / 'r'), tmp_path / 'out'
    prepare(root, out, cut=True)
    first = {path: path.stat().st_mtime_ns for path in (out / 'clips').iterdir()}
    content = {path: path.read_bytes() for path in first}
    broken, gone, moved = (out / f'clips/{name}.mp4' for name in ('0001_0', '0011_0', '0054_1'))
    broken.write_bytes(content[broken][:100])
    gone.unlink()
    label_file = next(root.rglob('0054_label.csv'))
    label_file.write_text(label_file.read_text().replace('8,20', '8,21'))
    assert prepare(root, out, cut=True).clips_cut == 3
    assert {path for path in first if path.stat().st_mtime_ns != first[path]} == {
        broken, gone, moved}
    assert broken.read_bytes() == content[broken] and gone.read_bytes() == content[gone]
    with VideoFile(moved) as reader:
        assert len(reader) == 14


def test_video_of_the_same_size_is_cut_anew(tmp_path):
    root, out = make_release(tmp_path / 'r'), tmp_path / 'out'
    video, clip = next(root.rglob('0001.mp4')), out / 'clips/0001_0.mp4'
    prepare(root, out, cut=True)
    size = video.stat().st_size
    write_video(video, NUM_FRAMES, crf='35', draw=lambda number, noise: draw_number(
        100 + number, noise))
    missing = size - video.stat().st_size
    with open(video, 'ab') as file:  # a box that readers pass over
        file.write(struct.pack('>I4s', missing, b'free').ljust(missing, b'\0'))
    assert video.stat().st_size == size
    assert prepare(root, out, cut=True).clips_cut == 2
    with VideoFile(clip) as reader:
        assert read_number(reader.read([3])[0]) == 103


def test_damage_costs_its_clips_alone(tmp_path):
    root = make_release(tmp_path / 'r', rows='17,0,9\n99,12,29\n')
    video = next(root.rglob('0001.mp4'))
    write_video(video, NUM_FRAMES, key_frames=10)
    data = video.read_bytes()
    place = data.index(b'mdat') + int((len(data) - data.index(b'mdat')) * .45)
    video.write_bytes(data[:place] + bytes(3000) + data[place + 3000:])
    report = prepare(root, tmp_path / 'out', cut=True)
    assert details(report, 'clips that could not be cut')[0].startswith('0001_1 was not written')
    assert (tmp_path / 'out/clips/0001_0.mp4').exists()
    assert not (tmp_path / 'out/clips/0001_1.mp4').exists()
