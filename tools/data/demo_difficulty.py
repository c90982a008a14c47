"""What makes the demo release hard: small gestures, a restless camera, passers-by, flashes.

Each video has a random generator of its own for these things, so that the release
without them stays as it is.
"""
from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np


def colour_of(values: Iterable[float]) -> tuple[int, int, int]:
    """A colour for OpenCV, of three numbers."""
    blue, green, red = map(int, values)
    return blue, green, red


@dataclass(frozen=True)
class Difficulty:
    """How hard a release is.

    Attributes:
        amplitude (tuple[float]): Limits, in (0, 1], of how much of a gesture's way
            is gone; each clip draws its own.
        noise_std (float): Of the sensor, in grey levels.
        shake (float): Standard deviation of the camera's movement, pixels of the video.
        sway (float): Factor of everybody's idle movement.
        passers_by (float): People who walk by behind the table, on average at a time.
        flashes (float): Share of the frames that a camera's flash lights.
    """
    amplitude: tuple[float, float] = (1., 1.)
    noise_std: float = 3.
    shake: float = 0.
    sway: float = 1.
    passers_by: float = 0.
    flashes: float = 0.


DIFFICULTIES = {
    'normal': Difficulty(),
    'hard': Difficulty(amplitude=(.6, .9), noise_std=5., shake=.25, sway=1.5, passers_by=.4,
                       flashes=.01),
}
SHAKE_MEMORY = .9  # of the camera's place, from a frame to the next
CROSSING_FRAMES = (50, 110)  # that a passer-by needs for the width of the picture
FLASH_GAIN = (1.15, 1.4)


@dataclass(frozen=True)
class Walk:
    """A passer-by. Lengths are pixels of the enlarged picture."""
    first: int
    start: float
    speed: float
    top: float
    width: float
    colour: tuple[int, int, int]
    skin: tuple[int, int, int]


class Disturbances:
    """All that disturbs one video, frame by frame.

    Args:
        difficulty (Difficulty): How much of it.
        rng (np.random.Generator): Of this video and for nothing else.
        num_frames (int): Of the video.
        shape (tuple[int]): Height and width of the enlarged picture.
    """

    def __init__(self, difficulty: Difficulty, rng: np.random.Generator, num_frames: int,
                 shape: tuple[int, int]) -> None:
        self.height, self.width = shape
        self.shifts = np.zeros((num_frames, 2))
        if difficulty.shake:
            steps = rng.normal(0, difficulty.shake, (num_frames, 2)) * (1 - SHAKE_MEMORY**2)**.5
            for frame in range(1, num_frames):
                self.shifts[frame] = SHAKE_MEMORY * self.shifts[frame - 1] + steps[frame]
        self.gains = np.where(
            rng.random(num_frames) < difficulty.flashes,
            rng.uniform(*FLASH_GAIN, num_frames), 1.)
        self.walks = self._draw_walks(difficulty, rng, num_frames)

    def _draw_walks(self, difficulty: Difficulty, rng: np.random.Generator,
                    num_frames: int) -> list[Walk]:
        mean = sum(CROSSING_FRAMES) / 2
        number = rng.poisson(difficulty.passers_by * (num_frames + mean) / mean)
        walks = []
        for _ in range(number):
            width = rng.uniform(.09, .15) * self.width
            speed = (self.width + 2 * width) / rng.uniform(*CROSSING_FRAMES)
            leftwards = rng.random() < .5
            walks.append(Walk(
                first=int(rng.integers(-CROSSING_FRAMES[1], num_frames)),
                start=self.width + width if leftwards else -width,
                speed=-speed if leftwards else speed,
                top=rng.uniform(.1, .3) * self.height,
                width=width,
                colour=colour_of(rng.integers(20, 160, 3)),
                skin=colour_of(rng.integers((75, 105, 160), (166, 196, 236)))))
        return walks

    def draw_behind(self, background: np.ndarray, frame: int) -> np.ndarray:
        """The background with those who walk by, enlarged; the given one stays as it is."""
        present = [walk for walk in self.walks
                   if abs(walk.start + walk.speed * (frame - walk.first) - self.width / 2)
                   < self.width / 2 + walk.width and frame >= walk.first]
        if not present:
            return background
        image = background.copy()
        for walk in present:
            x = int(walk.start + walk.speed * (frame - walk.first))
            bob = .01 * self.height * np.sin(.45 * (frame - walk.first))
            head, half = int(.45 * walk.width), int(.8 * walk.width)
            top = int(walk.top + bob)
            cv2.rectangle(image, (x - half, top + 2 * head), (x + half, self.height), walk.colour,
                          -1)
            cv2.circle(image, (x, top + head), head, walk.skin, -1, cv2.LINE_AA)
        return image

    def finish(self, image: np.ndarray, frame: int) -> np.ndarray:
        """Camera and flashes of a reduced picture ``(H, W, 3)`` without noise."""
        if self.shifts[frame].any():
            matrix = np.array([[1, 0, self.shifts[frame, 0]], [0, 1, self.shifts[frame, 1]]])
            image = cv2.warpAffine(image, matrix, image.shape[1::-1],
                                   borderMode=cv2.BORDER_REPLICATE)
        if self.gains[frame] != 1:
            image = cv2.convertScaleAbs(image, alpha=self.gains[frame])
        return image
