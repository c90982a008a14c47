"""Videos and skeleton files of a synthetic release, written fast.

Frame n shows n as a grid of cells, in its video's own colour; the nose's x says n, too.
"""
import zipfile
from fractions import Fraction

import av
import numpy as np

CELL, BITS = 16, 12  # a picture of 12 cells of 16 x 16 pixels
LANDSCAPE, PORTRAIT = (64, 48), (48, 64)  # width, height
BLACK, WHITE = 40, 200
# deterministic and quick: one thread, and neither B-frames nor a look at later frames
ENCODER = {'preset': 'ultrafast', 'tune': 'zerolatency', 'g': '60', 'threads': '1'}
PHASES = 32  # poses prepared as text; the rows of a file go round them

# BODY_25 in shares of width and height; (0, 0) is a joint that was not found
BODY = np.array([
    (.50, .25), (.50, .40), (.35, .42), (.30, .60), (.36, .74), (.65, .42), (.70, .60), (.64, .74),
    (.50, .85), (.43, .85), (0, 0), (0, 0), (.57, .85), (0, 0), (0, 0), (.47, .22), (.53, .22),
    (.43, .24), (.57, .24)] + 6 * [(0, 0)])
RIGHT_WRIST, LEFT_WRIST = 4, 7
TIPS = np.array([(-.05, .01), (-.025, .05), (0, .06), (.025, .05), (.045, .03)])  # from the wrist
# the fingertips among the 21 points of a hand; sizes of OpenPose's tables of face and hand
TIP_POINTS = (4, 8, 12, 16, 20)
FACE_POINTS, HAND_POINTS = 70, 21


def pictures(frames, colour, size):
    """All frames of a video, ``(frames, height * 3 / 2, width)`` uint8, planes Y, U, V."""
    width, height = size
    lit = (np.arange(frames)[:, None] >> np.arange(BITS) & 1).astype(np.uint8)
    cells = (BLACK + (WHITE - BLACK) * lit).reshape(frames, height // CELL, width // CELL)
    planes = np.empty((frames, height * 3 // 2, width), np.uint8)
    planes[:, :height] = cells.repeat(CELL, 1).repeat(CELL, 2)
    planes[:, height:height * 5 // 4] = colour[0]
    planes[:, height * 5 // 4:] = colour[1]
    return planes


def read_number(image):
    lit = image.mean(-1)[CELL // 2::CELL, CELL // 2::CELL].ravel() > (BLACK + WHITE) / 2
    return int((lit * (1 << np.arange(BITS))).sum())


def write_video(path, frames, colour, size=LANDSCAPE, *, faststart=False, variable_rate=False):
    """Write H.264 of 30 frames/s in mp4; with ``variable_rate`` every third one lasts longer."""
    path.parent.mkdir(parents=True, exist_ok=True)
    options = dict(movflags='faststart') if faststart else {}
    with av.open(str(path), 'w', options=options) as container:
        stream = container.add_stream('libx264', rate=30, options=ENCODER)
        stream.width, stream.height = size
        stream.pix_fmt = 'yuv420p'
        stream.codec_context.thread_count = 1
        for number, planes in enumerate(pictures(frames, colour, size)):
            frame = av.VideoFrame.from_ndarray(planes, format='yuv420p')
            frame.time_base = Fraction(1, 30)
            frame.pts = number + (number + 2) // 3 if variable_rate else number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def nose_x(number, width):
    return number * width / (1 << BITS)


def poses(size):
    """BODY_25 and ten fingertips, left hand first, ``(PHASES, 35, 3)``: x, y, score."""
    angle = 2 * np.pi * np.arange(PHASES) / PHASES
    sway = .02 * np.stack([np.cos(angle), np.sin(angle)], -1)
    points = np.repeat(np.concatenate([BODY, TIPS, TIPS])[None], PHASES, 0)
    for wrist, sign in ((RIGHT_WRIST, 1), (LEFT_WRIST, -1)):
        points[:, wrist] += sign * sway
    points[:, 25:30] += points[:, LEFT_WRIST, None]
    points[:, 30:35] += points[:, RIGHT_WRIST, None]
    score = np.where((points == 0).all(-1), 0, .9)[..., None]
    return np.concatenate([points * size, score], -1)


def full_poses(size):
    """The same poses as OpenPose's 137 joints, ``(PHASES, 137, 3)``."""
    light = poses(size)
    angle = np.linspace(0, 2 * np.pi, FACE_POINTS, endpoint=False)
    ring = np.stack([np.cos(angle), np.sin(angle)], -1) * .05 * np.array(size)
    face = np.concatenate([light[:, :1, :2] + ring, np.full((PHASES, FACE_POINTS, 1), .8)], -1)
    hands = light[:, [LEFT_WRIST] * HAND_POINTS + [RIGHT_WRIST] * HAND_POINTS]
    hands[:, TIP_POINTS] = light[:, 25:30]
    hands[:, np.add(TIP_POINTS, HAND_POINTS)] = light[:, 30:35]
    return np.concatenate([light[:, :25], face, hands], 1)


def skeleton_lines(frames, size, offset=0, full=False):
    """Lines of a ``<VID>_light_hand.csv``, or the rows of a workbook of 137 joints as text."""
    bodies = [','.join(f'{value:.5g}' for value in pose.ravel()[1:])
              for pose in (full_poses if full else poses)(size)]
    rows = [f'{nose_x(number, size[0])},{bodies[(number + offset) % PHASES]}'
            for number in range(frames)]
    header = ','.join(['', *map(str, range(105))])  # as pandas writes it
    return rows if full else [header, *(f'{number},{row}' for number, row in enumerate(rows))]


SPACE = 'http://schemas.openxmlformats.org/'
XLSX_PARTS = {
    'xl/workbook.xml': f'<workbook xmlns="{SPACE}spreadsheetml/2006/main" xmlns:r="{SPACE}'
        'officeDocument/2006/relationships"><sheets><sheet name="Sheet1" sheetId="1" r:id="rId1"/>'
        '</sheets></workbook>',
    'xl/_rels/workbook.xml.rels': f'<Relationships xmlns="{SPACE}package/2006/relationships">'
        f'<Relationship Id="rId1" Type="{SPACE}officeDocument/2006/relationships/worksheet" '
        'Target="worksheets/sheet1.xml"/></Relationships>'}


def write_xlsx(path, rows):
    """Write numbers, given as text, into the one sheet of a workbook."""
    body = ''.join(f'<row>{"".join(f"<c><v>{value}</v></c>" for value in cells)}</row>'
                   for cells in rows)
    sheet = (f'<worksheet xmlns="{SPACE}spreadsheetml/2006/main"><sheetData>{body}</sheetData>'
             '</worksheet>')
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
        for name, text in {**XLSX_PARTS, 'xl/worksheets/sheet1.xml': sheet}.items():
            archive.writestr(zipfile.ZipInfo(name), text)
