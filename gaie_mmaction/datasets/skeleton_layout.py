"""Layouts of skeletons by name: joints, tree and mirror image."""
from collections.abc import Sequence
from dataclasses import dataclass

from . import imigue_skeleton as imigue


@dataclass(frozen=True)
class SkeletonLayout:
    """A tree of joints with a mirror image.

    Args:
        joints (Sequence[str]): Names, whose places are the joints' numbers.
        edges (Sequence[tuple[int, int]]): A joint and its parent each, from the outside
            towards the centre.
        center (int): The joint without a parent.
        left, right (Sequence[int]): Joints of the person's sides, in pairs.

    Raises:
        ValueError: If the edges are no tree that ends in the centre, or if the mirror
            image of an edge is none.
    """
    joints: Sequence[str]
    edges: Sequence[tuple[int, int]]
    center: int
    left: Sequence[int]
    right: Sequence[int]

    def __post_init__(self) -> None:
        joints = set(range(len(self.joints)))
        children = [child for child, _ in self.edges]
        if len(children) != len(set(children)) or set(children) != joints - {self.center}:
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
        mirror = self.mirror
        for child, parent in self.edges:
            if (mirror[child], mirror[parent]) not in self.edges:
                raise ValueError(f'the mirror image of the edge {(child, parent)}, '
                                 f'{(mirror[child], mirror[parent])}, is none')

    @property
    def num_joints(self) -> int:
        return len(self.joints)

    @property
    def mirror(self) -> list[int]:
        """The joint that stands in the place of each one in a mirror."""
        mirror = list(range(len(self.joints)))
        for left, right in zip(self.left, self.right):
            mirror[left], mirror[right] = right, left
        return mirror

    @property
    def parents(self) -> list[int]:
        """Of each joint; the centre is its own."""
        parent_of = dict(self.edges)
        return [parent_of.get(joint, joint) for joint in range(len(self.joints))]

    @property
    def limb_sides(self) -> tuple[list[int], list[int]]:
        """Numbers of the edges of the left and the right side, in pairs."""
        left = [k for k, (child, _) in enumerate(self.edges) if child in self.left]
        mirror = self.mirror
        right = [self.edges.index(tuple(mirror[joint] for joint in self.edges[k])) for k in left]
        return left, right

    @property
    def graph(self) -> dict:
        """``layout`` of MMAction2's ``Graph``."""
        return dict(num_node=self.num_joints, inward=list(self.edges), center=self.center)


SKELETON_LAYOUTS: dict[str, SkeletonLayout] = dict(
    imigue=SkeletonLayout(imigue.JOINTS, imigue.EDGES, imigue.CENTER, imigue.LEFT, imigue.RIGHT))


def get_layout(name: str) -> SkeletonLayout:
    """Layout of a name.

    Args:
        name (str): Key of ``SKELETON_LAYOUTS``, to which layouts of your own can be added.

    Returns:
        SkeletonLayout: The layout.

    Raises:
        ValueError: If there is none.
    """
    if name not in SKELETON_LAYOUTS:
        raise ValueError(f'layout must be one of {sorted(SKELETON_LAYOUTS)}, but got {name!r}; '
                         'add others to gaie_mmaction.datasets.SKELETON_LAYOUTS')
    return SKELETON_LAYOUTS[name]
