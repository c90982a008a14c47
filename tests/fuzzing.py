"""Mutated files through the real entry points: ``make fuzz``, or this file with ``--help``.

A case passes if the entry point succeeds or raises what its docstring names. Anything else fails:
another exception, a process that dies, 20 s of processor time in one process or 5 minutes without
an answer, or more than 1 GB of further memory.
"""
import argparse
import collections
import io
import multiprocessing
import pickle
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import zipfile
from pathlib import Path

CPU_SECONDS, WALL_SECONDS, GROWTH = 20, 300., 2**30  # a busy machine stretches only the second
EXTREMES = (b"\xff" * 8, b"\x7f" + b"\xff" * 7, bytes(8), b"\xff\xff\xff\x7f", b"\x80\0\0\0")
TEXTS = ('', '-1', '99999999999999999999', '1e9', 'nan', '\x00', '"', ',,,', '\u2028', '\r', 'é',
         '../../x', "'; --", '１', '-0', 'x' * 5000)


# --- mutations --------------------------------------------------------------------------------


def mutate_bytes(data, rng):
    """Up to eight random edits: bits, bytes, lengths, cuts, copies, zeros."""
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 8))):
        if not data:
            break
        at, length = rng.randrange(len(data)), rng.choice((1, 4, 16, 256, len(data) // 4 + 1))
        kind = rng.randrange(7)
        if kind == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[at:at + length] = rng.randbytes(min(length, len(data) - at))
        elif kind == 2:
            extreme = rng.choice(EXTREMES)
            data[at:at + len(extreme)] = extreme
        elif kind == 3:
            del data[at:]
        elif kind == 4:
            del data[at:at + length]
        elif kind == 5:
            other = rng.randrange(len(data))
            data[other:other] = data[at:at + length]
        else:
            data[at:at + length] = bytes(min(length, len(data) - at))
    return bytes(data)


def mutate_text(data, rng):
    """Lines and fields swapped, repeated, replaced; sometimes bytes as well."""
    lines = data.decode('utf-8', 'replace').split('\n')
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = rng.randrange(len(lines))
        fields = lines[at].split(',')
        kind = rng.randrange(5)
        if kind == 0:
            fields[rng.randrange(len(fields))] = rng.choice(TEXTS)
        elif kind == 1:
            fields.insert(rng.randrange(len(fields) + 1), rng.choice(TEXTS))
        elif kind == 2:
            fields.pop(rng.randrange(len(fields)))
        elif kind == 3:
            lines.insert(rng.randrange(len(lines)), lines[at])
        else:
            fields.reverse()
        lines[at] = ','.join(fields)
    data = '\n'.join(lines).encode()
    return mutate_bytes(data, rng) if rng.random() < .2 else data


def mutate_zip(data, rng):
    """Entries renamed, emptied, repeated, made huge; sometimes bytes as well."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(
            target, 'w', rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA,
                                     zipfile.ZIP_BZIP2))) as out:
        for info in source.infolist():
            name, content = info.filename, source.read(info)
            if rng.random() < .3:
                name = rng.choice((name, name.upper(), f'../{name}', f'/{name}', '.', 'a\\' + name,
                                   'C:' + name, name + '/', 'x' * 300, 'ä\u2028.csv', name + '\n'))
            if rng.random() < .3:
                content = rng.choice((b'', bytes(2**20), content * 2, mutate_bytes(content, rng)))
            if rng.random() < .02:
                content = bytes(300 * 2**20)
            for _ in range(1 + (rng.random() < .1)):
                out.writestr(name, content)
    data = target.getvalue()
    return mutate_bytes(data, rng) if rng.random() < .5 else data


# --- samples and entry points -----------------------------------------------------------------


def make_samples(folder):
    """Valid files by kind, a list of paths each."""
    import numpy as np
    import torch
    from numbered_video import write_video
    from tiny_release import make_release

    samples = collections.defaultdict(list)

    def add(kind, name):
        samples[kind].append(folder / name)
        return folder / name

    for name, codec in (('v.mp4', 'libx264'), ('hevc.mp4', 'libx265'), ('v.mkv', 'libx264'),
                        ('v.avi', 'mpeg4'), ('v.ts', 'mpeg2video'), ('v.flv', 'libx264'),
                        ('v.mpg', 'mpeg2video'), ('v.wmv', 'wmv2')):
        options = dict(b_frames=0) if codec == 'wmv2' else {}
        if codec == 'libx265':
            options['x265-params'] = 'log-level=none:pools=none'
        write_video(add('video', name), 24, codec=codec, key_frames=8, **options)
    clips = [dict(clip_id=f'{k:04}_0', pred_score=torch.rand(32), gt_label=torch.tensor([k % 32]),
                  pred_label=torch.tensor([3]), num_classes=32) for k in range(6)]
    add('dump', 'scores.pkl').write_bytes(pickle.dumps(clips))
    add('dump', 'numpy.pkl').write_bytes(pickle.dumps(
        [dict(clip, pred_score=clip['pred_score'].numpy()) for clip in clips], protocol=2))
    skeleton = dict(frame_dir='a_0', label=0, total_frames=9, img_shape=(48, 64),
                    keypoint=np.ones((1, 9, 22, 2), np.float32),
                    keypoint_score=np.ones((1, 9, 22), np.float32))
    add('skeleton', 'skeleton.pkl').write_bytes(pickle.dumps(
        dict(split=dict(train=['a_0']), annotations=[skeleton])))
    content = dict(meta=dict(epoch=1, rate=np.float64(.1)), state_dict=dict(a=torch.rand(40, 3)))
    torch.save(content, add('checkpoint', 'zip.pth'))
    torch.save(content, add('checkpoint', 'legacy.pth'), _use_new_zipfile_serialization=False)
    add('segments', 'train.csv').write_text(
        'clip_id,video,start_frame,end_frame,label\n' +
        ''.join(f'v_{k},v.mp4,{2 * k},{2 * k + 4},{k}\n' for k in range(8)))
    add('segments', 'train.txt').write_text(''.join(f'c{k}.mp4 {k}\n' for k in range(8)))
    rows = 'Id,Target\n' + ''.join(f'{k:04}_0,{k}\n' for k in range(8))
    add('submission', 'prediction.csv').write_text(rows)
    with zipfile.ZipFile(add('submission', 'prediction.zip'), 'w', zipfile.ZIP_DEFLATED) as file:
        file.writestr('prediction.csv', rows)
    root = make_release(folder / 'release')
    for path in list(root.iterdir()):
        shutil.make_archive(path, 'zip', root, path.name)
        shutil.rmtree(path)
    samples['release'] = sorted(root.glob('*.zip'))
    return samples


def read_video(path):
    from gaie_mmaction.datasets import VideoFile
    with VideoFile(path) as video:
        video.read([0, len(video) // 2, len(video) - 1])


def read_segments(path):
    from mmaction.registry import DATASETS
    dataset = DATASETS.build(dict(type='IMiGUEDataset', ann_file=str(path), pipeline=[]))
    for k in range(len(dataset)):
        dataset.get_data_info(k)


def read_skeletons(path):
    from mmaction.registry import DATASETS
    dataset = DATASETS.build(dict(
        type='IMiGUEPoseDataset', ann_file=str(path), split='train', pipeline=[]))
    for k in range(len(dataset)):
        dataset[k]


def read_submission(path):
    from gaie_mmaction.evaluation import check_submission
    check_submission(str(path), [f'{k:04}_0' for k in range(8)], 32)


class ToolError(Exception):
    """A tool ended with a message instead of a traceback."""


def read_release(path):
    # a process of its own, as users start it: workers must not be forked from one that has threads
    tool = Path(__file__).parents[1] / 'tools/data/prepare_imigue.py'
    out = path.parent.parent / 'out'
    result = subprocess.run(
        [sys.executable, tool, path.parent, '--out', out, '--workers', '1'],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, errors='replace',
        preexec_fn=limit_cpu)
    if result.returncode < 0 or 'Traceback' in result.stderr or 'died (killed' in result.stderr:
        raise RuntimeError(result.stderr[-300:])
    if result.returncode:
        raise ToolError(result.stderr[-300:])


def read_dump(path):
    from gaie_mmaction.evaluation.score_dump import read_dump as read
    read(str(path))


def read_checkpoint(path):
    from gaie_mmaction.policy import load_checkpoint_safely
    load_checkpoint_safely(str(path), map_location='cpu')


# share of the cases, mutation of a file by its ending, entry point, what it may raise
KINDS = dict(
    video=(4, read_video, ('VideoReadError', 'IndexError')),
    dump=(3, read_dump, ('ValueError', )),
    skeleton=(3, read_skeletons, ('ValueError', )),
    checkpoint=(4, read_checkpoint, ('RuntimeError', )),
    segments=(3, read_segments, ('ValueError', )),
    submission=(3, read_submission, ('ValueError', )),
    release=(1, read_release, ('ToolError', )))
MUTATIONS = {'.csv': mutate_text, '.txt': mutate_text, '.zip': mutate_zip}


def limit_cpu():
    """Have the system end this process, or a child of it, that computes for 20 s more."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + CPU_SECONDS,
                                             resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _peak():
    return sum(resource.getrusage(who).ru_maxrss
               for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def run_case(kind, sample, seed, folder, report=lambda: None):
    """Returns the outcome in one word, and its message if it is a failure."""
    rng = random.Random(seed)
    mutate = MUTATIONS.get(sample.suffix, mutate_bytes)
    workplace = Path(tempfile.mkdtemp(dir=folder))
    try:
        if kind == 'release':
            shutil.copytree(sample.parent, workplace / 'release')
            path = workplace / 'release' / sample.name
        else:
            path = workplace / sample.name
        path.write_bytes(mutate(sample.read_bytes(), rng))
        before = _peak()
        limit_cpu()
        try:
            KINDS[kind][1](path)
            outcome = 'read'
        except Exception as error:  # what is not documented is the finding
            report()
            outcome = type(error).__name__
            if outcome not in KINDS[kind][2]:
                return f'FAILED: {outcome}', f'{error!r:.300}'
        growth = (_peak() - before) * 1024
        if growth > GROWTH:
            return 'FAILED: memory', f'{growth / 2**30:.1f} GB more'
        return outcome, ''
    finally:
        shutil.rmtree(workplace, ignore_errors=True)


# --- the run ----------------------------------------------------------------------------------


def _serve(connection, folder):
    import contextlib
    import os
    import warnings

    import torch

    import gaie_mmaction  # noqa: F401
    torch.set_num_threads(1)
    warnings.simplefilter('ignore')
    connection.send('ready')
    with open(os.devnull, 'w') as nothing, contextlib.redirect_stdout(nothing), \
            contextlib.redirect_stderr(nothing):
        while True:
            connection.send(run_case(*connection.recv(), folder))


class Worker:
    """A process that runs cases, replaced when it hangs or dies."""

    def __init__(self, folder):
        self.folder, self.case = folder, None
        self._start()

    def _start(self):
        context = multiprocessing.get_context('spawn')
        self.connection, child = context.Pipe()
        self.process = context.Process(target=_serve, args=(child, self.folder))
        self.process.start()
        child.close()
        self.connection.recv()

    def begin(self, case):
        self.case, self.since = case, time.monotonic()
        self.connection.send(case)

    def poll(self):
        """The outcome of the case, or None while it runs."""
        try:
            if self.connection.poll(.02):
                return self.connection.recv()
        except (EOFError, ConnectionError):
            self.process.join()
            code = self.process.exitcode
            self._start()
            if code == -signal.SIGXCPU:
                return 'FAILED: hang', f'more than {CPU_SECONDS} s of processor time'
            return 'FAILED: process died', f'exit code {code}'
        if time.monotonic() - self.since > WALL_SECONDS:
            self.stop()
            self._start()
            return 'FAILED: hang', f'no answer in {WALL_SECONDS:.0f} s'
        return None

    def stop(self):
        self.process.kill()
        self.process.join()


def fuzz(seed, *, minutes=None, cases=None, workers=2, kinds=tuple(KINDS), report=print):
    """Run mutated files until time or cases are used up.

    Returns:
        tuple: Counter of ``(kind, outcome)``, and the failures as lines that name the seed.
    """
    rng = random.Random(seed)
    weighted = [kind for kind in kinds for _ in range(KINDS[kind][0])]
    counts, failures, started = collections.Counter(), [], 0
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / 'cases').mkdir()
        samples = make_samples(Path(folder))
        pool = [Worker(Path(folder) / 'cases') for _ in range(workers)]
        end = None if minutes is None else time.monotonic() + 60 * minutes
        try:
            while True:
                more = (cases is None or started < cases) and (
                    end is None or time.monotonic() < end)
                for worker in pool:
                    if worker.case is not None:
                        result = worker.poll()
                        if result is None:
                            continue
                        kind, sample, case_seed = worker.case
                        counts[kind, result[0]] += 1
                        worker.case = None
                        if result[0].startswith('FAILED'):
                            failures.append(f'{kind} {sample.name} --case {case_seed}: '
                                            f'{result[0]}, {result[1]}')
                            report(failures[-1])
                    if more:
                        kind = rng.choice(weighted)
                        worker.begin((kind, rng.choice(samples[kind]), rng.getrandbits(32)))
                        started += 1
                if not more and all(worker.case is None for worker in pool):
                    return counts, failures
        finally:
            for worker in pool:
                worker.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument('--minutes', type=float, default=5)
    parser.add_argument('--cases', type=int, help='stop after so many, too')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--workers', type=int, default=2)
    parser.add_argument('--kinds', nargs='+', choices=KINDS, default=list(KINDS))
    parser.add_argument('--case', nargs=3, metavar=('KIND', 'SAMPLE', 'SEED'),
                        help='run one case again, with its traceback')
    args = parser.parse_args()
    if args.case:
        kind, name, case_seed = args.case
        with tempfile.TemporaryDirectory() as folder:
            sample = next(path for path in make_samples(Path(folder))[kind] if path.name == name)
            print(run_case(kind, sample, int(case_seed), folder, traceback.print_exc))
        return
    counts, failures = fuzz(args.seed, minutes=args.minutes, cases=args.cases,
                            workers=args.workers, kinds=args.kinds)
    for (kind, outcome), number in sorted(counts.items()):
        print(f'{kind:12} {outcome:24} {number:6}')
    print(f'{sum(counts.values())} cases with seed {args.seed}, {len(failures)} failures')
    sys.exit(bool(failures))


if __name__ == '__main__':
    main()
