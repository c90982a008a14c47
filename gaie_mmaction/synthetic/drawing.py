"""Pictures of a person at a press-conference table, between a wall of logos and microphones."""
import cv2
import numpy as np

from .person import HEIGHT, SCALE, WIDTH, Colour, Point, Pose, Subject, to_colour

Layer = tuple[np.ndarray, np.ndarray]  # colours (H, W, 3) and mask (H, W)


def _pixel(point: Point) -> tuple[int, int]:
    return int(round(point[0])), int(round(point[1]))


def _shade(colour: Colour, factor: float) -> Colour:
    return to_colour(min(255, c * factor) for c in colour)


def _line(image: np.ndarray, start: Point, end: Point, colour: tuple, width: float) -> None:
    cv2.line(image, _pixel(start), _pixel(end), colour, int(width), cv2.LINE_AA)


def _ellipse(image: np.ndarray, centre: Point, axes: tuple[float, float], colour: tuple,
             start: float = 0, end: float = 360) -> None:
    cv2.ellipse(image, _pixel(centre), (int(axes[0]), int(axes[1])), 0, start, end, colour, -1,
                cv2.LINE_AA)


def draw_background(rng: np.random.Generator) -> np.ndarray:
    """Wall of logos, ``(SCALE * HEIGHT, SCALE * WIDTH, 3)`` BGR."""
    height, width = SCALE * HEIGHT, SCALE * WIDTH
    ramp = np.linspace(1.06, .88, height)[:, None, None]
    wall = np.clip(rng.integers(120, 215, 3) * ramp, 0, 255).astype(np.uint8)
    image = np.repeat(wall, width, axis=1)
    cell = int(rng.integers(60, 92))
    colours = [to_colour(rng.integers(30, 256, 3)) for _ in range(3)]
    for row, y in enumerate(range(cell // 2, height, cell)):
        for column, x in enumerate(range(cell // 2, width + cell, cell)):
            colour = colours[(row + column) % 3]
            x += cell // 2 * (row % 2)
            kind, size = (row + 2 * column) % 3, cell // 4
            if kind == 0:
                cv2.circle(image, (x, y), size, colour, -1, cv2.LINE_AA)
                cv2.circle(image, (x, y), size // 2, _shade(colour, .5), -1, cv2.LINE_AA)
            elif kind == 1:
                half = size // 2
                cv2.rectangle(image, (x - size, y - half), (x + size, y + half), colour, -1)
                cv2.line(image, (x - size, y), (x + size, y), (240, 240, 240), 3, cv2.LINE_AA)
            else:
                for step in (-1, 0, 1):
                    bar = x + step * size // 2
                    cv2.line(image, (bar, y - size), (bar, y + size), colour, 5, cv2.LINE_AA)
    return image


def draw_foreground(rng: np.random.Generator, subject: Subject) -> tuple[Layer, Layer]:
    """Table, which the arms lie on, and microphones, which hide everything behind them."""
    height, width = SCALE * HEIGHT, SCALE * WIDTH
    table, mics = np.zeros((2, height, width, 4), np.uint8)
    edge = int(subject.table_y - .1 * subject.radius)
    wood = to_colour(rng.integers(40, 190, 3))
    cv2.rectangle(table, (0, edge), (width, height), (*wood, 255), -1)
    cv2.rectangle(table, (0, edge), (width, edge + 5), (*_shade(wood, 1.3), 255), -1)
    plate = int(subject.centre + rng.uniform(-1.6, 1.6) * subject.radius)
    cv2.rectangle(table, (plate - 60, edge + 50), (plate + 60, edge + 74), (235, 235, 235, 255), -1)
    cv2.rectangle(table, (plate - 44, edge + 59), (plate + 40, edge + 64), (60, 60, 60, 255), -1)
    for offset in rng.choice([-2.6, -2.2, 2.2, 2.6], size=2, replace=False):
        x = int(subject.centre + offset * subject.radius)
        top = int(edge - rng.uniform(.3, .7) * subject.radius)
        cv2.line(mics, (x, height), (x, top), (25, 25, 25, 255), 6, cv2.LINE_AA)
        cv2.ellipse(mics, (x, top), (9, 15), 0, 0, 360, (45, 45, 50, 255), -1, cv2.LINE_AA)
    return _split(table), _split(mics)


def _split(picture: np.ndarray) -> Layer:
    # contiguous, so that copyTo needs no copy per frame
    return np.ascontiguousarray(picture[..., :3]), np.ascontiguousarray(picture[..., 3])


def _draw_torso(image: np.ndarray, subject: Subject, joints: dict[str, Point]) -> None:
    r, neck = subject.radius, joints['neck']
    right, left = joints['r_shoulder'], joints['l_shoulder']
    outline = [right + [-.28 * r, .1 * r], right + [.05 * r, -.22 * r], neck + [-.45 * r, -.12 * r],
               neck + [.45 * r, -.12 * r], left + [-.05 * r, -.22 * r], left + [.28 * r, .1 * r],
               neck + [1.6 * r, 3.2 * r], neck + [-1.6 * r, 3.2 * r]]
    cv2.fillPoly(image, [np.array(outline).astype(np.int32)], subject.clothes, cv2.LINE_AA)
    collar = [neck + [-.42 * r, -.1 * r], neck + [.42 * r, -.1 * r], neck + [0, .75 * r]]
    cv2.fillPoly(image, [np.array(collar).astype(np.int32)], (235, 235, 235), cv2.LINE_AA)
    _line(image, joints['head'] + [0, .6 * r], neck + [0, .1 * r], _shade(subject.skin, .86),
          .8 * r)


def _draw_head(image: np.ndarray, subject: Subject, joints: dict[str, Point], pose: Pose) -> None:
    r, head, skin, hair = subject.radius, joints['head'], subject.skin, subject.hair
    _ellipse(image, head + [0, -.12 * r], (.92 * r, (1 + .3 * subject.hair_length) * r), hair)
    for side in 'rl':
        _ellipse(image, joints[f'{side}_ear'], (.14 * r, .24 * r), _shade(skin, .85))
    _ellipse(image, head, (.8 * r, r), skin)
    # the hairline moves up and back with the head
    _ellipse(image, head + [0, -.05 * r], (.84 * r, 1.02 * r), hair, 200 + 20 * pose.pitch,
             340 - 20 * pose.pitch)
    if subject.beard:
        _ellipse(image, joints['mouth'] + [0, .12 * r], (.5 * r, .36 * r), hair, 0, 180)
    if pose.pitch > .1:
        _ellipse(image, head + [0, .85 * r], (.5 * r, .22 * r), _shade(skin, .78), 0, 180)
    for side in 'rl':
        eye = joints[f'{side}_eye']
        _line(image, eye + [-.17 * r, -.22 * r], eye + [.17 * r, -.22 * r], _shade(hair, .8),
              max(2, .07 * r))
        if pose.blink:
            _line(image, eye + [-.13 * r, 0], eye + [.13 * r, 0], _shade(skin, .6), 2)
        else:
            _ellipse(image, eye, (.15 * r, .1 * r), (245, 245, 245))
            cv2.circle(image, _pixel(eye), int(.08 * r), (40, 30, 30), -1, cv2.LINE_AA)
    nose = joints['nose']
    _line(image, nose + [0, -.2 * r], nose + [.06 * r, .05 * r], _shade(skin, .75), max(2, .08 * r))
    _draw_mouth(image, subject, joints['mouth'], pose.press)


def _draw_mouth(image: np.ndarray, subject: Subject, mouth: Point, press: float) -> None:
    """Full lips that become a thin dark line with folds at its ends when pressed."""
    r = subject.radius
    width = int((.4 - .1 * press) * r)
    red = np.array([95, 85, 205]) * (1 - press) + np.array(_shade(subject.skin, .5)) * press
    _ellipse(image, mouth, (width, max(.17 * (1 - press) * r, .03 * r)), to_colour(red))
    if press > .3:
        for sign in (-1, 1):
            fold = mouth + [sign * (width + .1 * r), 0]
            _line(image, fold + [0, -.14 * r], fold + [0, .14 * r], _shade(subject.skin, .6),
                  max(2, .08 * r))


def _draw_arm(image: np.ndarray, subject: Subject, joints: dict[str, Point], side: str) -> None:
    r = subject.radius
    shoulder, elbow, wrist = (joints[f'{side}_{name}'] for name in ('shoulder', 'elbow', 'wrist'))
    _line(image, shoulder, elbow, _shade(subject.clothes, .85), .55 * r)
    _line(image, elbow, wrist, _shade(subject.clothes, 1.15), .44 * r)
    for finger in range(5):
        _line(image, wrist, joints[f'{side}_tip{finger}'], _shade(subject.skin, .93), .17 * r)
    cv2.circle(image, _pixel(wrist), int(.3 * r), subject.skin, -1, cv2.LINE_AA)


def draw_frame(subject: Subject, pose: Pose, joints: dict[str, Point], background: np.ndarray,
               table: Layer, mics: Layer) -> np.ndarray:
    """One frame without noise, ``(HEIGHT, WIDTH, 3)`` BGR."""
    image = background.copy()
    _draw_torso(image, subject, joints)
    _draw_head(image, subject, joints, pose)
    cv2.copyTo(*table, image)
    for side in 'rl':
        _draw_arm(image, subject, joints, side)
    cv2.copyTo(*mics, image)
    return cv2.resize(image, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
