"""The 22 joints of iMiGUE's skeletons, their tree and their mirror image.

Eight joints of the upper body, four of the face and the ten fingertips: what the
challenge's own kit takes from OpenPose's joints.

Letters: T frames, V = 22 joints.
"""

import numpy as np

JOINTS = ('nose', 'neck', 'right shoulder', 'right elbow', 'right wrist', 'left shoulder',
          'left elbow', 'left wrist', 'right eye', 'left eye', 'right ear', 'left ear',
          'left thumb tip', 'left index tip', 'left middle tip', 'left ring tip',
          'left little tip', 'right thumb tip', 'right index tip', 'right middle tip',
          'right ring tip', 'right little tip')

CENTER = 1

# (joint, its parent), from the outside towards the centre
EDGES = ((0, 1), (2, 1), (3, 2), (4, 3), (5, 1), (6, 5), (7, 6), (8, 0), (9, 0), (10, 8), (11, 9),
         *((tip, 7) for tip in range(12, 17)), *((tip, 4) for tip in range(17, 22)))

# joints of the person's right and left side, in pairs: Flip(left_kp=LEFT, right_kp=RIGHT)
RIGHT = (2, 3, 4, 8, 10, 17, 18, 19, 20, 21)
LEFT = (5, 6, 7, 9, 11, 12, 13, 14, 15, 16)

LEFT_WRIST, RIGHT_WRIST = 7, 4
LEFT_TIPS, RIGHT_TIPS = tuple(range(12, 17)), tuple(range(17, 22))


def hands_swapped(skeleton: np.ndarray) -> bool:
    """Whether the left fingertips lie nearer to the right wrist than to the left one.

    Args:
        skeleton (np.ndarray): ``(T, V, 3)``.

    Returns:
        bool: By the mean over all frames and fingertips that are there, for either
        hand; False where nothing can be compared.
    """
    own: list[np.ndarray] = []
    other: list[np.ndarray] = []
    for tips, wrist, far in ((LEFT_TIPS, LEFT_WRIST, RIGHT_WRIST),
                             (RIGHT_TIPS, RIGHT_WRIST, LEFT_WRIST)):
        there = np.all(skeleton[:, [wrist, far], :2].any(axis=2), axis=1)  # (T,)
        frames = skeleton[there]
        points = frames[:, tips, :2]
        seen = points.any(axis=2)  # (T, 5)
        for joint, distances in ((wrist, own), (far, other)):
            away = np.linalg.norm(points - frames[:, joint, None, :2], axis=2)
            distances.append(away[seen])
    near, away = np.concatenate(own), np.concatenate(other)
    return bool(len(near)) and float(near.mean()) > float(away.mean())
