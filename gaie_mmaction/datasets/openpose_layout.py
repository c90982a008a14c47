"""OpenPose's 137 joints: body, face and both hands."""
from .skeleton_layout import SKELETON_LAYOUTS, SkeletonLayout

# BODY_25: the person's right side before the left one
BODY = ('nose', 'neck', 'right shoulder', 'right elbow', 'right wrist', 'left shoulder',
        'left elbow', 'left wrist', 'mid hip', 'right hip', 'right knee', 'right ankle', 'left hip',
        'left knee', 'left ankle', 'right eye', 'left eye', 'right ear', 'left ear',
        'left big toe', 'left small toe', 'left heel', 'right big toe', 'right small toe',
        'right heel')
BODY_EDGES = ((0, 1), (2, 1), (3, 2), (4, 3), (5, 1), (6, 5), (7, 6), (8, 1), (9, 8), (10, 9),
              (11, 10), (12, 8), (13, 12), (14, 13), (15, 0), (16, 0), (17, 15), (18, 16), (19, 14),
              (20, 19), (21, 14), (22, 11), (23, 22), (24, 11))
BODY_PAIRS = ((2, 5), (3, 6), (4, 7), (9, 12), (10, 13), (11, 14), (15, 16), (17, 18), (22, 19),
              (23, 20), (24, 21))
# the 68 landmarks of iBUG and the pupils, from the person's right ear
FACE, NUM_FACE = len(BODY), 70
FACE_PAIRS = (*((k, 16 - k) for k in range(8)), *((k, 43 - k) for k in range(17, 22)), (31, 35),
              (32, 34), (36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46), (48, 54),
              (49, 53), (50, 52), (59, 55), (58, 56), (60, 64), (61, 63), (67, 65), (68, 69))
LEFT_HAND, NUM_HAND = FACE + NUM_FACE, 21  # the wrist, then four joints of each finger
RIGHT_HAND = LEFT_HAND + NUM_HAND


def _hand_edges(first: int, wrist: int) -> list[tuple[int, int]]:
    """From the fingers' ends to the hand's own wrist, which hangs on the body's."""
    return [(first, wrist)] + [(first + joint, first + (joint - 1 if joint % 4 != 1 else 0))
                               for joint in range(1, NUM_HAND)]


SKELETON_LAYOUTS['openpose137'] = SkeletonLayout(
    joints=(*BODY, *(f'face {k}' for k in range(NUM_FACE)),
            *(f'{side} hand {k}' for side in ('left', 'right') for k in range(NUM_HAND))),
    # all of the face on the nose: the contours have no tree of their own
    edges=(*BODY_EDGES, *((FACE + k, 0) for k in range(NUM_FACE)), *_hand_edges(LEFT_HAND, 7),
           *_hand_edges(RIGHT_HAND, 4)),
    center=1,
    right=(*(right for right, _ in BODY_PAIRS), *(FACE + right for right, _ in FACE_PAIRS),
           *range(RIGHT_HAND, RIGHT_HAND + NUM_HAND)),
    left=(*(left for _, left in BODY_PAIRS), *(FACE + left for _, left in FACE_PAIRS),
          *range(LEFT_HAND, RIGHT_HAND)))
