"""Each defect of a release is reported, and costs nothing but its own clips."""
import re

import numpy as np
import pytest
from spoilt_release import DEFECTS, TRAIN_SUBJECTS, make_release
from tiny_release import prepared, read_segments

# what a line of the report says that names the clip, the video or the file
SAID = dict(
    bom='a byte order mark', crlf='Windows line ends', blank_lines='has 2 blank lines',
    spaces='blanks around values', header=r"a header \('class,start_frame,end_frame'\)",
    short_row='fields instead of class|must be integers', label_empty='holds no clip',
    start_after_end='before its start', end_beyond_stream='the video has',
    start_beyond_stream='starts at frame', negative_start=r'-3\.\.\d+ to 0\.\.',
    class_0="class '0'", class_32="class '32'", class_100="class '100'", class_text="class 'abc'",
    video_without_labels='no usable .*_label.csv', labels_without_video='no usable .*mp4',
    two_videos_of_one_id='differs from .*none of this id is used',
    same_video_twice='is the same as .*which is used', corrupt_mp4='not a video or is damaged',
    damaged_mp4='not a video or is damaged', damaged_faststart_mp4='is incomplete',
    empty_mp4='is empty', skeleton_row_missing='others are missing',
    skeleton_row_extra='the rest is left out', skeleton_without_header='begins one frame late',
    skeleton_header_missing='has no header row', skeleton_nan="are not numbers.*'nan'",
    skeleton_text="are not numbers.*'text'", skeleton_empty='has 0 rows',
    skeleton_zeros='is empty: no joint', skeleton_wrong_columns='has 103 columns instead of 106',
    skeleton_short_row='are not numbers', hands_swapped='left and right hand swapped',
    truncated_zip='incomplete download', zip_slip="'../evil.txt' would be written outside")
# as they belong in a release, or are found in the counts
HARMLESS = {'variable_frame_rate', 'other_resolution', 'unpadded_id'}
# csv readers pass over them in the licensed table
HARMLESS_IN_TABLE = {'blank_lines', 'spaces'}


@pytest.mark.parametrize('layout, zipped', [('challenge', False), ('2023', True),
                                            ('licensed', False)])
def test_every_defect_is_reported_and_costs_nothing_else(tmp_path, layout, zipped):
    videos, defects = make_release(tmp_path / 'r', layout, zipped)
    parts, report = prepared(tmp_path / 'r', workers=2)
    lines = report.text().partition('\ndeviations:')[2].splitlines()
    harmless = HARMLESS | (HARMLESS_IN_TABLE if layout == 'licensed' else set())
    for planted in defects:
        if planted.name in harmless:
            continue
        of_file = layout == 'licensed' and planted.name in ('bom', 'crlf')
        place = (planted.file.rpartition('/')[2] if of_file else
                 planted.clip_id if planted.lost else planted.video_id or planted.file)
        assert any((place or planted.video_id) in line and re.search(SAID[planted.name], line)
                   for line in lines), planted
    assert len(report.frame_rates) == 2 and '96x128' in report.resolutions
    if layout == 'licensed':
        subjects = {video.video_id: video.subject for video in videos}
        for name, known in (('xsub_train', True), ('xsub_test', False)):
            rows = read_segments(tmp_path / f'r-out/{name}.csv')
            assert {subjects[row.clip_id[:4]] in TRAIN_SUBJECTS for row in rows} == {known}
    lost = {clip_id for planted in defects for clip_id in planted.lost}
    may_lose = {clip_id for planted in defects for clip_id in planted.may_lose}
    found = {row.clip_id: (part, row) for part, rows in parts.items() for row in rows}
    assert len(found) == sum(map(len, parts.values()))
    for video in videos:
        clip_ids = [f'{video.video_id}_{k}' for k in range(len(video.clips))]
        if video.defect and DEFECTS[video.defect].loses == 'video':
            assert not found.keys() & set(clip_ids)
        for clip_id, (code, start, end) in zip(clip_ids, video.clips):
            assert clip_id in found.keys() | lost | may_lose
            if clip_id in found:
                part, (_, _, first, last, label) = found[clip_id]
                assert clip_id in lost | may_lose or (first, last) == (start, end)
                assert part == video.part
                assert label == (-1 if part == 'test' else 31 if code == 99 else code - 1)
    clips = {clip['frame_dir']: clip for clip in np.load(
        tmp_path / 'r-out/skeleton.pkl', allow_pickle=True)['annotations']}
    whole = [video for video in videos if not video.defect
             and (layout != 'licensed' or video.part == 'val')]  # others have no joints
    assert len(whole) >= 3
    for video in whole:  # the nose's y says the number of the frame
        for k, (_, start, end) in enumerate(video.clips):
            y = clips[f'{video.video_id}_{k}']['keypoint'][0, :, 0, 1]
            assert y.tolist() == list(range(start + 1, end + 2))
