"""The page as a file: what it holds, notes on what is unknown, previews."""
import json
import re

import numpy as np
from evaluating import write_segments
from numbered_video import write_video
from report_data import HOSTILE, HOSTILE_CLASS, write_report_config, write_report_dump
from running import run_tool

from gaie_mmaction.apis import load_config
from gaie_mmaction.datasets.video_file import VideoFile
from gaie_mmaction.report import previews, results
from gaie_mmaction.report.clips import ClipInfo


def read_page(folder):
    """The page, and the data in it."""
    html = (folder / 'index.html').read_text(encoding='utf-8')
    data = re.search('<script type="application/json" id="data">(.*?)</script>', html, re.S)[1]
    return html, json.loads(data)


def make_page(folder, *dumps):
    code, output = run_tool('visualize/report.py', folder / 'config.py', '--scores', *dumps,
                            '--out', folder / 'report')
    assert code is None
    return *read_page(folder / 'report'), output


def test_page_of_two_dumps(tmp_path):
    """Numbers are the dump's; hostile names neither close a script nor become elements."""
    write_report_config(tmp_path)
    ids, scores, labels = write_report_dump(tmp_path / 'a.pkl')
    write_report_dump(tmp_path / 'b.pkl', seed=1)
    write_segments(tmp_path / 'test.csv', *(
        f'"{clip_id.replace(chr(34), 2 * chr(34))}",{k % 7}.mp4,{k},{2 * k},{labels[k]}'
        for k, clip_id in enumerate(ids)))
    html, data, output = make_page(tmp_path, tmp_path / 'a.pkl', tmp_path / 'b.pkl')
    assert data['ids'] == ids and data['labels'] == labels.tolist()
    assert data['lengths'] == [k + 1 for k in range(len(ids))] and data['previews'] is None
    first = data['networks'][0]
    assert first['best'] == np.argsort(-scores, axis=1)[:, :5].tolist()
    np.testing.assert_allclose(np.array(first['scores']), np.sort(scores)[:, ::-1][:, :5],
                               atol=6e-5)
    np.testing.assert_allclose(first['losses'], -np.log(scores[np.arange(60), labels]), atol=6e-4)
    top1 = 100 * (scores.argmax(axis=1) == labels).mean()
    assert f'data-figure="top1">{top1:.1f} ' in html
    assert 'Accuracy over clip length' in html and 'Accuracy of each video' in html
    assert len(re.findall('<script', html)) == 2 and HOSTILE not in html
    assert HOSTILE_CLASS not in html and '\\u003c/script\\u003e' in html
    # nothing that the content security policy would block, or that asks a network
    assert not re.search(r'<[^>]*\s(style|on\w+)=', html) and 'http' not in re.sub(
        'http-equiv|<pre.*?</pre>', '', html, flags=re.S)
    assert 'unknown' not in output


def test_notes(tmp_path):
    """Without labels no accuracy; what annotations do not tell is said, not guessed."""
    write_report_config(tmp_path, names=('too', 'few'))
    ids, *_ = write_report_dump(tmp_path / 'a.pkl', labelled=False)
    html, data, output = make_page(tmp_path, tmp_path / 'a.pkl')
    assert '60 of 60 clips have no label' in output and 'test.csv does not exist' in output
    assert 'they are numbered' in output and data['classes'] == [f'class {k}' for k in range(6)]
    assert 'First and second choice' in html and 'Top-1' not in html
    assert data['networks'][0]['losses'] == [None] * 60
    write_segments(tmp_path / 'test.csv', *(f'{clip_id},v.mp4,0,9,-1' for clip_id in ids[1:41]))
    _, data, output = make_page(tmp_path, tmp_path / 'a.pkl')
    assert f'20 of 60 clips are not in {tmp_path}/test.csv' in output
    assert data['lengths'].count(10) == 40 and data['lengths'].count(None) == 20


def test_other_clips_are_an_error(tmp_path):
    write_report_config(tmp_path)
    write_report_dump(tmp_path / 'a.pkl')
    write_report_dump(tmp_path / 'b.pkl', clips=59)
    code, _ = run_tool('visualize/report.py', tmp_path / 'config.py', '--scores',
                       tmp_path / 'a.pkl', tmp_path / 'b.pkl', '--out', tmp_path / 'report')
    assert '1 clips are only in' in code and not (tmp_path / 'report').exists()


def test_pretraining_has_no_results(root, tmp_path):
    code, _ = run_tool('visualize/report.py', root / 'configs/pretraining/videomae_demo.py',
                       '--scores', 'none.pkl', '--out', tmp_path / 'report')
    assert 'videomae_demo.py has no test pipeline' in code


def test_cost_of_two_inputs_is_a_note(root):
    notes = []
    assert results._measure_cost(load_config(root / 'configs/demo/m2hen_demo.py'), notes) == []
    assert 'takes imgs, keypoint together' in notes[0]


def test_previews(tmp_path, monkeypatch):
    """Those that exist stay; a broken video is a note; too large a file is none."""
    write_video(tmp_path / 'v.mp4', 100)
    (tmp_path / 'bad.mp4').write_bytes(b'no video')
    video = str(tmp_path / 'v.mp4')
    clips = [ClipInfo(video, 0, 19), ClipInfo(video, 20, -1),
             ClipInfo(str(tmp_path / 'bad.mp4')), ClipInfo()]
    assert 'frames 95..104 are outside' in previews.write_preview(
        ClipInfo(video, 95, 104), tmp_path / 'x.mp4')
    names, notes = previews.make_previews(clips, tmp_path / 'p', workers=1)
    assert [name is not None for name in names] == [True, True, False, False]
    assert len(notes) == 2 and 'videos are unknown' in notes[0] and 'bad.mp4' in notes[1]
    for name, frames in zip(names[:2], (20, 32)):
        assert (tmp_path / 'p' / name).stat().st_size <= previews.MAX_BYTES
        with VideoFile(tmp_path / 'p' / name) as preview:
            assert len(preview) == frames
    (tmp_path / 'p' / names[0]).unlink()
    before = (tmp_path / 'p' / names[1]).stat().st_mtime_ns
    assert previews.make_previews(clips, tmp_path / 'p', workers=1)[0] == names
    assert (tmp_path / 'p' / names[1]).stat().st_mtime_ns == before
    monkeypatch.setattr(previews, 'MAX_BYTES', 100)
    assert 'more than 100 bytes' in previews.write_preview(clips[0], tmp_path / 'p' / 'x.mp4')
    assert sorted(path.name for path in (tmp_path / 'p').iterdir()) == sorted(names[:2])


def test_size(tmp_path):
    """Of as many clips as iMiGUE's test part."""
    write_report_config(tmp_path, names=[f'class {k}' for k in range(32)])
    write_report_dump(tmp_path / 'a.pkl', clips=4562, classes=32)
    make_page(tmp_path, tmp_path / 'a.pkl')
    assert (tmp_path / 'report' / 'index.html').stat().st_size < 5e6
