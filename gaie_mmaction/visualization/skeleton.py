"""A skeleton drawn over a frame."""
import cv2
import numpy as np

from ..datasets.skeleton_layout import SkeletonLayout

# told apart by colour-blind people as well
LEFT, RIGHT, MIDDLE = (255, 150, 0), (0, 190, 255), (255, 255, 255)


def paint_skeleton(frame: np.ndarray, joints: np.ndarray, layout: SkeletonLayout) -> np.ndarray:
    """Draw joints and bones: the person's left side orange, the right one blue, the middle white.

    Args:
        frame (np.ndarray): ``(H, W, 3)`` uint8, RGB; it is not changed.
        joints (np.ndarray): ``(V, 2)``, x and y in pixels of the frame; zeros are missing.
        layout (SkeletonLayout): Of the V joints.

    Returns:
        np.ndarray: ``(H, W, 3)`` uint8, RGB.
    """
    image, found = frame.copy(), (joints != 0).any(axis=1)
    color = dict.fromkeys(layout.left, LEFT) | dict.fromkeys(layout.right, RIGHT)
    # OpenCV takes no coordinates beyond 32 bits, and damaged files may hold any
    places = np.clip(joints, -10_000, 10_000).round().astype(int).tolist()
    bones = [(places[child], places[parent], color.get(child, MIDDLE))
             for child, parent in layout.edges if found[child] and found[parent]]
    for start, end, _ in bones:  # a dark rim, for bright backgrounds
        cv2.line(image, start, end, (0, 0, 0), 4, cv2.LINE_AA)
    for start, end, side in bones:
        cv2.line(image, start, end, side, 2, cv2.LINE_AA)
    for joint in np.flatnonzero(found).tolist():
        cv2.circle(image, places[joint], 3, color.get(joint, MIDDLE), -1, cv2.LINE_AA)
    return image
