"""Draw a small invented release in the MiGA challenge's own layout.

A person sits at a press-conference table, before a wall of logos and behind
microphones, and makes small gestures of eight classes. One whole video a subject;
the subjects of the three parts differ. What the organisers of a challenge keep
to themselves lies beside it: ``test_answers.csv`` (the labels of the test
part) and ``regions.csv`` (the box, in pixels, of the limbs, the head or the mouth
that a clip's gesture moves, over the whole clip).
The same seed gives the same release, whatever the number of workers.
"""
import argparse
import csv
import os
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
from demo_difficulty import DIFFICULTIES, Difficulty, Disturbances, colour_of
from tqdm import tqdm

WIDTH, HEIGHT, FPS = 224, 168, 25
SCALE = 2  # drawn this much larger, then reduced: smooth edges
KEY_FRAMES = 16  # a key frame at least this often, so that reading a range is cheap
CLIP_FRAMES = (20, 40)  # one distribution of lengths for all classes
GAP_FRAMES = (3, 8)
PLACEHOLDER = 1  # class in the label files of the test part, as meaningless as in the challenge
MARKER = '.demo_release'
# x264's macroblock tree gives other bytes for the same frames, by what the memory held before
ENCODER = {'preset': 'veryfast', 'tune': 'fastdecode', 'crf': '26', 'g': str(KEY_FRAMES),
           'threads': '1', 'x264-params': 'mbtree=0'}
MOVED = .1  # radii from the idle pose; a joint that is nearer counts as still
# how far the drawing of a joint reaches around it, radii
REACH = dict(head=1.3, mouth=.6, shoulder=.45, elbow=.35, wrist=.35, tip=.15)

# name -> the challenge's file code
GESTURES = {
    'scratching neck': 12,
    'touching ear': 9,
    'rubbing hands': 23,
    'folding arms': 17,
    'head up': 28,
    'pressing lips': 29,
    'shaking shoulders': 31,
    'illustrative': 99,
}

Point = np.ndarray  # (x, y), pixels of the enlarged picture
Layer = tuple[np.ndarray, np.ndarray]  # colours (H, W, 3) and mask (H, W), enlarged picture


@dataclass(frozen=True)
class Subject:
    """What does not change within a video. Lengths are pixels of the enlarged picture."""
    centre: float
    head_y: float
    radius: float  # half the head's height; the unit of all the rest
    shoulder: float  # half the shoulders' width, in radii
    skin: tuple[int, int, int]
    hair: tuple[int, int, int]
    clothes: tuple[int, int, int]
    hair_length: float
    beard: bool
    tempo: float
    right_handed: float  # share of the gestures made with the right hand


@dataclass
class Pose:
    """One frame. The head is an offset from its place, in radii."""
    head: np.ndarray
    shrug: np.ndarray  # (right, left) lift of the shoulders, radii
    hands: tuple[Point, Point]  # (right, left) wrists, pixels
    blink: float
    pitch: float = 0.
    press: float = 0.


def draw_subject(rng: np.random.Generator) -> Subject:
    """Draw a person at random."""
    skins = [(140, 180, 225), (120, 160, 205), (95, 135, 185), (75, 110, 160), (165, 195, 235)]
    hairs = [(30, 30, 35), (40, 60, 90), (60, 110, 160), (150, 150, 155), (20, 25, 50)]
    clothes = [(90, 50, 30), (50, 50, 55), (40, 90, 40), (60, 40, 110), (120, 100, 40),
               (35, 35, 110), (95, 95, 100)]
    jitter = rng.integers(-10, 11, 3)
    pick = lambda colours: colours[rng.integers(len(colours))]  # noqa: E731
    return Subject(
        centre=SCALE * WIDTH * rng.uniform(.44, .56),
        head_y=SCALE * HEIGHT * rng.uniform(.27, .31),
        radius=SCALE * HEIGHT * rng.uniform(.128, .15),
        shoulder=rng.uniform(1.75, 2.15),
        skin=colour_of(c + j for c, j in zip(pick(skins), jitter, strict=True)),
        hair=pick(hairs),
        clothes=colour_of(np.clip(np.array(pick(clothes)) + 2 * jitter, 0, 255)),
        hair_length=rng.uniform(.1, .9),
        beard=bool(rng.random() < .25),
        tempo=rng.uniform(.85, 1.2),
        right_handed=float(rng.choice([.85, .15], p=[.75, .25])))


def table_y(subject: Subject) -> float:
    """Height of the table's edge."""
    return subject.head_y + 4.1 * subject.radius


def rest_hands(subject: Subject) -> tuple[Point, Point]:
    """Wrists (right, left) on the table; the person's right is at the picture's left."""
    y = table_y(subject) + .1 * subject.radius
    right, left = (
        np.array([subject.centre + side * 1.35 * subject.radius, y]) for side in (-1, 1))
    return right, left


def envelope(time: float) -> float:
    """0 at both ends of a clip, 1 in its middle part; time in [0, 1]."""
    rise = np.clip(min(time, 1 - time) / .22, 0, 1)
    return float(rise * rise * (3 - 2 * rise))


def idle_pose(subject: Subject, frame: int, phases: np.ndarray, amount: float = 1.) -> Pose:
    """Breathing, a slight sway and blinks, as everybody has all the time."""
    seconds = frame / FPS
    sway = np.array([np.sin(1.3 * seconds + phases[0]), .6 * np.sin(.9 * seconds + phases[1])])
    breath = .03 * np.sin(1.7 * seconds + phases[2])
    drift = np.array([np.sin(.8 * seconds + phases[3]), np.sin(1.1 * seconds + phases[4])])
    right, left = (hand + amount * .05 * subject.radius * drift for hand in rest_hands(subject))
    blink = 1. if (seconds + phases[5]) % 2.9 < .16 else 0.
    return Pose(head=amount * .05 * sway, blink=blink, shrug=np.array([breath, breath]),
                hands=(right, left))


def gesture_pose(subject: Subject, pose: Pose, gesture: str, time: float, length: int, side: int,
                 phase: float, amplitude: float = 1.) -> Pose:
    """Add a gesture to the idle pose.

    Args:
        subject (Subject): Who.
        pose (Pose): The idle pose, changed in place.
        gesture (str): A key of ``GESTURES``.
        time (float): Place within the clip, [0, 1].
        length (int): Frames of the clip.
        side (int): 0 the person's right hand, 1 the left one.
        phase (float): Start of the oscillation, radians.
        amplitude (float): Share of the gesture's way that is gone, in (0, 1]. Defaults to 1.

    Returns:
        Pose: The pose.
    """
    r = subject.radius
    amount = amplitude * envelope(time)
    seconds = time * length / FPS

    def wave(hertz: float) -> float:
        return float(np.sin(2 * np.pi * hertz * subject.tempo * seconds + phase))

    outward = (-1, 1)[side]
    head = np.array([subject.centre, subject.head_y]) + r * pose.head
    hands = list(pose.hands)

    def move(which: int, target: Point) -> None:
        hands[which] = (1 - amount) * hands[which] + amount * target

    if gesture == 'scratching neck':
        move(side, head + r * np.array([outward * .55, 1.8 + .22 * wave(3.)]))
    elif gesture == 'touching ear':
        move(side, head + r * np.array([outward * 1.2, -.1 + .14 * wave(2.)]))
    elif gesture == 'rubbing hands':
        for which, sign in ((0, -1), (1, 1)):
            centre = np.array([subject.centre, table_y(subject) - .55 * r])
            move(which, centre + r * np.array([sign * .45, sign * .3 * wave(2.8)]))
    elif gesture == 'folding arms':
        for which, sign in ((0, -1), (1, 1)):
            height = table_y(subject) - (1.6 if which == side else 1.25) * r
            move(which, np.array([subject.centre - sign * 1.2 * r, height + .04 * r * wave(.7)]))
    elif gesture == 'head up':
        pose.head = pose.head + amount * np.array([0, -.26 + .03 * wave(1.)])
        pose.pitch = amount * (.3 + .04 * wave(1.))
    elif gesture == 'pressing lips':
        pose.press = amount * (.72 + .28 * wave(1.4))
    elif gesture == 'shaking shoulders':
        lift = .2 * amount * wave(3.2)
        pose.shrug = pose.shrug + np.array([lift, lift]) + .06 * amount
    elif gesture == 'illustrative':
        for which, sign in ((0, -1), (1, 1)):
            beat = .38 * wave(1.6) * (1 if which == side else .7)
            move(which, head + r * np.array([sign * (1.75 + .15 * wave(.8)), 2.5 + beat]))
    pose.hands = hands[0], hands[1]
    return pose


def elbow_of(shoulder: Point, wrist: Point, upper: float, fore: float, outward: int) -> Point:
    """Elbow of a two-link arm, bent outward and down."""
    line = wrist - shoulder
    distance = float(np.clip(np.hypot(*line), 1e-6, .999 * (upper + fore)))
    along = (upper**2 - fore**2 + distance**2) / (2 * distance)
    height = np.sqrt(max(upper**2 - along**2, 0.))
    direction = line / np.hypot(*line)
    normal = np.array([-direction[1], direction[0]])
    if normal[0] * outward < 0:
        normal = -normal
    return shoulder + along * direction + height * normal


def joints_of(subject: Subject, pose: Pose) -> dict[str, Point]:
    """All joints of a pose, pixels of the enlarged picture; r and l are the person's sides."""
    r = subject.radius
    head = np.array([subject.centre, subject.head_y]) + r * pose.head
    up = np.array([0, -r * pose.pitch])
    joints = dict(
        head=head,
        nose=head + r * np.array([0, .18]) + up,
        neck=np.array([subject.centre, subject.head_y + 1.75 * r]),
        mouth=head + r * np.array([0, .55]) + up)
    for which, (name, sign) in enumerate((('r', -1), ('l', 1))):
        shoulder = joints['neck'] + r * np.array(
            [sign * subject.shoulder, .35 - pose.shrug[which]])
        wrist = pose.hands[which]
        elbow = elbow_of(shoulder, wrist, 1.75 * r, 1.75 * r, sign)
        joints[f'{name}_shoulder'], joints[f'{name}_wrist'] = shoulder, wrist
        joints[f'{name}_elbow'] = elbow
        joints[f'{name}_eye'] = head + r * np.array([sign * .33, -.1]) + up
        joints[f'{name}_ear'] = head + r * np.array([sign * .86, .05]) + .4 * up
        fore = wrist - elbow
        angle = np.arctan2(fore[1], fore[0])
        for finger in range(5):
            spread = angle + sign * (finger - 2) * .32
            reach = r * (.55 if finger else .42)
            joints[f'{name}_tip{finger}'] = wrist + reach * np.array(
                [np.cos(spread), np.sin(spread)])
    return joints


def pixel(point: Point) -> tuple[int, int]:
    return int(round(point[0])), int(round(point[1]))


def shade(colour: tuple[int, int, int], factor: float) -> tuple[int, int, int]:
    return colour_of(min(255, c * factor) for c in colour)


def draw_background(rng: np.random.Generator, subject: Subject) -> np.ndarray:
    """The wall of logos, ``(SCALE * HEIGHT, SCALE * WIDTH, 3)`` BGR."""
    height, width = SCALE * HEIGHT, SCALE * WIDTH
    base = rng.integers(120, 215, 3)
    image = np.empty((height, width, 3), np.uint8)
    ramp = np.linspace(1.06, .88, height)[:, None, None]
    image[:] = np.clip(base * ramp, 0, 255).astype(np.uint8)
    cell = int(rng.integers(60, 92))
    colours = [colour_of(rng.integers(30, 256, 3)) for _ in range(3)]
    for row, y in enumerate(range(cell // 2, height, cell)):
        for column, x in enumerate(range(cell // 2, width + cell, cell)):
            colour = colours[(row + column) % 3]
            x += cell // 2 * (row % 2)
            kind, size = (row + 2 * column) % 3, cell // 4
            if kind == 0:
                cv2.circle(image, (x, y), size, colour, -1, cv2.LINE_AA)
                cv2.circle(image, (x, y), size // 2, shade(colour, .5), -1, cv2.LINE_AA)
            elif kind == 1:
                cv2.rectangle(image, (x - size, y - size // 2), (x + size, y + size // 2), colour,
                              -1)
                cv2.line(image, (x - size, y), (x + size, y), (240, 240, 240), 3, cv2.LINE_AA)
            else:
                for step in (-1, 0, 1):
                    bar = x + step * size // 2
                    cv2.line(image, (bar, y - size), (bar, y + size), colour, 5, cv2.LINE_AA)
    return image


def draw_foreground(rng: np.random.Generator, subject: Subject) -> tuple[Layer, Layer]:
    """Table (drawn under the arms) and microphones (over everything)."""
    height, width = SCALE * HEIGHT, SCALE * WIDTH
    table = np.zeros((height, width, 4), np.uint8)
    edge = int(table_y(subject) - .1 * subject.radius)
    wood = colour_of(rng.integers(40, 190, 3))
    cv2.rectangle(table, (0, edge), (width, height), (*wood, 255), -1)
    cv2.rectangle(table, (0, edge), (width, edge + 5), (*shade(wood, 1.3), 255), -1)
    plate = int(subject.centre + rng.uniform(-1.6, 1.6) * subject.radius)
    cv2.rectangle(table, (plate - 60, edge + 50), (plate + 60, edge + 74), (235, 235, 235, 255), -1)
    cv2.rectangle(table, (plate - 44, edge + 59), (plate + 40, edge + 64), (60, 60, 60, 255), -1)
    mics = np.zeros((height, width, 4), np.uint8)
    for offset in rng.choice([-2.6, -2.2, 2.2, 2.6], size=2, replace=False):
        x = int(subject.centre + offset * subject.radius)
        top = int(edge - rng.uniform(.3, .7) * subject.radius)
        cv2.line(mics, (x, height), (x, top), (25, 25, 25, 255), 6, cv2.LINE_AA)
        cv2.ellipse(mics, (x, top), (9, 15), 0, 0, 360, (45, 45, 50, 255), -1, cv2.LINE_AA)
    return split_layer(table), split_layer(mics)


def split_layer(picture: np.ndarray) -> Layer:
    """Colours and mask of a BGRA picture, contiguous, so that no frame has to copy them."""
    return np.ascontiguousarray(picture[..., :3]), np.ascontiguousarray(picture[..., 3])


def put(image: np.ndarray, layer: Layer) -> None:
    """Lay a layer over the picture, in place."""
    cv2.copyTo(*layer, image)


def draw_torso(image: np.ndarray, subject: Subject, joints: dict[str, Point]) -> None:
    r, neck = subject.radius, joints['neck']
    outline = [
        joints['r_shoulder'] + [-.28 * r, .1 * r], joints['r_shoulder'] + [.05 * r, -.22 * r],
        neck + [-.45 * r, -.12 * r], neck + [.45 * r, -.12 * r],
        joints['l_shoulder'] + [-.05 * r, -.22 * r], joints['l_shoulder'] + [.28 * r, .1 * r],
        neck + [1.6 * r, 3.2 * r], neck + [-1.6 * r, 3.2 * r]
    ]
    cv2.fillPoly(image, [np.array(outline).astype(np.int32)], subject.clothes, cv2.LINE_AA)
    collar = np.array([neck + [-.42 * r, -.1 * r], neck + [.42 * r, -.1 * r],
                       neck + [0, .75 * r]]).astype(np.int32)
    cv2.fillPoly(image, [collar], (235, 235, 235), cv2.LINE_AA)
    cv2.line(image, pixel(joints['head'] + [0, .6 * r]), pixel(neck + [0, .1 * r]),
             shade(subject.skin, .86), int(.8 * r), cv2.LINE_AA)


def draw_head(image: np.ndarray, subject: Subject, joints: dict[str, Point], pose: Pose) -> None:
    r, head = subject.radius, joints['head']
    hair = int(.92 * r), int((1 + .3 * subject.hair_length) * r)
    cv2.ellipse(image, pixel(head + [0, -.12 * r]), hair, 0, 0, 360, subject.hair, -1, cv2.LINE_AA)
    for side in 'rl':
        cv2.ellipse(image, pixel(joints[f'{side}_ear']), (int(.14 * r), int(.24 * r)), 0, 0, 360,
                    shade(subject.skin, .85), -1, cv2.LINE_AA)
    cv2.ellipse(image, pixel(head), (int(.8 * r), int(r)), 0, 0, 360, subject.skin, -1, cv2.LINE_AA)
    # the hair line goes up and back when the head does
    cv2.ellipse(image, pixel(head + [0, -.05 * r]), (int(.84 * r), int(1.02 * r)), 0,
                200 + 20 * pose.pitch, 340 - 20 * pose.pitch, subject.hair, -1, cv2.LINE_AA)
    if subject.beard:
        cv2.ellipse(image, pixel(joints['mouth'] + [0, .12 * r]), (int(.5 * r), int(.36 * r)), 0,
                    0, 180, subject.hair, -1, cv2.LINE_AA)
    if pose.pitch > .1:
        cv2.ellipse(image, pixel(head + [0, .85 * r]), (int(.5 * r), int(.22 * r)), 0, 0, 180,
                    shade(subject.skin, .78), -1, cv2.LINE_AA)
    for side in 'rl':
        eye = joints[f'{side}_eye']
        cv2.line(image, pixel(eye + [-.17 * r, -.22 * r]), pixel(eye + [.17 * r, -.22 * r]),
                 shade(subject.hair, .8), max(2, int(.07 * r)), cv2.LINE_AA)
        if pose.blink:
            cv2.line(image, pixel(eye + [-.13 * r, 0]), pixel(eye + [.13 * r, 0]),
                     shade(subject.skin, .6), 2, cv2.LINE_AA)
        else:
            cv2.ellipse(image, pixel(eye), (int(.15 * r), int(.1 * r)), 0, 0, 360,
                        (245, 245, 245), -1, cv2.LINE_AA)
            cv2.circle(image, pixel(eye), int(.08 * r), (40, 30, 30), -1, cv2.LINE_AA)
    nose = joints['nose']
    cv2.line(image, pixel(nose + [0, -.2 * r]), pixel(nose + [.06 * r, .05 * r]),
             shade(subject.skin, .75), max(2, int(.08 * r)), cv2.LINE_AA)
    draw_mouth(image, subject, joints['mouth'], pose.press)


def draw_mouth(image: np.ndarray, subject: Subject, mouth: Point, press: float) -> None:
    """Full lips that become a thin dark line, with folds at its ends, when pressed."""
    r = subject.radius
    width, height = int((.4 - .1 * press) * r), int(max(.17 * (1 - press) * r, .03 * r))
    red = np.array([95, 85, 205]) * (1 - press) + np.array(shade(subject.skin, .5)) * press
    cv2.ellipse(image, pixel(mouth), (width, height), 0, 0, 360, tuple(int(c) for c in red), -1,
                cv2.LINE_AA)
    if press > .3:
        for sign in (-1, 1):
            fold = mouth + [sign * (width + .1 * r), 0]
            cv2.line(image, pixel(fold + [0, -.14 * r]), pixel(fold + [0, .14 * r]),
                     shade(subject.skin, .6), max(2, int(.08 * r)), cv2.LINE_AA)


def draw_arm(image: np.ndarray, subject: Subject, joints: dict[str, Point], side: str) -> None:
    r = subject.radius
    sleeve = shade(subject.clothes, .85)
    shoulder, elbow, wrist = (joints[f'{side}_{name}'] for name in ('shoulder', 'elbow', 'wrist'))
    cv2.line(image, pixel(shoulder), pixel(elbow), sleeve, int(.55 * r), cv2.LINE_AA)
    cv2.line(image, pixel(elbow), pixel(wrist), shade(subject.clothes, 1.15), int(.44 * r),
             cv2.LINE_AA)
    for finger in range(5):
        cv2.line(image, pixel(wrist), pixel(joints[f'{side}_tip{finger}']),
                 shade(subject.skin, .93), int(.17 * r), cv2.LINE_AA)
    cv2.circle(image, pixel(wrist), int(.3 * r), subject.skin, -1, cv2.LINE_AA)


def draw_frame(subject: Subject, pose: Pose, joints: dict[str, Point], background: np.ndarray,
               table: Layer, mics: Layer) -> np.ndarray:
    """One frame without noise, ``(HEIGHT, WIDTH, 3)`` BGR."""
    image = background.copy()
    draw_torso(image, subject, joints)
    draw_head(image, subject, joints, pose)
    put(image, table)
    for side in 'rl':
        draw_arm(image, subject, joints, side)
    put(image, mics)
    return cv2.resize(image, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)


# BODY_25, then the fingertips of the person's left and right hand
SKELETON = ('nose', 'neck', 'r_shoulder', 'r_elbow', 'r_wrist', 'l_shoulder', 'l_elbow', 'l_wrist',
            *[None] * 7, 'r_eye', 'l_eye', 'r_ear', 'l_ear', *[None] * 6,
            *(f'{side}_tip{finger}' for side in 'lr' for finger in range(5)))


def skeleton_row(joints: dict[str, Point], rng: np.random.Generator) -> list[float]:
    """35 x (x, y, score) in pixels of the video; zeros where a joint is hidden."""
    row = []
    for name in SKELETON:
        if name is None:
            row += [0., 0., 0.]
            continue
        x, y = joints[name] / SCALE + rng.normal(0, .4, 2)
        inside = 0 <= x < WIDTH and 0 <= y < HEIGHT
        row += [round(float(x), 2), round(float(y), 2), round(float(rng.uniform(.6, 1.)), 3)
                ] if inside else [0., 0., 0.]
    return row


def moving_box(subject: Subject, pose: Pose, idle: dict[str, Point],
               joints: dict[str, Point], amplitude: float = 1.) -> np.ndarray | None:
    """Box of what a gesture has moved in one frame.

    Args:
        subject (Subject): Who.
        pose (Pose): The pose with the gesture.
        idle (dict): Joints of the same frame without the gesture.
        joints (dict): Joints with it.
        amplitude (float): Of the gesture, in (0, 1]. Defaults to 1.

    Returns:
        np.ndarray, optional: ``(x0, y0, x1, y1)``, enlarged pixels; None if nothing has moved.
    """
    corners = []
    for name, point in joints.items():
        kind = name.split('_')[-1].rstrip('01234')
        moved = np.hypot(*(point - idle[name])) > amplitude * MOVED * subject.radius
        # pressed lips change without leaving their place
        if kind in REACH and (moved or (kind == 'mouth' and pose.press > 0)):
            reach = REACH[kind] * subject.radius
            corners += [point - reach, point + reach]
    return np.concatenate([np.min(corners, 0), np.max(corners, 0)]) if corners else None


def join_boxes(box: np.ndarray | None, other: np.ndarray | None) -> np.ndarray | None:
    """Smallest box around both; None is no box."""
    if box is None or other is None:
        return other if box is None else box
    return np.concatenate([np.minimum(box[:2], other[:2]), np.maximum(box[2:], other[2:])])


def plan_clips(rng: np.random.Generator, clips_per_class: int) -> list[tuple[str, int, int]]:
    """Order and lengths of a video's gestures: (gesture, first frame, last frame)."""
    order = [gesture for gesture in GESTURES for _ in range(clips_per_class)]
    rng.shuffle(order)
    clips, frame = [], 0
    for gesture in order:
        frame += int(rng.integers(GAP_FRAMES[0], GAP_FRAMES[1] + 1))
        length = int(rng.integers(CLIP_FRAMES[0], CLIP_FRAMES[1] + 1))
        clips.append((gesture, frame, frame + length - 1))
        frame += length
    return clips


def make_video(video_id: str, video_path: Path, skeleton_dir: Path, is_test: bool, seed: int,
               clips_per_class: int,
               difficulty: Difficulty = DIFFICULTIES['normal']
               ) -> list[tuple[str, int, list[int]]]:
    """Draw one subject's video, label file and skeleton file.

    Returns:
        list[tuple]: Per clip its id, its file code and its region in pixels of the video.
    """
    cv2.setNumThreads(1)
    rng = np.random.default_rng([seed, int(video_id)])
    subject = draw_subject(rng)
    background = draw_background(rng, subject)
    layers = draw_foreground(rng, subject)
    noise = rng.normal(0, difficulty.noise_std, (8, HEIGHT, WIDTH, 3)).astype(np.int16)
    phases = rng.uniform(0, 2 * np.pi, 6)
    clips = plan_clips(rng, clips_per_class)
    styles = [(int(rng.random() > subject.right_handed), float(rng.uniform(0, 2 * np.pi)))
              for _ in clips]
    clip_of = {frame: k for k, (_, first, last) in enumerate(clips)
               for frame in range(first, last + 1)}
    num_frames = clips[-1][2] + 1 + int(rng.integers(GAP_FRAMES[0], GAP_FRAMES[1] + 1))
    # from generators of their own: without them, a release is what it would be
    amplitudes = np.random.default_rng([seed, int(video_id), 1]).uniform(
        *difficulty.amplitude, len(clips))
    disturbances = Disturbances(difficulty, np.random.default_rng([seed, int(video_id), 2]),
                                num_frames, background.shape[:2])

    regions: dict[int, np.ndarray] = {}
    rows = []
    video_path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(video_path), 'w') as container:
        stream = container.add_stream('libx264', rate=FPS, options=ENCODER)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, 'yuv420p'
        for frame in range(num_frames):
            pose = idle_pose(subject, frame, phases, difficulty.sway)
            joints = joints_of(subject, pose)
            k = clip_of.get(frame)
            if k is not None:
                gesture, first, last = clips[k]
                side, phase = styles[k]
                time = (frame - first) / (last - first)
                pose = gesture_pose(subject, pose, gesture, time, last - first + 1, side, phase,
                                    amplitudes[k])
                idle, joints = joints, joints_of(subject, pose)
                box = moving_box(subject, pose, idle, joints, amplitudes[k])
                if box is not None:
                    box = box + np.tile(SCALE * disturbances.shifts[frame], 2)
                region = join_boxes(regions.get(k), box)
                if region is not None:
                    regions[k] = region
            behind = disturbances.draw_behind(background, frame)
            image = draw_frame(subject, pose, joints, behind, *layers)
            image = disturbances.finish(image, frame)
            grain = np.roll(noise[frame % 8], tuple(rng.integers(0, 64, 2)), axis=(0, 1))
            image = np.clip(image + grain, 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format='bgr24')))
            shift = SCALE * disturbances.shifts[frame]
            rows.append([frame] + skeleton_row(
                {name: point + shift for name, point in joints.items()}, rng))
        container.mux(stream.encode())

    skeleton_dir.mkdir(parents=True, exist_ok=True)
    labels = [(PLACEHOLDER if is_test else GESTURES[name], first, last)
              for name, first, last in clips]
    header = ['frame'] + [f'{axis}{joint}' for joint in range(35) for axis in 'xys']
    write_csv(skeleton_dir / f'{video_id}_label.csv', labels)
    write_csv(skeleton_dir / f'{video_id}_light_hand.csv', [header] + rows)
    limits = np.array([WIDTH, HEIGHT, WIDTH, HEIGHT]) - 1
    return [(f'{video_id}_{k}', GESTURES[clips[k][0]],
             np.clip(regions[k] / SCALE, 0, limits).round().astype(int).tolist())
            for k in range(len(clips))]


def write_csv(path: Path, rows: list) -> None:
    with open(path, 'w', encoding='utf-8', newline='') as file:
        csv.writer(file, lineterminator='\n').writerows(rows)


def model_label(code: int) -> int:
    """Model id of a file code: 99 is the last of 32 classes."""
    return 31 if code == 99 else code - 1


def make_release(out: Path, seed: int, subjects: dict[str, int], clips_per_class: int,
                 workers: int, difficulty: str = 'normal') -> int:
    """Draw the whole release into a new folder.

    Args:
        out (Path): Folder; it appears when the release is complete.
        seed (int): Seed of everything.
        subjects (dict): Number of subjects, one video each, of ``train``, ``validate`` and
            ``test``.
        clips_per_class (int): Gestures of each class in each video.
        workers (int): Processes.
        difficulty (str): A key of ``DIFFICULTIES``. Defaults to ``'normal'``.

    Returns:
        int: Number of clips.
    """
    out = out.resolve()
    out.parent.mkdir(parents=True, exist_ok=True)
    # beside OUT, so that the release appears by one renaming; gone if anything fails
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f'{out.name}.partial-') as folder:
        partial = Path(folder) / 'new'
        num_clips = draw_release(partial, seed, subjects, clips_per_class, workers, difficulty)
        if out.exists():
            out.rename(Path(folder) / 'old')
        partial.rename(out)
    return num_clips


def draw_release(root: Path, seed: int, subjects: dict[str, int], clips_per_class: int,
                 workers: int, difficulty: str = 'normal') -> int:
    """Draw the release into the folder ``root``; see :func:`make_release`."""
    phase1, phase2 = root / 'imigue_data_phase1' / 'datasets', root / 'imigue_data_phase2'
    folders = dict(
        train=(phase1 / 'imigue_skeleton_train', root / 'imigue_rgb_phase1' / 'train_data'),
        validate=(phase1 / 'imigue_skeleton_validate',
                  root / 'imigue_rgb_phase1' / 'validation_data'),
        test=(phase2 / 'imigue_skeleton_test', root / 'imigue_rgb_phase2'))
    jobs: list[tuple] = []
    for part, number in subjects.items():
        skeletons, videos = folders[part]
        for _ in range(number):
            video_id = f'{len(jobs) + 1:04d}'
            jobs.append((video_id, videos / video_id / f'{video_id}.mp4', skeletons / video_id,
                         part == 'test', seed, clips_per_class, DIFFICULTIES[difficulty]))
    with ProcessPoolExecutor(workers) as pool:
        futures = [pool.submit(make_video, *job) for job in jobs]
        results = [future.result() for future in tqdm(futures, desc='videos', unit='video')]
    answers: list[tuple] = [('clip_id', 'label')]
    regions: list[tuple] = [('clip_id', 'x0', 'y0', 'x1', 'y1')]
    for job, clips in zip(jobs, results, strict=True):
        answers += [(clip_id, model_label(code)) for clip_id, code, _ in clips if job[3]]
        regions += [(clip_id, *region) for clip_id, _, region in clips]
    write_csv(root / 'test_answers.csv', answers)
    write_csv(root / 'regions.csv', regions)
    (root / MARKER).write_text(f'seed {seed}\n', encoding='utf-8')
    return sum(map(len, results))


def check_folder(out: Path, overwrite: bool) -> None:
    """Refuse to touch what is not a demo release.

    Raises:
        SystemExit: With the folder and the way out.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not (out / MARKER).exists():
        sys.exit(f'{out} exists and is no demo release: choose a new folder')
    if not overwrite:
        sys.exit(f'{out} already holds a demo release: add --overwrite to replace it')


def at_least(limit: int) -> Callable[[str], int]:
    """Type of an argument: an integer that is not below the limit."""

    def integer(text: str) -> int:
        value = int(text)
        if value < limit:
            raise argparse.ArgumentTypeError(f'must be at least {limit}, but got {value}')
        return value

    return integer


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('out', type=Path, help='folder of the release')
    parser.add_argument('--seed', type=at_least(0), default=0,
                        help='seed of everything (default: 0)')
    parser.add_argument('--train-subjects', type=at_least(1), default=24, help='default: 24')
    parser.add_argument('--val-subjects', type=at_least(1), default=2, help='default: 2')
    parser.add_argument('--test-subjects', type=at_least(1), default=8, help='default: 8')
    parser.add_argument('--clips-per-class', type=at_least(1), default=3,
                        help='gestures of each of the 8 classes in each video (default: 3)')
    parser.add_argument('--difficulty', choices=DIFFICULTIES, default='normal',
                        help='hard: smaller gestures, more noise, a camera that shakes, people '
                        'who walk by, flashes (default: normal)')
    parser.add_argument('--workers', type=at_least(1), default=os.cpu_count(), help='processes')
    parser.add_argument('--overwrite', action='store_true', help='replace an older demo release')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    check_folder(args.out, args.overwrite)
    subjects = dict(train=args.train_subjects, validate=args.val_subjects, test=args.test_subjects)
    num_clips = make_release(args.out, args.seed, subjects, args.clips_per_class, args.workers,
                             args.difficulty)
    print(f'{num_clips} clips of {sum(subjects.values())} subjects are in {args.out}')


if __name__ == '__main__':
    main()
