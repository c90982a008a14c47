"""Videos whose frames carry their number as pixels."""
import av
import numpy as np

WIDTH, HEIGHT, CELL = 128, 96, 32  # a grid of 4 x 3 cells: 12 bits


def write_video(path, num_frames, key_frames=60, b_frames=3):
    """H.264 with B-frames and long groups; frame n shows n in black and white cells."""
    options = dict(g=str(key_frames), bf=str(b_frames), movflags='faststart')
    rng = np.random.default_rng(0)
    with av.open(str(path), 'w', options=dict(movflags='faststart')) as container:
        stream = container.add_stream('libx264', rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, 'yuv420p'
        for number in range(num_frames):
            image = rng.integers(0, 40, (HEIGHT, WIDTH, 3))
            for bit in range(12):
                if number >> bit & 1:
                    y, x = CELL * (bit // 4), CELL * (bit % 4)
                    image[y:y + CELL, x:x + CELL] += 200
            frame = av.VideoFrame.from_ndarray(image.astype(np.uint8), format='rgb24')
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def read_number(image):
    """Number of a frame, ``(H, W, 3)``."""
    return sum(
        int(image[CELL * (bit // 4) + CELL // 2, CELL * (bit % 4) + CELL // 2].mean() > 128) << bit
        for bit in range(12))
