"""Text files in another encoding are named, whoever reads them."""
import pytest
from running import run_tool

from gaie_mmaction.datasets import IMiGUEDataset
from gaie_mmaction.datasets.annotations import read_annotations
from gaie_mmaction.datasets.segment_file import read_segments
from gaie_mmaction.utils.files import read_text


def read_classes(path):
    path.with_name('clips.txt').write_text('a.mp4 0\n')
    IMiGUEDataset(ann_file=str(path.with_name('clips.txt')), pipeline=[],
                  metainfo=dict(classes=str(path)))


def read_caution(path):
    path.with_name('clips.txt').write_text('a.mp4 0\n')
    IMiGUEDataset(ann_file=str(path.with_name('clips.txt')), pipeline=[])


@pytest.mark.parametrize('name, read', [
    ('clips.csv', lambda path: read_annotations(str(path), 32)),
    ('segments.csv', read_segments),
    ('classes.txt', read_classes),
    ('caution.txt', read_caution)])
def test_another_encoding(tmp_path, name, read):
    (tmp_path / name).write_bytes('für\n'.encode('cp1252'))
    with pytest.raises(ValueError, match=rf'{name} is not UTF-8 text \(.*0xfc.*: save it as UTF-8'):
        read(tmp_path / name)


def test_entry_in_another_encoding(tmp_path):
    (tmp_path / 'e.yaml').write_bytes('work_dir: für\n'.encode('cp1252'))
    assert 'e.yaml is not UTF-8 text' in run_tool('entry.py', tmp_path / 'e.yaml')[0]


def test_byte_order_mark_and_line_ends(tmp_path):
    (tmp_path / 'a.txt').write_bytes('\ufefffür\r\nb\n'.encode())
    assert read_text(tmp_path / 'a.txt') == 'für\r\nb\n'
