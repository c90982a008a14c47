"""People at a table: their looks, their idle movement and their joints.

Points are ``(2,)`` arrays, x and y in pixels of a canvas ``SCALE`` times as large as the video.
Sides are the person's own: the right hand is on the left of the picture.
"""
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

WIDTH, HEIGHT, FPS = 224, 168, 25
SCALE = 2  # drawn larger and then reduced: smooth edges

Point = np.ndarray
Colour = tuple[int, int, int]  # BGR

SKINS = ((140, 180, 225), (120, 160, 205), (95, 135, 185), (75, 110, 160), (165, 195, 235))
HAIR = ((30, 30, 35), (40, 60, 90), (60, 110, 160), (150, 150, 155), (20, 25, 50))
CLOTHES = ((90, 50, 30), (50, 50, 55), (40, 90, 40), (60, 40, 110), (120, 100, 40),
           (35, 35, 110), (95, 95, 100))
# OpenPose's BODY_25, of which only the upper body is visible, then the left and right fingertips
LIGHT_HAND = ('nose', 'neck', 'r_shoulder', 'r_elbow', 'r_wrist', 'l_shoulder', 'l_elbow',
              'l_wrist', *[None] * 7, 'r_eye', 'l_eye', 'r_ear', 'l_ear', *[None] * 6,
              *(f'{side}_tip{finger}' for side in 'lr' for finger in range(5)))


@dataclass(frozen=True)
class Subject:
    """What stays the same within a video.

    ``radius`` is half the height of the head and the unit of all other lengths; ``shoulder`` is
    half the shoulder width in radii, ``right_handed`` the share of gestures with the right hand.
    """
    centre: float
    head_y: float
    radius: float
    shoulder: float
    skin: Colour
    hair: Colour
    clothes: Colour
    hair_length: float
    beard: bool
    tempo: float
    right_handed: float

    @property
    def table_y(self) -> float:
        """Height of the table's edge."""
        return self.head_y + 4.1 * self.radius


@dataclass
class Pose:
    """One frame: head offset and shoulder lift (right, left) in radii, wrists in pixels."""
    head: np.ndarray
    shrug: np.ndarray
    hands: tuple[Point, Point]
    blink: bool
    pitch: float = 0.
    press: float = 0.


def to_colour(values: Iterable[float]) -> Colour:
    blue, green, red = map(int, values)
    return blue, green, red


def sample_subject(rng: np.random.Generator) -> Subject:
    jitter = rng.integers(-10, 11, 3)

    def choose(colours: tuple[Colour, ...]) -> Colour:
        return colours[rng.integers(len(colours))]

    return Subject(
        centre=SCALE * WIDTH * rng.uniform(.44, .56), head_y=SCALE * HEIGHT * rng.uniform(.27, .31),
        radius=SCALE * HEIGHT * rng.uniform(.128, .15), shoulder=rng.uniform(1.75, 2.15),
        skin=to_colour(np.array(choose(SKINS)) + jitter), hair=choose(HAIR),
        clothes=to_colour(np.clip(np.array(choose(CLOTHES)) + 2 * jitter, 0, 255)),
        hair_length=rng.uniform(.1, .9), beard=bool(rng.random() < .25),
        tempo=rng.uniform(.85, 1.2), right_handed=float(rng.choice([.85, .15], p=[.75, .25])))


def idle_pose(subject: Subject, frame: int, phases: np.ndarray, amount: float = 1.) -> Pose:
    """Breathing, swaying (by ``amount``) and blinking; ``phases`` ``(6,)``, radians, differ."""
    seconds = frame / FPS
    sway = np.array([np.sin(1.3 * seconds + phases[0]), .6 * np.sin(.9 * seconds + phases[1])])
    breath = .03 * np.sin(1.7 * seconds + phases[2])
    drift = np.array([np.sin(.8 * seconds + phases[3]), np.sin(1.1 * seconds + phases[4])])
    y = subject.table_y + .1 * subject.radius
    right, left = (np.array([subject.centre + side * 1.35 * subject.radius, y])
                   + amount * .05 * subject.radius * drift for side in (-1, 1))
    return Pose(head=amount * .05 * sway, shrug=np.array([breath, breath]), hands=(right, left),
                blink=(seconds + phases[5]) % 2.9 < .16)


def get_joints(subject: Subject, pose: Pose) -> dict[str, Point]:
    """All joints of a pose by name; ``r_`` and ``l_`` are the person's sides."""
    r = subject.radius
    head = np.array([subject.centre, subject.head_y]) + r * pose.head
    up = np.array([0, -r * pose.pitch])
    neck = np.array([subject.centre, subject.head_y + 1.75 * r])
    joints = dict(head=head, neck=neck, nose=head + r * np.array([0, .18]) + up,
                  mouth=head + r * np.array([0, .55]) + up)
    for which, (side, sign) in enumerate((('r', -1), ('l', 1))):
        shoulder = neck + r * np.array([sign * subject.shoulder, .35 - pose.shrug[which]])
        wrist = pose.hands[which]
        elbow = _elbow(shoulder, wrist, 1.75 * r, sign)
        angle = np.arctan2(*(wrist - elbow)[::-1])
        joints |= {
            f'{side}_shoulder': shoulder, f'{side}_elbow': elbow, f'{side}_wrist': wrist,
            f'{side}_eye': head + r * np.array([sign * .33, -.1]) + up,
            f'{side}_ear': head + r * np.array([sign * .86, .05]) + .4 * up}
        for finger in range(5):
            spread = angle + sign * (finger - 2) * .32
            joints[f'{side}_tip{finger}'] = wrist + r * (.55 if finger else .42) * np.array(
                [np.cos(spread), np.sin(spread)])
    return joints


def _elbow(shoulder: Point, wrist: Point, length: float, outward: int) -> Point:
    """Elbow of an arm of two links of one length, bent outward and down."""
    line = wrist - shoulder
    distance = float(np.clip(np.hypot(*line), 1e-6, .999 * (length + length)))
    along = distance**2 / (2 * distance)
    direction = line / np.hypot(*line)
    normal = np.array([-direction[1], direction[0]])
    if normal[0] * outward < 0:
        normal = -normal
    return shoulder + along * direction + np.sqrt(max(length**2 - along**2, 0.)) * normal


def light_hand_row(joints: dict[str, Point], rng: np.random.Generator) -> list[float]:
    """35 x (x, y, score) as a detector would find them, in pixels of the video; zeros if hidden."""
    row = np.zeros((len(LIGHT_HAND), 3))
    for number, name in enumerate(LIGHT_HAND):
        if name is not None:
            x, y = joints[name] / SCALE + rng.normal(0, .4, 2)
            if 0 <= x < WIDTH and 0 <= y < HEIGHT:
                row[number] = round(x, 2), round(y, 2), round(rng.uniform(.6, 1.), 3)
    return row.ravel().tolist()
