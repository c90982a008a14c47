"""Skeletons that look like a person, and pickles of them."""
import pickle

import numpy as np

POSE = np.array([(120, 55), (120, 90), (80, 97), (58, 127), (91, 144), (160, 97), (184, 127),
                 (150, 143), (114, 49), (127, 49), (101, 53), (139, 52), (146, 152), (141, 152),
                 (139, 150), (138, 146), (137, 142), (96, 152), (100, 152), (102, 149), (104, 146),
                 (103, 142)], np.float32)


def make_clip(clip_id, label=3, frames=24, seed=0, img_shape=(168, 224)):
    """A clip of one person who trembles."""
    random = np.random.default_rng(seed)
    keypoint = POSE + random.normal(0, 1.5, (1, frames, 22, 2))
    return dict(frame_dir=clip_id, label=label, total_frames=frames, img_shape=img_shape,
                original_shape=img_shape, keypoint=keypoint.astype(np.float32),
                keypoint_score=random.uniform(.3, 1, (1, frames, 22)).astype(np.float32))


def write_skeletons(path, clips, **splits):
    """The pickle; without splits all clips are in ``train``."""
    ids = [clip['frame_dir'] for clip in clips]
    path.write_bytes(pickle.dumps(dict(split=splits or dict(train=ids), annotations=clips)))
    return str(path)


def cut(frames=None, joints=None):
    """A change of a clip that leaves only its first frames or joints."""
    return lambda clip: {key: clip[key][:, :frames, :joints]
                         for key in ('keypoint', 'keypoint_score')}
