"""Videos whose frames carry their number as pixels."""
from fractions import Fraction

import av
import numpy as np

WIDTH, HEIGHT, CELL = 128, 96, 32  # a grid of 4 x 3 cells: 12 bits


def draw_number(number, noise):
    """Frame ``(H, W, 3)`` uint8 that shows a number in black and white cells, over noise < 40."""
    image = noise.copy()
    for bit in range(12):
        if number >> bit & 1:
            y, x = CELL * (bit // 4), CELL * (bit % 4)
            image[y:y + CELL, x:x + CELL] += 200
    return image


def write_video(path, num_frames, key_frames=60, b_frames=3, codec='libx264', times=None,
                colours=None, draw=draw_number, size=(WIDTH, HEIGHT), **options):
    """A video with B-frames and groups of ``key_frames``.

    ``colours`` are matrix and range, as numbers of FFmpeg, of the pixels and in the header.
    ``times`` are the frames' time stamps in units of 1/1000 s; without them it has 25 frames/s.
    """
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 40, (16, *size[::-1], 3)).astype(np.uint8)
    container_options = dict(movflags='faststart') if str(path).endswith('.mp4') else {}
    options = dict(g=str(key_frames), bf=str(b_frames), **options)
    with av.open(str(path), 'w', options=container_options) as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = *size, 'yuv420p'
        stream.thread_count = 1
        if colours is not None:
            stream.codec_context.colorspace, stream.codec_context.color_range = colours
        if times is not None:
            stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for number in range(num_frames):
            image = draw(number, noise[number % len(noise)])
            frame = av.VideoFrame.from_ndarray(image, format='rgb24')
            if colours is not None:
                frame = frame.reformat(
                    format='yuv420p', dst_colorspace=colours[0], dst_color_range=colours[1])
                frame.colorspace, frame.color_range = colours
            if times is not None:
                frame.pts, frame.time_base = int(times[number]), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def read_number(image):
    """Number of a frame, ``(H, W, 3)``."""
    return sum(
        int(image[CELL * (bit // 4) + CELL // 2, CELL * (bit % 4) + CELL // 2].mean() > 128) << bit
        for bit in range(12))


def remux(source, target, keep=lambda k: True, shift=0, comment=None, hold=1, **options):
    """Copy the packets that are kept, ``shift`` frames earlier, and the last ``hold`` as long."""
    with av.open(str(source)) as old, av.open(str(target), 'w', options=options) as new:
        if comment:
            new.metadata['comment'] = comment
        stream = old.streams.video[0]
        copy = new.add_stream_from_template(stream)
        packets = [packet for packet in old.demux(stream) if packet.size]
        offset = sorted(packet.pts for packet in packets)[shift]
        for k, packet in enumerate(packets):
            if keep(k):
                packet.pts -= offset
                packet.dts -= offset
                packet.stream = copy
                packet.duration *= hold if k == len(packets) - 1 else 1
                new.mux(packet)


def rotate(path, quarters):
    """Ask players, in the header of an mp4, to turn the frames clockwise by quarters."""
    cos, sin = [(1, 0), (0, 1), (-1, 0), (0, -1)][quarters]
    data = bytearray(path.read_bytes())
    matrix = data.index(b'tkhd') + 4 + 40  # version 0: the matrix follows 40 bytes of fields
    values = (cos, sin, 0, -sin, cos, 0)
    for k, value in enumerate(values):
        data[matrix + 4 * k:matrix + 4 * k + 4] = (value << 16).to_bytes(4, 'big', signed=True)
    path.write_bytes(data)
