"""Taylor frames pixel by pixel, with plain loops."""
from math import factorial

import numpy as np


def forward_difference(values, order):
    for _ in range(order):
        values = [after - before for before, after in zip(values, values[1:])]
    return values[0]


def taylor_pixel(values, terms):
    """Values of the three channels, for a pixel's values over one window."""
    return [sum(sum((value - values[0])**k for value in values) / factorial(k)
                * forward_difference(values, k + channel + 1) for k in range(terms)) / len(values)
            for channel in range(3)]


def taylor_frames(frames, window=6, terms=3):
    num, height, width = frames.shape
    out = np.zeros((num - window + 1, height, width, 3), np.uint8)
    for first in range(len(out)):
        values = np.zeros((height, width, 3))
        for y in range(height):
            for x in range(width):
                pixel = [float(frames[first + j, y, x]) for j in range(window)]
                values[y, x] = [max(value, 0.) for value in taylor_pixel(pixel, terms)]
        if values.max() > 0:
            out[first] = (values / values.max() * 255).astype(np.uint8)
    return out
