"""The page of a prepared release: figures, skeletons over frames, hostile names, a real browser."""
import json
import re
from urllib.parse import unquote

import cv2
import numpy as np
import pytest
from report_data import HOSTILE
from tiny_release import NUM_FRAMES, light_hand, make_release, write_light_hand

from gaie_mmaction.datasets.annotations import Segment
from gaie_mmaction.datasets.skeleton_layout import LEFT, RIGHT, get_layout
from gaie_mmaction.release import prepare
from gaie_mmaction.report.overlays import choose_frame
from gaie_mmaction.report.release_page import choose_clips
from gaie_mmaction.visualization.skeleton import paint_skeleton


@pytest.fixture(scope='module')
def release(tmp_path_factory):
    """A release with a dropped clip, a hostile video id, and hands that are swapped in 0011."""
    root = make_release(tmp_path_factory.mktemp('page') / 'r', rows='17,0,9\n99,12,29\n1,9,5\n')
    rows = light_hand(NUM_FRAMES)
    write_light_hand(next(root.rglob('0001')) / '0001_light_hand.csv', rows)
    tips = rows[:, 1:].reshape(NUM_FRAMES, 35, 3)[:, 25:]
    tips[:] = np.roll(tips, 5, axis=1)
    write_light_hand(next(root.rglob('0011')) / '0011_light_hand.csv', rows)
    for path in [path for path in root.rglob('0001*') if path.is_file()]:
        path.rename(path.with_name(path.name.replace('0001', HOSTILE)))
    prepare(root, root.parent / 'out', previews=True)
    return root, root.parent / 'out'


def read_page(out):
    """The page, and the files that it shows."""
    html = (out / 'report.html').read_text(encoding='utf-8')
    return html, [out / unquote(name) for name in re.findall('<(?:img|video) src="(.*?)"', html)]


def test_figures_are_the_reports(release):
    html, files = read_page(release[1])
    report = json.loads((release[1] / 'report.json').read_text(encoding='utf-8'))
    shown = re.findall('data-clips="(.*?)">(.*?)</td><td class="n">(.*?)</td>', html)
    assert shown == [(part, str(number), str(report['published_clips'][part]))
                     for part, number in report['clips'].items()]
    # of each class in the labelled parts, train and val; the row of one that has no clip is there
    rows = {name: [int(number) for number in re.findall(r'<td class="n">(\d+)</td>', row)]
            for name, row in re.findall('<tr><th scope="row">(.*?)</th>(.*)</tr>', html)}
    for label in (0, 16, 22, 31):
        name, = [name for name in rows if name.startswith(f'{label} ')]
        assert rows[name] == [report['clips_per_class'][part].get(name, 0)
                              for part in ('train', 'val')]
    # lengths of train, val and test: 10 and 18, 5 and 13, the same
    assert [rows[name] for name in ('5 to 8', '9 to 16', '17 to 32')] == [
        [0, 1, 1], [1, 1, 1], [1, 0, 0]]
    assert '<h2 id="deviations">Deviations: ' + str(len(report['deviations'])) in html
    assert len(report['deviations']) == html.count('<li>') == 3
    assert all(file.is_file() for file in files)
    # of the three labelled classes 1, 1 and 2 clips
    assert [file.suffix for file in files].count('.mp4') == 4


def test_deviating_skeletons_come_first(release):
    html, files = read_page(release[1])
    assert [file.name for file in files[:2]] == ['0011_22.jpg', f'{HOSTILE}_22.jpg']
    assert html.index('left and right hand swapped', html.index('<img')) < html.index(
        HOSTILE.split('=')[0].replace('<', '&lt;'), html.index('<figcaption>'))


def test_hostile_names_stay_text(release):
    html, _ = read_page(release[1])
    assert 'onerror=&#34;document' in html
    assert HOSTILE not in html and html.count('<script>') == 1


def test_second_run_keeps_what_is_there(release):
    """A picture is drawn anew where the skeleton has changed."""
    root, out = release
    old = {path: path.stat().st_mtime_ns for path in (out / 'previews').iterdir()}
    page = (out / 'report.html').read_bytes()
    prepare(root, out, previews=True)
    assert {path: path.stat().st_mtime_ns for path in (out / 'previews').iterdir()} == old
    assert (out / 'report.html').read_bytes() == page
    path = next(root.rglob('0011_light_hand.csv'))
    path.write_bytes(path.read_bytes().replace(b'0.5', b'0.6'))
    prepare(root, out)
    drawn = {file.name for file, time in old.items() if file.stat().st_mtime_ns != time}
    assert drawn == {'0011_22.jpg'}
    assert '<video' not in read_page(out)[0]  # not without --previews
    prepare(root, out, previews=True)


def test_choice_of_clips():
    parts = dict(train=[Segment(f'{k}', 'v', 0, 9, k % 2) for k in range(80)],
                 val=[Segment('a', 'v', 0, 9, 7)], test=[Segment('b', 'v', 0, 9, -1)])
    assert [(clip.clip_id, clip.label) for clip in choose_clips(parts)] == [
        ('20', 0), ('40', 0), ('58', 0), ('21', 1), ('41', 1), ('59', 1), ('a', 7)]


def test_choice_of_the_frame():
    """Most joints first, then hands apart."""
    skeleton = np.ones((4, 22, 3))
    skeleton[:, LEFT, 0] += [[100], [50], [70], [200]]
    skeleton[3, 0] = skeleton[0, 1] = 0
    assert choose_frame(skeleton) == 2


def test_colours_of_the_sides():
    """Each joint has its side's colour; missing and absurd ones do no harm."""
    joints = np.stack((np.arange(22) % 6 * 30 + 20, np.arange(22) // 6 * 30 + 20), 1).astype(float)
    frame = np.full((150, 200, 3), 128, np.uint8)
    image = paint_skeleton(frame, joints, get_layout('imigue'))
    colors = {joint: tuple(image[int(y), int(x)].tolist()) for joint, (x, y) in enumerate(joints)}
    left, right = {colors[joint] for joint in LEFT}, {colors[joint] for joint in RIGHT}
    assert len(left) == len(right) == 1 and left != right and (frame == 128).all()
    assert left | right | {colors[0]} == {*left, *right, colors[1]}
    joints[7], joints[4] = 0, (1e30, -1e30)
    changed = paint_skeleton(frame, joints, get_layout('imigue'))
    assert changed[20, 20].tolist() == image[20, 20].tolist() and (changed != image).any()
    assert (paint_skeleton(frame, 0 * joints, get_layout('imigue')) == frame).all()


def test_overlay_is_the_frame(release):
    """The picture is of the frame that the page names: the tiny video shows its number."""
    html, files = read_page(release[1])
    number = int(re.search(r'0011, frame (\d+)', html)[1])
    image = cv2.imread(str(files[0]))
    assert image.shape == (360, 480, 3)
    cells = [image[120 * (bit // 4) + 100, 120 * (bit % 4) + 100].mean() > 128 for bit in range(12)]
    assert sum(cell << bit for bit, cell in enumerate(cells)) == number


@pytest.mark.slow
@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_in_a_browser(open_page, release, scheme):
    page = open_page(release[1] / 'report.html', color_scheme=scheme,
                     viewport=dict(width=360, height=740))
    assert page.evaluate('document.documentElement.scrollWidth') <= 360
    assert page.title() == 'Prepared release' and page.get_by_text('onerror').count() > 0
    # not by wait_for_function, which has to evaluate text in the page: the policy forbids it
    for image in page.locator('img').all():
        image.scroll_into_view_if_needed()
        image.evaluate('image => image.decode()')
        assert image.evaluate('image => image.naturalWidth') == 480
        assert 'video' in image.get_attribute('alt')
    page.locator('video').first.scroll_into_view_if_needed()
    page.evaluate('new Promise(done => document.querySelector("video").ontimeupdate = done)')
    still = open_page(release[1] / 'report.html', reduced_motion='reduce')
    still.locator('video').first.scroll_into_view_if_needed()
    assert still.evaluate('document.querySelector("video").paused')
    # the keyboard reaches tables, lists and videos
    reached = set()
    for _ in range(40):
        still.keyboard.press('Tab')
        reached.add(still.evaluate('document.activeElement.tagName'))
    assert {'DIV', 'SUMMARY', 'VIDEO'} <= reached
