# The 22 joints of gaie_mmaction/datasets/skeleton_layout.py as MMAction2's Graph takes them:
# (joint, its parent) each, from the outside to the neck
graph = dict(
    num_node=22,
    inward=[(0, 1), (2, 1), (3, 2), (4, 3), (5, 1), (6, 5), (7, 6), (8, 0), (9, 0), (10, 8),
            (11, 9), (12, 7), (13, 7), (14, 7), (15, 7), (16, 7), (17, 4), (18, 4), (19, 4),
            (20, 4), (21, 4)],
    center=1)
