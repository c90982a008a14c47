"""Frames by number: the frames asked for, or an error."""
import shutil
import time

import av
import numpy as np
import pytest
from numbered_video import HEIGHT, WIDTH, draw_number, read_number, remux, rotate, write_video

from gaie_mmaction.datasets import VideoFile, VideoReadError, frame_table

# name of the file, how it is written, its frames
STREAMS = {
    'groups of 60.mp4': dict(num_frames=480),
    'one group, 8 B-frames.mp4': dict(num_frames=300, key_frames=9999, b_frames=8),
    'every frame a key.mp4': dict(num_frames=300, key_frames=1),
    'no B-frames.mkv': dict(num_frames=300, b_frames=0),
    'open groups.mp4': dict(num_frames=480, **{
        'x264-params': 'open-gop=1:keyint=30:bframes=3:b-adapt=0:scenecut=0'}),
    'B-frames.mkv': dict(num_frames=300),
    'open groups.mkv': dict(num_frames=300, **{
        'x264-params': 'open-gop=1:keyint=30:bframes=3:b-adapt=0:scenecut=0'}),
    'no index, B-frames.ts': dict(num_frames=300),
    'streams begin after the header.flv': dict(num_frames=100),  # crashed PyAV
    'variable rate.mp4': dict(num_frames=480, times='variable'),
    'mpeg4.avi': dict(num_frames=300, codec='mpeg4', b_frames=0, qscale='2'),
    'hevc.mp4': dict(num_frames=300, codec='libx265', **{
        'x265-params': 'log-level=none:pools=none'}),
}


@pytest.fixture(scope='module')
def streams(tmp_path_factory):
    folder = tmp_path_factory.mktemp('streams')
    gaps = np.random.default_rng(0).choice([1, 20, 40, 700], 480, p=[.1, .4, .45, .05])
    for name, how in STREAMS.items():
        how = dict(how)
        if how.get('times') == 'variable':
            how['times'] = np.cumsum(gaps)
        write_video(folder / name, preset='veryfast', **how)  # the same kinds of frames
    remux(folder / 'groups of 60.mp4', folder / 'edit list.mp4', shift=50,
          avoid_negative_ts='disabled', use_editlist='1')
    return folder


@pytest.fixture(scope='module')
def video(streams):
    """200 frames in groups of 60; the index stands in front."""
    write_video(streams / 'v.mp4', 200)
    data = (streams / 'v.mp4').read_bytes()
    assert data.index(b'moov') < data.index(b'mdat')
    return streams / 'v.mp4'


def read(path, frame_inds, **options):
    with VideoFile(path, **options) as reader:
        return reader.read(frame_inds)


def numbers(path, frame_inds, **options):
    """What the frames show."""
    return [read_number(image) for image in read(path, frame_inds, **options)]


@pytest.mark.parametrize('ranges_each, frames', [
    (10, 2000), pytest.param(52, 10000, marks=pytest.mark.slow)])
def test_thousands_of_frames(streams, ranges_each, frames):
    rng = np.random.default_rng(0)
    checked = 0
    for name in (*STREAMS, 'edit list.mp4'):
        first = 50 if name == 'edit list.mp4' else 0  # frames that players do not show
        path = streams / name
        with VideoFile(path) as reader:
            num_frames = len(reader)
        assert num_frames == STREAMS.get(name, dict(num_frames=430))['num_frames']
        ranges = [(num_frames - 1, num_frames - 1), (num_frames - 40, num_frames - 1), (0, 15)]
        while len(ranges) < ranges_each:
            start, length = int(rng.integers(num_frames)), int(rng.integers(1, 80))
            ranges.append((start, min(start + length, num_frames) - 1))
        for start, end in ranges:
            inds = np.unique(rng.integers(start, end + 1, 40))
            assert numbers(path, inds) == (inds + first).tolist(), name
            checked += len(inds)
        inds = np.unique(rng.integers(num_frames, size=20))  # from the whole file
        assert numbers(path, inds) == (inds + first).tolist(), name
        checked += len(inds)
    assert checked >= frames


@pytest.mark.parametrize('frame_inds', [[199], [5, 5, 5], [150, 3, 199, 3, 61, 60, 59], [119, 120]])
def test_any_order_and_repeats(video, frame_inds):
    images = read(video, np.array(frame_inds))
    assert [read_number(image) for image in images] == frame_inds
    for image in images:
        assert image.shape == (HEIGHT, WIDTH, 3) and image.dtype == np.uint8


def test_reads_again_and_nothing(video):
    with VideoFile(video) as reader:
        assert reader.fps == 25 and len(reader) == 200
        for number in (199, 0, 100):
            assert [read_number(image) for image in reader.read([number])] == [number]
        assert reader.read([]) == []
        with pytest.raises(IndexError, match=r'frames 3\.\.200 are outside the 200 frames'):
            reader.read([200, 3])
        with pytest.raises(IndexError, match='outside'):
            reader.read([-1])


def test_same_pixels_as_decord(video):
    import decord
    inds = np.linspace(0, 199, 16).astype(int)
    images = decord.VideoReader(str(video), num_threads=1).get_batch(inds).asnumpy()
    assert np.array_equal(images, np.stack(read(video, inds)))


def draw_stripes(number, noise):
    colours = np.array([[200, 40, 30], [20, 180, 60], [30, 40, 220]], np.uint8)
    return np.repeat(colours, HEIGHT // 3, axis=0)[:, None].repeat(WIDTH, axis=1)


@pytest.mark.parametrize('matrix', [1, 5, 9])  # BT.709, 601, 2020
@pytest.mark.parametrize('full_range', [False, True])
def test_colours_by_the_matrix_and_range_of_the_file(tmp_path, matrix, full_range):
    import decord
    write_video(tmp_path / 'v.mp4', 3, colours=(matrix, 1 + full_range), draw=draw_stripes, qp='1')
    image = read(tmp_path / 'v.mp4', [1])[0]
    rows = slice(HEIGHT // 6, None, HEIGHT // 3)  # far from the edges, where chroma is mixed
    difference = image[rows].astype(int) - draw_stripes(1, None)[rows]
    assert np.abs(difference).max() <= 4  # a wrong matrix or range: 20 and more
    reader = decord.VideoReader(str(tmp_path / 'v.mp4'), num_threads=1)
    assert np.array_equal(image, reader[1].asnumpy())


@pytest.mark.parametrize('quarters', [1, 2, 3])
def test_rotated_for_display(tmp_path, quarters):
    write_video(tmp_path / 'v.mp4', 3, qp='1')
    rotate(tmp_path / 'v.mp4', quarters)
    image = read(tmp_path / 'v.mp4', [2])[0]
    upright = draw_number(2, np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    clockwise = np.rot90(upright, -quarters)
    assert image.shape == clockwise.shape
    assert np.array_equal(image > 128, clockwise > 128)


@pytest.mark.parametrize('name', ['v.mp4', 'v.mkv', 'v.webm', 'live.mkv'])
@pytest.mark.parametrize('share', [.2, .5, .95, -1])
def test_truncated(tmp_path, name, share):
    """An mp4 whose index stands in front opens and looks whole; FFmpeg never misses mkv frames."""
    options = dict(codec='libvpx', b_frames=0) if name == 'v.webm' else {}
    write_video(tmp_path / name, 100, **options)
    data = (tmp_path / name).read_bytes()
    if name == 'live.mkv':  # as a recorder that cannot go back writes it: the size is unknown
        place = data.index(b'\x18\x53\x80\x67') + 4
        data = data[:place] + b'\x01' + b'\xff' * 7 + data[place + 8:]
        (tmp_path / name).write_bytes(data)
        assert len(VideoFile(tmp_path / name)) == 100
        share = min(share, .5)  # what follows the last block holds no frame
    (tmp_path / name).write_bytes(data[:-1] if share == -1 else data[:int(len(data) * share)])
    with pytest.raises(VideoReadError, match='incomplete'):
        VideoFile(tmp_path / name)


@pytest.mark.parametrize('filling', ['noise', 'zeros'])
def test_a_hole_never_shifts_frames_of_matroska(streams, tmp_path, filling):
    """Refused if any element is missing; else all frames are there, at worst with wrong pixels."""
    data = (streams / 'B-frames.mkv').read_bytes()
    rng, refused = np.random.default_rng(0), 0
    for _ in range(30):
        place = int(rng.integers(300, len(data) - 4096))
        hole = rng.bytes(4096) if filling == 'noise' else bytes(4096)
        (tmp_path / 'v.mkv').write_bytes(data[:place] + hole + data[place + 4096:])
        try:
            with VideoFile(tmp_path / 'v.mkv') as reader:
                assert len(reader) == 300
        except VideoReadError as error:
            assert 'no element begins there' in str(error) or 'incomplete' in str(error)
            refused += 1
    assert refused > 20


def find_table(data, name):
    """Place of the first entry of one of an mp4's tables, and their number."""
    place = data.index(name) + 8
    return place + 4, int.from_bytes(data[place:place + 4], 'big')


def count_refused(path, data, draw_place, num_frames):
    """Change a byte at a random place, 60 times: the file is refused, or shows the same frames."""
    rng, refused = np.random.default_rng(0), 0
    for _ in range(60):
        place = draw_place(rng)
        changed = bytearray(data)
        changed[place] = (changed[place] + int(rng.integers(1, 256))) % 256
        path.write_bytes(changed)
        try:
            found = numbers(path, range(num_frames))
        except VideoReadError:
            refused += 1
        else:
            assert found == list(range(num_frames))
    return refused


def test_damaged_header_never_hides_or_moves_a_frame(video, tmp_path):
    """Damage in the table of display times; FFmpeg hides such frames or shows them elsewhere."""
    data = video.read_bytes()
    first, entries = find_table(data, b'ctts')
    assert count_refused(tmp_path / 'v.mp4', data,
                         lambda rng: first + int(rng.integers(8 * entries)), 200) > 50


@pytest.mark.parametrize('shift', range(0, 32, 4))
def test_damaged_duration_of_a_frame_hides_none(tmp_path, shift):
    """Longer frames lie behind the end of the edit list, where FFmpeg leaves them out."""
    write_video(tmp_path / 'v.mp4', 50, b_frames=0)
    data = (tmp_path / 'v.mp4').read_bytes()
    first, entries = find_table(data, b'stts')
    assert entries == 1
    duration = int.from_bytes(data[first + 4:first + 8], 'big') ^ 1 << shift
    (tmp_path / 'v.mp4').write_bytes(
        data[:first + 4] + duration.to_bytes(4, 'big') + data[first + 8:])
    try:
        with VideoFile(tmp_path / 'v.mp4') as reader:
            assert len(reader) == 50
    except VideoReadError as error:
        assert 'its header is damaged' in str(error)


@pytest.mark.parametrize('number', range(20, 52, 3))
def test_cut_without_re_encoding(video, tmp_path, number):
    """In the order of decoding: frames that are shown before the last one may be missing."""
    remux(video, tmp_path / 'cut.mp4', keep=lambda k: k < number)
    with av.open(str(video)) as whole:
        packets = [packet.pts for packet in whole.demux(video=0) if packet.size]
    order = sorted(packets)
    kept = sorted(order.index(pts) for pts in packets[:number])
    assert numbers(tmp_path / 'cut.mp4', range(number)) == kept


def test_a_colon_in_the_name(video, tmp_path, monkeypatch):
    """FFmpeg takes what is before it for a protocol."""
    shutil.copy(video, tmp_path / '12:30.mp4')
    monkeypatch.chdir(tmp_path)
    assert numbers('12:30.mp4', [7]) == [7]


@pytest.mark.parametrize('b_frames', [0, 3])
def test_a_last_frame_that_is_held(tmp_path, b_frames):
    """As in slide shows and screen recordings: it lasts longer than any gap."""
    write_video(tmp_path / 'v.mp4', 50, b_frames=b_frames)
    remux(tmp_path / 'v.mp4', tmp_path / 'held.mp4', hold=40)
    with av.open(str(tmp_path / 'held.mp4')) as held:
        assert held.streams.video[0].duration * held.streams.video[0].time_base > 3
    assert numbers(tmp_path / 'held.mp4', range(50)) == list(range(50))


@pytest.mark.parametrize('lost, reason', [
    (b'mdhd', ''),  # without its clock FFmpeg finds a handful of frames, and no duration
    (b'avc1', 'FFmpeg does not know its codec')])
def test_boxes_whose_name_is_lost(video, tmp_path, lost, reason):
    (tmp_path / 'v.mp4').write_bytes(video.read_bytes().replace(lost, b'zzz9'))
    with pytest.raises(VideoReadError, match=reason):
        VideoFile(tmp_path / 'v.mp4')


def test_large_frames(video, tmp_path):
    with pytest.raises(VideoReadError, match=r'128 x 96 = 12288 pixels, more than max_pixels=12287:'
                       r' raise the limit by ClipInit\(max_pixels=...\)'):
        VideoFile(video, max_pixels=12287)
    assert len(VideoFile(video, max_pixels=12288)) == 200
    # frames that are larger than the header of the file says
    write_video(tmp_path / 'v.avi', 3, codec='mjpeg', b_frames=0, strict='unofficial')
    data = (tmp_path / 'v.avi').read_bytes()
    size, small = (width.to_bytes(4, 'little') + height.to_bytes(4, 'little')
                   for width, height in ((WIDTH, HEIGHT), (64, 48)))
    assert data.count(size) >= 2
    (tmp_path / 'v.avi').write_bytes(data.replace(size, small))
    with pytest.raises(VideoReadError, match='decoding frames|pixels'):
        read(tmp_path / 'v.avi', [0], max_pixels=64 * 48)
    assert read_number(read(tmp_path / 'v.avi', [2], max_pixels=WIDTH * HEIGHT)[0]) == 2


def test_what_is_no_video(tmp_path):
    (tmp_path / 'empty.mp4').touch()
    (tmp_path / 'text.mp4').write_text('no video\n' * 1000)
    for name, reason in (('empty.mp4', 'is empty'), ('text.mp4', 'not a video or is damaged'),
                         ('none.mp4', 'cannot be opened .No such file'), ('.', 'not a video')):
        with pytest.raises(VideoReadError, match=reason):
            VideoFile(tmp_path / name)


@pytest.mark.parametrize('text', [
    'ffconcat version 1.0\nfile {0}\n', '#EXTM3U\n#EXTINF:8,\n{0}\n#EXT-X-ENDLIST\n'])
def test_a_script_does_not_have_other_files_read(video, tmp_path, text):
    """FFmpeg looks at what a file begins with, not at its name."""
    path = tmp_path / 'script.mp4'
    path.write_text(text.format(video))
    with pytest.raises(VideoReadError, match='is not a video or is damaged'):
        VideoFile(path)
    if text.startswith('ffconcat'):
        with av.open(str(path), options=dict(safe='0')) as container:
            assert container.format.name == 'concat'  # so it would have worked


def test_texts_in_another_encoding_do_no_harm(video, tmp_path):
    remux(video, tmp_path / 'named.mp4', comment='MARKMARK')
    data = (tmp_path / 'named.mp4').read_bytes()
    assert data.count(b'MARKMARK') == 1
    (tmp_path / 'named.mp4').write_bytes(data.replace(b'MARKMARK', b'caf\xe9\xff\xfe\xe9!'))
    assert len(VideoFile(tmp_path / 'named.mp4')) == 200


def test_decoder_that_refuses_the_header(streams, tmp_path):
    data = (streams / 'hevc.mp4').read_bytes()
    place = data.index(b'hvcC') + 4 + 22  # number of its parameter sets, and their lengths
    (tmp_path / 'v.mp4').write_bytes(data[:place] + b'\xff' * 4 + data[place + 4:])
    with pytest.raises(VideoReadError, match='its header is damaged .Invalid data'):
        VideoFile(tmp_path / 'v.mp4')


def test_streams_without_a_number_for_each_frame(video, tmp_path):
    remux(video, tmp_path / 'headless.mp4', keep=lambda k: k >= 10)
    with pytest.raises(VideoReadError, match='does not start at a key frame'):
        VideoFile(tmp_path / 'headless.mp4')
    write_video(tmp_path / 'bare.h264', 30)
    with pytest.raises(VideoReadError, match='no time stamps; re-encode it: ffmpeg -i'):
        VideoFile(tmp_path / 'bare.h264')


def test_h264_with_b_frames_in_avi_is_refused(tmp_path):
    write_video(tmp_path / 'v.avi', 30)
    with pytest.raises(VideoReadError, match='another order than they are shown in.*re-encode it'):
        VideoFile(tmp_path / 'v.avi')
    write_video(tmp_path / 'v.avi', 30, codec='mpeg4', b_frames=2, qscale='2')
    assert numbers(tmp_path / 'v.avi', range(30)) == list(range(30))


def test_frames_that_a_recorder_dropped(tmp_path):
    """AVI holds a dropped frame as an empty one, and counts it."""
    write_video(tmp_path / 'v.avi', 50, codec='mpeg4', key_frames=1, b_frames=0, qscale='2')
    remux(tmp_path / 'v.avi', tmp_path / 'gaps.avi', keep=lambda k: k % 10)
    with av.open(str(tmp_path / 'gaps.avi')) as container:
        assert container.streams.video[0].frames > 45
    kept = [k for k in range(50) if k % 10]
    with VideoFile(tmp_path / 'gaps.avi') as reader:
        assert len(reader) == 45
    assert numbers(tmp_path / 'gaps.avi', range(45)) == kept
    data = (tmp_path / 'gaps.avi').read_bytes()
    (tmp_path / 'cut.avi').write_bytes(data[:len(data) // 2])
    with pytest.raises(VideoReadError):
        VideoFile(tmp_path / 'cut.avi')
    # after the last frame empty ones are told from lost ones only by people
    remux(tmp_path / 'v.avi', tmp_path / 'held.avi', hold=5)
    with pytest.raises(VideoReadError, match='50 of the 5[0-9] frames that its header announces. '
                                             'If it plays to its end, re-encode it: ffmpeg'):
        VideoFile(tmp_path / 'held.avi')


@pytest.mark.parametrize('b_frames', [0, 2])
def test_damaged_chunk_of_avi_never_moves_a_frame(tmp_path, b_frames):
    """A chunk that is lost is not one that was dropped."""
    write_video(tmp_path / 'v.avi', 50, codec='mpeg4', b_frames=b_frames, qscale='2')
    data = (tmp_path / 'v.avi').read_bytes()
    chunks = [place for place in range(len(data)) if data[place:place + 4] == b'00dc']
    assert count_refused(
        tmp_path / 'm.avi', data,
        lambda rng: int(rng.choice(chunks)) + int(rng.integers(8)), 50) > 15  # name and size


@pytest.mark.parametrize('shift, share', [(70, 1), (0, .4), (130, 1)])
def test_whole_groups_that_an_edit_list_hides(video, tmp_path, shift, share):
    """As editors trim a video without encoding it again; such a file is not incomplete."""
    path = tmp_path / 'v.mp4'
    remux(video, path, shift=shift, avoid_negative_ts='disabled', use_editlist='1')
    data = bytearray(path.read_bytes())
    place = data.index(b'elst') + 12  # the length of the first edit, in 1/1000 s
    num_frames = int(share * (200 - shift))
    data[place:place + 4] = (40 * num_frames).to_bytes(4, 'big')
    path.write_bytes(data)
    with VideoFile(path) as reader:
        assert len(reader) == num_frames
    assert numbers(path, range(num_frames)) == list(range(shift, shift + num_frames))


def test_av1_when_the_first_frame_is_not_asked_for(tmp_path):
    write_video(tmp_path / 'v.mp4', 60, codec='libsvtav1', key_frames=30, preset='12')
    inds = [5, 13, 22, 41, 59]
    assert numbers(tmp_path / 'v.mp4', inds) == inds


@pytest.mark.parametrize('filling', ['noise', 'zeros'])
def test_a_lost_disk_sector_is_an_error_or_without_effect(video, tmp_path, filling):
    data = video.read_bytes()
    start, size = data.index(b'mdat') + 4, 4096
    rng = np.random.default_rng(0)
    inds = np.linspace(0, 199, 16).astype(int)
    refused = 0
    for _ in range(40):
        place = int(rng.integers(start, len(data) - size))
        path = tmp_path / 'damaged.mp4'
        sector = rng.bytes(size) if filling == 'noise' else bytes(size)
        path.write_bytes(data[:place] + sector + data[place + size:])
        before = time.time()
        try:
            found = numbers(path, inds)
        except VideoReadError:
            refused += 1
        else:
            assert found == inds.tolist()
        assert time.time() - before < 5
    assert refused > 30


def test_what_lies_before_the_damage_is_right(video, tmp_path):
    data = video.read_bytes()
    middle = data.index(b'mdat') + (len(data) - data.index(b'mdat')) // 2
    path = tmp_path / 'damaged.mp4'
    path.write_bytes(data[:middle] + np.random.default_rng(0).bytes(4000) + data[middle + 4000:])
    with pytest.raises(VideoReadError, match=r'decoding frames 0\.\.199 failed'):
        read(path, [0, 50, 100, 150, 199])
    assert numbers(path, [0, 20, 40]) == [0, 20, 40]


def test_packets_are_scanned_once_and_again_after_a_change(video, tmp_path, monkeypatch):
    scans = []
    scan = frame_table.scan
    monkeypatch.setattr(frame_table, 'scan', lambda container: scans.append(1) or scan(container))
    path = tmp_path / 'v.mp4'
    path.write_bytes(video.read_bytes())
    for _ in range(3):
        VideoFile(path).close()
    assert len(scans) == 1
    write_video(path, 20)
    with VideoFile(path) as reader:
        assert len(reader) == 20
    assert len(scans) == 2
