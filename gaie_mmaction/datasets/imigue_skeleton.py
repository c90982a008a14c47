"""The 22 joints of iMiGUE's skeletons, their tree and their mirror image.

Eight joints of the upper body, four of the face and the ten fingertips: what the challenge's own
kit takes from OpenPose's joints.
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
# the person's sides, in pairs: Flip(left_kp=LEFT, right_kp=RIGHT)
RIGHT = (2, 3, 4, 8, 10, 17, 18, 19, 20, 21)
LEFT = (5, 6, 7, 9, 11, 12, 13, 14, 15, 16)

LEFT_WRIST, RIGHT_WRIST = 7, 4
LEFT_TIPS, RIGHT_TIPS = slice(12, 17), slice(17, 22)


def hands_swapped(skeleton: np.ndarray) -> bool:
    """Whether the fingertips are, on average, nearer to the other wrist than to their own.

    Args:
        skeleton (np.ndarray): ``(T, 22, 2)`` or more channels, x and y first; zeros are missing.

    Returns:
        bool: False if nothing can be compared.
    """
    both = np.all(skeleton[:, [LEFT_WRIST, RIGHT_WRIST], :2].any(axis=2), axis=1)  # (T,)
    frames = skeleton[both, :, :2]
    excess = []  # distance to the own wrist less that to the other one, pixels
    for tips, own, other in ((LEFT_TIPS, LEFT_WRIST, RIGHT_WRIST),
                             (RIGHT_TIPS, RIGHT_WRIST, LEFT_WRIST)):
        near, far = (np.linalg.norm(frames[:, tips] - frames[:, wrist, None], axis=2)
                     for wrist in (own, other))
        excess.append((near - far)[frames[:, tips].any(axis=2)])
    return bool(np.concatenate(excess).sum() > 0)
