"""Videos in which a grey square is drawn around each joint of each frame."""
import numpy as np
from evaluating import write_segments
from numbered_video import HEIGHT, WIDTH, write_video
from skeleton_file import write_skeletons

JOINTS, CELL, HALF = 22, 16, 3  # 48 cells, a joint in the middle part of each: squares keep apart
GREY = 80 + 8 * np.arange(JOINTS)  # of the square around each joint, over black


def scatter(frames, seed, edge=.5):
    """Joints ``(1, T, 22, 2)`` at new places in each frame, each in a cell of its own."""
    random = np.random.default_rng(seed)
    cells = np.array([random.permutation((WIDTH // CELL) * (HEIGHT // CELL))[:JOINTS]
                      for _ in range(frames)])
    corners = np.stack((cells % (WIDTH // CELL), cells // (WIDTH // CELL)), axis=-1) * CELL
    inside = random.integers(HALF + 2, CELL - HALF - 2, corners.shape)
    return (corners + inside + edge)[None].astype(np.float32)


def draw(keypoint, missing=()):
    """``draw`` of :func:`write_video`: frame number to picture."""
    def picture(number, noise):
        image = np.zeros_like(noise)
        for joint, (x, y) in enumerate(keypoint[0, number].astype(int)):
            if joint not in missing:
                image[y - HALF:y + HALF + 1, x - HALF:x + HALF + 1] = GREY[joint]
        return image
    return picture


def make_release(folder, lengths, missing=(), name='train', label=3, shape=(HEIGHT, WIDTH)):
    """A video whose clips have the given lengths, its segment csv and its skeletons."""
    keypoint = scatter(sum(lengths), seed=len(lengths))
    keypoint[:, :, list(missing)] = 0
    # without loss: brightness is what tells the joints
    write_video(folder / '0001.mp4', sum(lengths), draw=draw(keypoint, missing), qp='0')
    rows, clips, start = [], [], 0
    for k, frames in enumerate(lengths):
        part = keypoint[:, start:start + frames]
        score = np.where(part.any(axis=-1), .5, 0).astype(np.float32)
        rows.append(f'0001_{k},0001.mp4,{start},{start + frames - 1},{label}')
        clips.append(dict(frame_dir=f'0001_{k}', label=label, total_frames=frames, img_shape=shape,
                          original_shape=shape, keypoint=part.copy(), keypoint_score=score))
        start += frames
    write_segments(folder / f'{name}.csv', *rows)
    write_skeletons(folder / 'skeleton.pkl', clips, **{name: [clip['frame_dir'] for clip in clips]})
    return clips
