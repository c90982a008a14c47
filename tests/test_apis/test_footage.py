"""Images of a folder and a webcam's frames by number, and the names of all footage."""
import os

import cv2
import numpy as np
import pytest
from numbered_video import HEIGHT, WIDTH, draw_number, read_number

from gaie_mmaction.apis import find_footage, open_footage, record_webcam
from gaie_mmaction.datasets.video_file import VideoFile, VideoReadError
from gaie_mmaction.visualization import VideoWriter


def image_of(number):
    return draw_number(number, np.zeros((HEIGHT, WIDTH, 3), np.uint8))


def test_folder_of_images(tmp_path):
    with pytest.raises(VideoReadError, match='no image'), open_footage(tmp_path):
        pass
    for number in range(12):
        image = image_of(number)
        image[..., 0] //= 2
        cv2.imwrite(str(tmp_path / f'img_{number:05}.png'), image[..., ::-1])
    (tmp_path / 'notes.txt').write_text('no image')
    with open_footage(tmp_path) as footage:
        assert (len(footage), footage.fps) == (12, 25)
        images = footage.read([11, 3, 3])
        assert [read_number(image) for image in images] == [11, 3, 3]
        assert (images[0] == image_of(11) // [2, 1, 1]).all()  # RGB
        cv2.imwrite(str(tmp_path / 'img_00003.png'), np.zeros((4, 4, 3), np.uint8))
        with pytest.raises(VideoReadError, match='img_00003.png has 4x4 pixels, others 128x96'):
            footage.read([0, 3])
        (tmp_path / 'img_00003.png').write_bytes(b'no')
        with pytest.raises(VideoReadError, match='img_00003.png cannot be read'):
            footage.read([3])


def test_images_of_any_name(tmp_path):
    """OpenCV's own reading fails for names beyond the code page, on Windows, or UTF-8."""
    path = tmp_path / os.fsdecode(b'\xe9')
    try:
        path.mkdir()
    except OSError:
        pytest.skip('no such names on this file system')
    (path / '0.png').write_bytes(cv2.imencode('.png', image_of(7))[1].tobytes())
    (path / '1.png').touch()
    with open_footage(path) as footage:
        assert read_number(footage.read([0])[0]) == 7
        with pytest.raises(VideoReadError, match='1.png cannot be read'):
            footage.read([1])


def test_images_in_the_order_of_their_numbers(tmp_path):
    for number in (9, 10, 100, 2):
        cv2.imwrite(str(tmp_path / f'img{number}.png'), image_of(number))
    with open_footage(tmp_path) as footage:
        assert [read_number(image) for image in footage.read(range(4))] == [2, 9, 10, 100]


def test_hidden_files_are_no_footage(tmp_path):
    """macOS leaves ._NAME beside each NAME on other systems' disks."""
    cv2.imwrite(str(tmp_path / '0.png'), image_of(5))
    (tmp_path / '._0.png').write_bytes(b'attributes')
    with open_footage(tmp_path) as footage:
        assert [read_number(image) for image in footage.read(range(len(footage)))] == [5]


@pytest.mark.parametrize('inputs, names', [
    (['a/x.mp4', 'b/x.mp4', 'c/x-2.mp4'], ['x', 'x-3', 'x-2']),
    (['x-2.mp4', 'a/x.mp4', 'b/x.mp4', 'c/x.mp4'], ['x-2', 'x', 'x-3', 'x-4']),
    (['1', '0', 'webcam0.avi'], ['webcam1', 'webcam0', 'webcam0-2']),
    (['x.mp4', 'x.mp4'], ['x', 'x-2'])])
def test_names_never_collide(inputs, names):
    found, skipped = find_footage(inputs)
    assert list(found.items()) == list(zip(names, inputs)) and skipped == []


def test_folders_of_videos(tmp_path, monkeypatch):
    for name in ('b.MP4', 'a.gif', 'notes.txt', '.hidden', '0'):
        (tmp_path / name).touch()
    found, skipped = find_footage([str(tmp_path)])
    assert list(found) == ['a', 'b'] and skipped == [str(tmp_path / '0'),
                                                     str(tmp_path / 'notes.txt')]
    monkeypatch.chdir(tmp_path)
    assert find_footage(['0'])[0] == {'0': '0'}  # a file of that name, not a webcam
    (tmp_path / 'frames').mkdir()
    monkeypatch.chdir(tmp_path / 'frames')
    assert find_footage(['.']) == ({'frames': '.'}, [])


def test_what_is_written_can_be_read(tmp_path):
    with VideoWriter(tmp_path / 'video.mp4', 12.5) as writer:
        for number in range(40):
            writer.write(np.pad(image_of(number), ((0, 1), (0, 1), (0, 0))))  # odd sizes
    with VideoFile(tmp_path / 'video.mp4') as video:
        assert (len(video), video.fps) == (40, 12.5)
        images = video.read(range(40))
        assert [read_number(image) for image in images] == list(range(40))
        assert np.abs(images[37].astype(int) - image_of(37)).mean() < 4


class Camera:
    """Stands in for OpenCV's."""

    def __init__(self, index, frames=1000, opened=True):
        self.index, self.frames, self.opened, self.number = index, frames, opened, -1

    def isOpened(self):  # noqa: N802
        return self.opened

    def get(self, key):
        return 10. if key == cv2.CAP_PROP_FPS else 0

    def read(self):
        self.number += 1
        if self.number == 15 and self.frames == 'ctrl-c':
            raise KeyboardInterrupt
        good = self.frames == 'ctrl-c' or self.number < self.frames
        return good, image_of(self.number)[..., ::-1] if good else None

    def release(self):
        self.opened = 'released'


@pytest.mark.parametrize('frames, expected', [(1000, 30), (7, 7), ('ctrl-c', 15)])
def test_webcam(tmp_path, monkeypatch, frames, expected):
    cameras = []
    monkeypatch.setattr(cv2, 'VideoCapture',
                        lambda index: cameras.append(Camera(index, frames)) or cameras[0])
    assert record_webcam(2, 3., tmp_path / 'cam.mp4') == expected
    assert (cameras[0].index, cameras[0].opened) == (2, 'released')
    with VideoFile(tmp_path / 'cam.mp4') as video:
        assert video.fps == 10
        assert [read_number(image) for image in video.read(range(len(video)))] == list(
            range(expected))


@pytest.mark.parametrize('camera, message', [
    (Camera(0, opened=False), 'webcam 0 cannot be opened'), (Camera(0, 0), 'gives no frame')])
def test_no_webcam(tmp_path, monkeypatch, camera, message):
    monkeypatch.setattr(cv2, 'VideoCapture', lambda index: camera)
    with pytest.raises(VideoReadError, match=message):
        record_webcam(0, 3., tmp_path / 'cam.mp4')
