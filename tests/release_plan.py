"""Videos and clips of a synthetic release: iMiGUE's ids, parts, subjects and totals."""
import csv
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from release_media import LANDSCAPE

PARTS = ('train', 'val', 'test')
NUM_CLIPS = dict(train=12893, val=777, test=4562)
NUM_VIDEOS = dict(train=241, val=10, test=104)
VAL_IDS = [f'{number:04d}' for number in (1, 2, 3, 4, 6, 7, 8, 9, 10, 11)]
FIRST_TEST_ID, LAST_TEST_ID = 54, 453
CODES = [*range(1, 32), 99]
MIN_CLIPS, SMALL_CLIPS = 3, (5, 9)
CLIP_FRAMES, GAP_FRAMES, MARGIN_FRAMES = (4, 12), (-2, 4), (1, 6)

# the cross-subject protocol; validation subjects are training subjects
TRAIN_SUBJECTS = [2, 4, 5, 6, 9, 10, 12, 13, 14, 15, 17, 18, 20, 21, 22, 23, 25, 28, 29, 30, 31, 35,
                  36, 38, 39, 41, 42, 43, 44, 46, 47, 48, 52, 53, 59, 61, 62]
SUBJECTS = dict(train=TRAIN_SUBJECTS, val=TRAIN_SUBJECTS,
                test=sorted(set(range(1, 73)) - set(TRAIN_SUBJECTS)))


class Clip(NamedTuple):
    """A row of a label file; frames from 0, the end inclusive."""
    clip_id: str
    code: int
    start: int
    end: int


@dataclass
class VideoPlan:
    """A video before it is written, as it would be without a defect in clip number ``at``."""
    video_id: str
    part: str
    subject: int
    frames: int
    clips: list[Clip]
    size: tuple[int, int] = LANDSCAPE
    defect: str = ''
    at: int = 0


def draw_counts(rng, videos, total):
    """Clips of each video, as unequal as in the challenge, with an exact total."""
    shares = rng.gamma(2., size=videos)
    extra = rng.multinomial(total - MIN_CLIPS * videos, shares / shares.sum())
    return [MIN_CLIPS + int(number) for number in extra]


def draw_codes(rng, number):
    """Classes with a long tail; 99 is the most frequent."""
    shares = .8 ** np.arange(len(CODES))[::-1]
    return [CODES[index] for index in rng.choice(len(CODES), number, p=shares / shares.sum())]


def read_labels(path):
    """Codes by video id from a csv with the columns clip_id and label (0 to 31), in any order."""
    videos = {}
    with open(path, newline='') as file:
        for row in csv.DictReader(file):
            video_id, number = row['clip_id'].rsplit('_', 1)
            videos.setdefault(video_id, {})[int(number)] = CODES[int(row['label'])]
    return {video_id: [codes[k] for k in range(len(codes))] for video_id, codes in videos.items()}


def draw_ids(rng, labelled):
    """Part -> video ids; ``labelled`` are those of phase 1, without any they are drawn too."""
    taken = {int(video_id) for video_id in labelled or VAL_IDS}

    def draw(first, number, fixed=()):
        fixed = [video for video in fixed if video not in taken]
        free = [k for k in range(first, LAST_TEST_ID + 1) if k not in {*taken, *fixed}]
        videos = sorted([*fixed, *map(int, rng.permutation(free)[:number - len(fixed)])])
        taken.update(videos)
        return [f'{video:04d}' for video in videos]

    test = draw(FIRST_TEST_ID, NUM_VIDEOS['test'], (FIRST_TEST_ID, LAST_TEST_ID))
    train = [] if labelled else draw(5, NUM_VIDEOS['train'])
    phase1 = sorted(labelled or VAL_IDS)
    return dict(train=train + [video for video in phase1 if video not in VAL_IDS],
                val=[video for video in phase1 if video in VAL_IDS], test=test)


def draw_videos(rng, labels=None, videos_per_part=None):
    """Part -> video id -> codes of its clips; the arguments are those of ``make_release``."""
    real = read_labels(labels) if labels else {}
    parts = {}
    for part, ids in draw_ids(rng, list(real)).items():
        if videos_per_part is None:
            counts = draw_counts(rng, len(ids), NUM_CLIPS[part])
        else:
            ids = ids[:videos_per_part]
            counts = rng.integers(*SMALL_CLIPS, len(ids), endpoint=True).tolist()
        parts[part] = {video_id: real.get(video_id) or draw_codes(rng, number)
                       for video_id, number in zip(ids, counts)}
    return parts


def plan_video(video_id, part, subject, codes, seed):
    """Lay out the clips of a video; neighbours overlap by some frames or leave a gap."""
    rng = np.random.default_rng([seed, int(video_id)])
    lengths = rng.integers(*CLIP_FRAMES, len(codes), endpoint=True)
    gaps = rng.integers(*GAP_FRAMES, len(codes), endpoint=True)
    gaps[0] = rng.integers(*MARGIN_FRAMES, endpoint=True)
    starts = np.cumsum(lengths + gaps) - lengths
    clips = [Clip(f'{video_id}_{k}', code, int(starts[k]), int(starts[k] + lengths[k] - 1))
             for k, code in enumerate(codes)]
    margin = int(rng.integers(*MARGIN_FRAMES, endpoint=True))
    return VideoPlan(video_id, part, subject, clips[-1].end + 1 + margin, clips)
