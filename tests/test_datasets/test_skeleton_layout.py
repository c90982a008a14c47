"""The layout: a tree, whose mirror image it is itself."""
import re
from dataclasses import replace

import numpy as np
import pytest
from mmaction.models.utils import Graph
from mmengine.config import Config

from gaie_mmaction.datasets import SKELETON_LAYOUTS, SkeletonLayout
from gaie_mmaction.datasets.skeleton_layout import get_layout

LAYOUT = SKELETON_LAYOUTS['imigue']


def adjacency(layout):
    matrix = np.zeros((layout.num_joints, layout.num_joints), int)
    for child, parent in layout.edges:
        matrix[child, parent] = matrix[parent, child] = 1
    return matrix


def test_tree_on_22_joints():
    matrix = adjacency(LAYOUT)
    assert LAYOUT.num_joints == 22 and matrix.sum() // 2 == len(LAYOUT.edges) == 21
    reached = np.linalg.matrix_power(matrix + np.eye(22, dtype=int), 21) > 0
    assert reached.all()  # connected, with one edge fewer than joints: a tree


def test_mirror_is_an_automorphism():
    mirror, matrix = LAYOUT.mirror, adjacency(LAYOUT)
    assert sorted(mirror) == list(range(22)) and [mirror[m] for m in mirror] == list(range(22))
    np.testing.assert_array_equal(matrix[mirror][:, mirror], matrix)
    assert [joint for joint in range(22) if mirror[joint] == joint] == [0, 1]
    for joint, name in enumerate(LAYOUT.joints):  # what the names say
        swapped = re.sub('left|right', lambda side: {'left': 'right', 'right': 'left'}[side[0]],
                         name)
        assert LAYOUT.joints[mirror[joint]] == swapped


def test_openpose():
    """The kit's 22 joints are among the 137, with the same sides."""
    full = SKELETON_LAYOUTS['openpose137']
    assert full.num_joints == 137 and full.mirror[full.center] == full.center == 1
    chosen = [*range(8), *range(15, 19), 99, 103, 107, 111, 115, 120, 124, 128, 132, 136]
    assert [full.mirror[joint] for joint in chosen] == [chosen[joint] for joint in LAYOUT.mirror]
    # of the person's face: ends of the jaw, of the brows, corners of the eyes and of the mouth
    for right, left in ((0, 16), (17, 26), (36, 45), (39, 42), (48, 54), (60, 64), (68, 69)):
        assert full.mirror[25 + right] == 25 + left
    assert [full.parents[joint] for joint in (95, 96, 99, 103, 116, 136)] == [7, 95, 98, 102, 4,
                                                                             135]


def test_parents_lead_to_the_neck():
    for joint in range(22):
        path = [joint]
        while LAYOUT.parents[path[-1]] != path[-1]:
            path.append(LAYOUT.parents[path[-1]])
        assert path[-1] == 1 and len(path) <= 5


def test_limbs_mirror_onto_limbs():
    left, right = LAYOUT.limb_sides
    assert sorted(left + right) == [k for k, edge in enumerate(LAYOUT.edges) if edge != (0, 1)]
    for k, other in zip(left, right):
        assert tuple(LAYOUT.mirror[joint] for joint in LAYOUT.edges[k]) == LAYOUT.edges[other]


def test_upstream_takes_the_graph(root):
    for mode, kinds in (('stgcn_spatial', 3), ('spatial', 3)):
        graph = Graph(layout=LAYOUT.graph, mode=mode)
        assert graph.A.shape == (kinds, 22, 22) and graph.center == 1
        np.testing.assert_array_equal(graph.A.sum(axis=0) > 0, adjacency(LAYOUT) + np.eye(22) > 0)
    written = Config.fromfile(root / 'configs/_base_/skeleton_graph.py').graph
    assert written == LAYOUT.graph


@pytest.mark.parametrize('change, said', [
    (dict(edges=LAYOUT.edges[1:]), 'needs one edge to its parent'),
    (dict(edges=((0, 2), *LAYOUT.edges[1:])), 'has no mirror image'),  # of the nose
    (dict(edges=((0, 8), *LAYOUT.edges[1:])), 'not connected with the centre, 1'),  # a circle
    (dict(center=0), 'needs one edge to its parent'),
    # COCO's pairs, as some public code has them
    (dict(left=(1, 3, 5, 7), right=(2, 4, 6, 8)), 'pairs of different joints'),
    (dict(left=(5, 3, 7), right=(2, 6, 4)), 'has no mirror image'),
    (dict(left=LAYOUT.left[1:]), 'pairs of different joints'),
    # hands swapped: the fingertips hang on the other wrist, and only one hand does
    (dict(edges=(*LAYOUT.edges[:-1], (21, 7))), 'has no mirror image'),
])
def test_wrong_layouts(change, said):
    with pytest.raises(ValueError, match=said):
        replace(LAYOUT, **change)


def test_names():
    with pytest.raises(ValueError, match=r"one of \['imigue', 'ma52', 'openpose137'\], but got "
                                         "'coco'.*SKELETON_LAYOUTS"):
        get_layout('coco')


def test_layout_of_ones_own(monkeypatch):
    own = SkeletonLayout(('head', 'left hand', 'right hand'), ((1, 0), (2, 0)), 0, (1, ), (2, ))
    monkeypatch.setitem(SKELETON_LAYOUTS, 'own', own)
    assert get_layout('own').parents == [0, 0, 0] and own.limb_sides == ([0], [1])
