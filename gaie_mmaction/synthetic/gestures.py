"""Trajectories of the gestures, and the region that each of them moves."""
import numpy as np

from .person import FPS, Point, Pose, Subject

# name -> the challenge's class code
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
MOVED = .1  # radii; a joint nearer to its idle place counts as still
# how far the drawing of a joint reaches around it, radii
REACH = dict(head=1.3, mouth=.6, shoulder=.45, elbow=.35, wrist=.35, tip=.15)


def apply_gesture(subject: Subject, pose: Pose, gesture: str, time: float, length: int, side: int,
                  phase: float, amplitude: float = 1.) -> Pose:
    """Add a gesture to an idle pose, in place.

    ``time`` is the position in a clip of ``length`` frames, [0, 1]; at both ends the pose stays
    idle, so that neither the first nor the last frame tells the class. ``side`` is 0 for the right
    hand, ``phase`` where the oscillation starts, ``amplitude`` a share of the movement in (0, 1].
    """
    r = subject.radius
    rise = np.clip(min(time, 1 - time) / .22, 0, 1)
    amount = amplitude * float(rise * rise * (3 - 2 * rise))
    head = np.array([subject.centre, subject.head_y]) + r * pose.head
    hands = list(pose.hands)

    def wave(hertz: float) -> float:
        seconds = time * length / FPS
        return float(np.sin(2 * np.pi * hertz * subject.tempo * seconds + phase))

    def move(which: int, target: Point) -> None:
        hands[which] = (1 - amount) * hands[which] + amount * target

    outward, both = (-1, 1)[side], ((0, -1), (1, 1))
    if gesture == 'scratching neck':
        move(side, head + r * np.array([outward * .55, 1.8 + .22 * wave(3.)]))
    elif gesture == 'touching ear':
        move(side, head + r * np.array([outward * 1.2, -.1 + .14 * wave(2.)]))
    elif gesture == 'rubbing hands':
        centre = np.array([subject.centre, subject.table_y - .55 * r])
        for which, sign in both:
            move(which, centre + r * np.array([sign * .45, sign * .3 * wave(2.8)]))
    elif gesture == 'folding arms':
        for which, sign in both:
            height = subject.table_y - (1.6 if which == side else 1.25) * r
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
        for which, sign in both:
            beat = .38 * wave(1.6) * (1 if which == side else .7)
            move(which, head + r * np.array([sign * (1.75 + .15 * wave(.8)), 2.5 + beat]))
    pose.hands = hands[0], hands[1]
    return pose


def moving_box(subject: Subject, pose: Pose, idle: dict[str, Point], joints: dict[str, Point],
               amplitude: float = 1.) -> np.ndarray | None:
    """Corners ``(2, 2)`` of the box around all that moved from ``idle`` to ``joints``, or None."""
    corners = []
    for name, point in joints.items():
        kind = name.split('_')[-1].rstrip('01234')
        moved = np.hypot(*(point - idle[name])) > amplitude * MOVED * subject.radius
        # pressed lips change without moving
        if kind in REACH and (moved or (kind == 'mouth' and pose.press > 0)):
            reach = REACH[kind] * subject.radius
            corners += [point - reach, point + reach]
    return np.stack([np.min(corners, 0), np.max(corners, 0)]) if corners else None
