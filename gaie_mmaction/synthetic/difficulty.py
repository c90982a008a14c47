"""What makes the dataset hard: small gestures, a shaking camera, passers-by and flashes."""
from dataclasses import dataclass

import cv2
import numpy as np

from .person import Colour, to_colour

SHAKE_MEMORY = .9  # correlation of the camera's position from one frame to the next
CROSSING_FRAMES = (50, 110)  # that a passer-by needs for the width of the picture
FLASH_GAIN = (1.15, 1.4)


@dataclass(frozen=True)
class Difficulty:
    """How hard a dataset is.

    Attributes:
        amplitude: Range, in (0, 1], that each clip draws the share of the full movement from.
        noise_std: Sensor noise, grey levels.
        shake: Standard deviation of the camera's position, pixels of the video.
        sway: Factor of the idle movement.
        passers_by: Average number of people who walk by at a time.
        flashes: Share of the frames that a flash lights.
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


@dataclass(frozen=True)
class Walk:
    """A passer-by. Lengths are pixels of the canvas, speed is per frame."""
    first: int
    start: float
    speed: float
    top: float
    width: float
    colour: Colour
    skin: Colour

    def x(self, frame: int) -> float:
        return self.start + self.speed * (frame - self.first)


class Disturbances:
    """All that disturbs one video.

    ``rng`` is a generator for nothing else, so that gestures and looks do not depend on the
    difficulty; ``shape`` is the height and width of the canvas.
    """

    def __init__(self, difficulty: Difficulty, rng: np.random.Generator, num_frames: int,
                 shape: tuple[int, int]) -> None:
        self.height, self.width = shape
        self.shifts = np.zeros((num_frames, 2))
        if difficulty.shake:
            steps = rng.normal(0, difficulty.shake, (num_frames, 2)) * (1 - SHAKE_MEMORY**2)**.5
            for frame in range(1, num_frames):
                self.shifts[frame] = SHAKE_MEMORY * self.shifts[frame - 1] + steps[frame]
        lit = rng.random(num_frames) < difficulty.flashes
        self.gains = np.where(lit, rng.uniform(*FLASH_GAIN, num_frames), 1.)
        mean = sum(CROSSING_FRAMES) / 2
        number = rng.poisson(difficulty.passers_by * (num_frames + mean) / mean)
        self.walks = [self._sample_walk(rng, num_frames) for _ in range(number)]

    def _sample_walk(self, rng: np.random.Generator, num_frames: int) -> Walk:
        width = rng.uniform(.09, .15) * self.width
        speed = (self.width + 2 * width) / rng.uniform(*CROSSING_FRAMES)
        leftwards = rng.random() < .5
        return Walk(first=int(rng.integers(-CROSSING_FRAMES[1], num_frames)),
                    start=self.width + width if leftwards else -width,
                    speed=-speed if leftwards else speed, top=rng.uniform(.1, .3) * self.height,
                    width=width, colour=to_colour(rng.integers(20, 160, 3)),
                    skin=to_colour(rng.integers((75, 105, 160), (166, 196, 236))))

    def draw_behind(self, background: np.ndarray, frame: int) -> np.ndarray:
        """The background with the people who walk by; without any, the same array."""
        present = [walk for walk in self.walks if frame >= walk.first
                   and abs(walk.x(frame) - self.width / 2) < self.width / 2 + walk.width]
        image = background.copy() if present else background
        for walk in present:
            x = int(walk.x(frame))
            bob = .01 * self.height * np.sin(.45 * (frame - walk.first))
            head, half = int(.45 * walk.width), int(.8 * walk.width)
            top = int(walk.top + bob)
            cv2.rectangle(image, (x - half, top + 2 * head), (x + half, self.height), walk.colour,
                          -1)
            cv2.circle(image, (x, top + head), head, walk.skin, -1, cv2.LINE_AA)
        return image

    def finish(self, image: np.ndarray, frame: int) -> np.ndarray:
        """Apply camera shake and flash to a frame ``(H, W, 3)`` of the video without noise."""
        if self.shifts[frame].any():
            matrix = np.array([[1, 0, self.shifts[frame, 0]], [0, 1, self.shifts[frame, 1]]])
            image = cv2.warpAffine(image, matrix, image.shape[1::-1],
                                   borderMode=cv2.BORDER_REPLICATE)
        if self.gains[frame] != 1:
            image = cv2.convertScaleAbs(image, alpha=self.gains[frame])
        return image
