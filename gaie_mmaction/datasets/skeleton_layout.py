"""Skeleton layouts by name (joints, tree and mirror image), and iMiGUE's."""
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# iMiGUE: upper body, face and the fingertips, what the challenge's own kit takes from OpenPose
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


@dataclass(frozen=True)
class SkeletonLayout:
    """A tree of joints with a mirror image; anything else is a ``ValueError``.

    Args:
        joints (Sequence[str]): Names; a joint's number is its index.
        edges (Sequence[tuple[int, int]]): Each joint and its parent, towards the centre.
        center (int): The joint without a parent.
        left, right (Sequence[int]): Joints of the person's sides, in pairs.
    """
    joints: Sequence[str]
    edges: Sequence[tuple[int, int]]
    center: int
    left: Sequence[int]
    right: Sequence[int]

    def __post_init__(self) -> None:
        joints = set(range(self.num_joints))
        children = [child for child, _ in self.edges]
        if sorted(children) != sorted(joints - {self.center}):
            raise ValueError(f'each of the {len(joints)} joints but the centre, {self.center}, '
                             f'needs one edge to its parent, but the edges are of {children}')
        reached = {self.center}
        while more := {child for child, parent in self.edges if parent in reached} - reached:
            reached |= more
        if reached != joints:
            raise ValueError(f'the joints {sorted(joints - reached)} are not connected with the '
                             f'centre, {self.center}')
        sides = (*self.left, *self.right)
        if len(self.left) != len(self.right) or len(set(sides)) != len(sides) or not (
                set(sides) <= joints - {self.center}):
            raise ValueError(f'left {self.left} and right {self.right} must be pairs of different '
                             'joints')
        for edge in self.edges:
            if self._mirrored(edge) not in self.edges:
                raise ValueError(f'the edge {edge} has no mirror image: {self._mirrored(edge)} is '
                                 'not an edge')

    def _mirrored(self, edge: tuple[int, int]) -> tuple[int, int]:
        return self.mirror[edge[0]], self.mirror[edge[1]]

    @property
    def num_joints(self) -> int:
        return len(self.joints)

    @property
    def mirror(self) -> list[int]:
        """For each joint the one that takes its place in a mirror."""
        swap = dict([*zip(self.left, self.right), *zip(self.right, self.left)])
        return [swap.get(joint, joint) for joint in range(self.num_joints)]

    @property
    def parents(self) -> list[int]:
        """Parent of each joint; the centre is its own."""
        parent = dict(self.edges)
        return [parent.get(joint, joint) for joint in range(self.num_joints)]

    @property
    def limb_sides(self) -> tuple[list[int], list[int]]:
        """Numbers of the edges on the left and on the right side, in pairs."""
        left = [k for k, (child, _) in enumerate(self.edges) if child in self.left]
        return left, [self.edges.index(self._mirrored(self.edges[k])) for k in left]

    @property
    def graph(self) -> dict:
        """``layout`` of MMAction2's ``Graph``."""
        return dict(num_node=self.num_joints, inward=list(self.edges), center=self.center)


SKELETON_LAYOUTS = dict(imigue=SkeletonLayout(JOINTS, EDGES, CENTER, LEFT, RIGHT))


def get_layout(name: str) -> SkeletonLayout:
    """Layout of a name; your own can be added to ``SKELETON_LAYOUTS``."""
    if name not in SKELETON_LAYOUTS:
        raise ValueError(f'layout must be one of {sorted(SKELETON_LAYOUTS)}, but got {name!r}; '
                         'add others to gaie_mmaction.datasets.SKELETON_LAYOUTS')
    return SKELETON_LAYOUTS[name]


def hands_swapped(skeleton: np.ndarray) -> bool:
    """Whether the fingertips are, on average, nearer to the other wrist than to their own.

    ``skeleton`` is ``(T, 22, 2)`` or more channels, x and y first; zeros are missing.
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
