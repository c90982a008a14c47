"""Write a synthetic dataset in the layout of the challenge's release.

Each subject has one video and is in one part. Beside the release lie what organisers would keep:
``test_answers.csv`` (labels) and ``regions.csv`` (the box, in pixels, that each gesture moves).
"""
import csv
import tempfile
from collections.abc import Iterable
from pathlib import Path

import av
import numpy as np

from ..datasets.imigue_classes import IMIGUE_CODES
from ..utils.parallel import in_parallel
from . import person
from .difficulty import DIFFICULTIES, Difficulty, Disturbances
from .drawing import draw_background, draw_foreground, draw_frame
from .gestures import GESTURES, apply_gesture, moving_box
from .person import FPS, HEIGHT, SCALE, WIDTH, Point, Pose

KEY_FRAMES = 16  # a key frame at least this often makes reading a range cheap
CLIP_FRAMES = (20, 40)  # one distribution of lengths for all classes
GAP_FRAMES = (3, 8)
PLACEHOLDER = 1  # class in the label files of the test part, as meaningless as the challenge's
MARKER = '.demo_release'
# written as caution.txt beside annotation files, it goes into the checkpoints trained on them
CAUTION = 'trained on drawings: of real people its answers mean nothing'
# x264's macroblock tree reads memory that it has not written: other bytes for the same frames
ENCODER = {'preset': 'veryfast', 'tune': 'fastdecode', 'crf': '26', 'g': str(KEY_FRAMES),
           'threads': '1', 'x264-params': 'mbtree=0'}
# part -> folders of skeletons and of videos
PARTS = dict(
    train=('imigue_data_phase1/datasets/imigue_skeleton_train', 'imigue_rgb_phase1/train_data'),
    validate=('imigue_data_phase1/datasets/imigue_skeleton_validate',
              'imigue_rgb_phase1/validation_data'),
    test=('imigue_data_phase2/imigue_skeleton_test', 'imigue_rgb_phase2'))


def plan_clips(rng: np.random.Generator, clips_per_class: int,
               gap_frames: tuple[int, int] = GAP_FRAMES) -> list[tuple[str, int, int]]:
    """Order and lengths of a video's gestures: (gesture, first frame, last frame)."""
    order = [gesture for gesture in GESTURES for _ in range(clips_per_class)]
    rng.shuffle(order)
    clips, frame = [], 0
    for gesture in order:
        frame += int(rng.integers(gap_frames[0], gap_frames[1] + 1))
        length = int(rng.integers(CLIP_FRAMES[0], CLIP_FRAMES[1] + 1))
        clips.append((gesture, frame, frame + length - 1))
        frame += length
    return clips


class Recording:
    """One subject's video, which is drawn frame by frame and in order."""

    def __init__(self, video_id: str, seed: int, clips_per_class: int, difficulty: Difficulty,
                 gap_frames: tuple[int, int]) -> None:
        self.rng = rng = np.random.default_rng([seed, int(video_id)])
        self.sway = difficulty.sway
        self.subject = person.sample_subject(rng)
        self.background = draw_background(rng)
        self.layers = draw_foreground(rng, self.subject)
        self.noise = rng.normal(0, difficulty.noise_std, (8, HEIGHT, WIDTH, 3)).astype(np.int16)
        self.phases = rng.uniform(0, 2 * np.pi, 6)
        self.clips = plan_clips(rng, clips_per_class, gap_frames)
        self.styles = [(int(rng.random() > self.subject.right_handed),
                        float(rng.uniform(0, 2 * np.pi))) for _ in self.clips]
        self.num_frames = self.clips[-1][2] + 1 + int(
            rng.integers(gap_frames[0], gap_frames[1] + 1))
        # generators of their own, so that the difficulty changes nothing else
        self.amplitudes = np.random.default_rng([seed, int(video_id), 1]).uniform(
            *difficulty.amplitude, len(self.clips))
        self.disturbances = Disturbances(
            difficulty, np.random.default_rng([seed, int(video_id), 2]), self.num_frames,
            self.background.shape[:2])
        self.clip_of = {frame: k for k, (_, first, last) in enumerate(self.clips)
                        for frame in range(first, last + 1)}
        self._corners: dict[int, list[np.ndarray]] = {}  # of what moves, by clip

    def draw(self, frame: int) -> tuple[np.ndarray, list[float]]:
        """Draw the next frame: ``(HEIGHT, WIDTH, 3)`` uint8, BGR, and the row of its skeleton."""
        pose, joints = self._move(frame)
        behind = self.disturbances.draw_behind(self.background, frame)
        image = draw_frame(self.subject, pose, joints, behind, *self.layers)
        image = self.disturbances.finish(image, frame)
        grain = np.roll(self.noise[frame % 8], tuple(self.rng.integers(0, 64, 2)), axis=(0, 1))
        shift = SCALE * self.disturbances.shifts[frame]
        row = person.light_hand_row(
            {name: point + shift for name, point in joints.items()}, self.rng)
        return np.clip(image + grain, 0, 255).astype(np.uint8), row

    def _move(self, frame: int) -> tuple[Pose, dict[str, Point]]:
        pose = person.idle_pose(self.subject, frame, self.phases, self.sway)
        joints = person.get_joints(self.subject, pose)
        k = self.clip_of.get(frame)
        if k is not None:
            gesture, first, last = self.clips[k]
            pose = apply_gesture(self.subject, pose, gesture, (frame - first) / (last - first),
                                 last - first + 1, *self.styles[k], self.amplitudes[k])
            idle, joints = joints, person.get_joints(self.subject, pose)
            box = moving_box(self.subject, pose, idle, joints, self.amplitudes[k])
            if box is not None:
                shift = SCALE * self.disturbances.shifts[frame]
                self._corners.setdefault(k, []).extend(box + shift)
        return pose, joints

    def region(self, k: int) -> list[int]:
        """Box (x0, y0, x1, y1) that clip ``k`` moves, in pixels of the video; once it is drawn."""
        box = np.concatenate([np.min(self._corners[k], 0), np.max(self._corners[k], 0)]) / SCALE
        limits = np.array([WIDTH, HEIGHT, WIDTH, HEIGHT]) - 1
        return np.clip(box, 0, limits).round().astype(int).tolist()


def make_video(video_id: str, video_path: Path, skeleton_dir: Path, is_test: bool, seed: int,
               clips_per_class: int, difficulty: Difficulty = DIFFICULTIES['normal'],
               gap_frames: tuple[int, int] = GAP_FRAMES) -> list[tuple[str, int, list[int]]]:
    """Write one subject's video, labels and skeletons; id, class code and region of each clip."""
    recording = Recording(video_id, seed, clips_per_class, difficulty, gap_frames)
    rows: list[list] = [['frame'] + [f'{axis}{joint}' for joint in range(35) for axis in 'xys']]
    video_path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(video_path), 'w') as container:
        stream = container.add_stream('libx264', rate=FPS, options=ENCODER)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, 'yuv420p'
        for frame in range(recording.num_frames):
            image, row = recording.draw(frame)
            rows.append([frame, *row])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format='bgr24')))
        container.mux(stream.encode())
    codes = [GESTURES[gesture] for gesture, _, _ in recording.clips]
    _write_csv(skeleton_dir / f'{video_id}_label.csv', [
        (PLACEHOLDER if is_test else code, first, last)
        for code, (_, first, last) in zip(codes, recording.clips)])
    _write_csv(skeleton_dir / f'{video_id}_light_hand.csv', rows)
    return [(f'{video_id}_{k}', code, recording.region(k)) for k, code in enumerate(codes)]


def _write_csv(path: Path, rows: Iterable) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, 'w', encoding='utf-8', newline='') as file:
        csv.writer(file, lineterminator='\n').writerows(rows)


def make_release(out: Path, seed: int, subjects: dict[str, int], clips_per_class: int,
                 workers: int, difficulty: str = 'normal', overwrite: bool = True,
                 gap_frames: tuple[int, int] = GAP_FRAMES) -> int:
    """Draw a dataset, and return its number of clips; any number of workers gives the same one.

    The folder ``out`` appears when the dataset is complete; ``overwrite`` replaces an older
    synthetic dataset, but nothing else. ``subjects`` is their number in ``train``, ``validate`` and
    ``test``, with one video each; ``clips_per_class`` is that of each of the 8 classes in a video.
    ``difficulty`` is a key of ``DIFFICULTIES``, ``gap_frames`` the fewest and most frames between
    two gestures.
    """
    out = out.resolve()
    limits = dict(seed=(seed, 0), clips_per_class=(clips_per_class, 1), workers=(workers, 1),
                  **{f'{part} subjects': (number, 1) for part, number in subjects.items()})
    limits.update({'gap_frames[0]': (gap_frames[0], 0),
                   'gap_frames[1]': (gap_frames[1], gap_frames[0])})
    for name, (value, limit) in limits.items():
        if value < limit:
            raise ValueError(f'{name} must be at least {limit}, but got {value}')
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        if not (out / MARKER).exists():
            raise FileExistsError(f'{out} is not a synthetic dataset: choose a new folder')
        if not overwrite:
            raise FileExistsError(f'{out} already holds a synthetic dataset: add --overwrite to '
                                  'replace it')
    out.parent.mkdir(parents=True, exist_ok=True)
    # beside the folder, so that the dataset appears by one renaming; gone if anything fails
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f'{out.name}.partial-') as folder:
        partial = Path(folder) / 'new'
        num_clips = _draw_release(partial, seed, subjects, clips_per_class, workers, difficulty,
                                  gap_frames)
        if out.exists():
            out.rename(Path(folder) / 'old')
        partial.rename(out)
    return num_clips


def _draw_release(root: Path, seed: int, subjects: dict[str, int], clips_per_class: int,
                  workers: int, difficulty: str, gap_frames: tuple[int, int]) -> int:
    parts = [part for part, number in subjects.items() for _ in range(number)]
    jobs = {}
    for number, part in enumerate(parts, start=1):
        video_id = f'{number:04d}'
        skeletons, videos = (root / folder / video_id for folder in PARTS[part])
        jobs[video_id] = (video_id, videos / f'{video_id}.mp4', skeletons, part == 'test', seed,
                          clips_per_class, DIFFICULTIES[difficulty], gap_frames)
    videos_by_id = dict(in_parallel(make_video, jobs, workers, 'Drawing', 'video'))
    clips = [(part, *clip) for part, key in zip(parts, jobs) for clip in videos_by_id[key]]
    _write_csv(root / 'test_answers.csv', [
        ('clip_id', 'label'), *((clip_id, IMIGUE_CODES.index(code))
                                for part, clip_id, code, _ in clips if part == 'test')])
    _write_csv(root / 'regions.csv', [
        ('clip_id', 'x0', 'y0', 'x1', 'y1'),
        *((clip_id, *region) for _, clip_id, _, region in clips)])
    (root / MARKER).write_text(f'seed {seed}\n', encoding='utf-8')
    return len(clips)
