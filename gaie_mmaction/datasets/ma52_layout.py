"""The 28 joints of Micro-Action-52's OpenPose skeletons: body, face and fingertips."""
from .skeleton_layout import SKELETON_LAYOUTS, SkeletonLayout

FINGERS = range(1, 6)  # their order is not documented; the same on both sides is assumed

SKELETON_LAYOUTS['ma52'] = SkeletonLayout(
    joints=('nose', 'neck', 'right shoulder', 'right elbow', 'right wrist', 'left shoulder',
            'left elbow', 'left wrist', 'right hip', 'right knee', 'right ankle', 'left hip',
            'left knee', 'left ankle', 'right eye', 'left eye', 'right ear', 'left ear',
            *(f'left fingertip {k}' for k in FINGERS), *(f'right fingertip {k}' for k in FINGERS)),
    edges=((0, 1), (2, 1), (3, 2), (4, 3), (5, 1), (6, 5), (7, 6), (8, 2), (9, 8), (10, 9), (11, 5),
           (12, 11), (13, 12), (14, 0), (15, 0), (16, 14), (17, 15),
           *((tip, 7) for tip in range(18, 23)), *((tip, 4) for tip in range(23, 28))),
    center=1,
    right=(2, 3, 4, 8, 9, 10, 14, 16, *range(23, 28)),
    left=(5, 6, 7, 11, 12, 13, 15, 17, *range(18, 23)))
