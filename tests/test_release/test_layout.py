"""What is found below a release, and what is said of the rest."""
from gaie_mmaction.release.layout import find_layout
from gaie_mmaction.release.report import Report

LICENSED = 'video_id,class,start_frame,end_frame\n'


def test_tables_of_labels_that_are_not_used_are_reported(tmp_path):
    folder = tmp_path / 'imigue_rgb_phase1' / 'train'
    folder.mkdir(parents=True)
    (folder / '0001.mp4').write_bytes(b'')
    (tmp_path / 'a.csv').write_text(LICENSED)
    (tmp_path / 'b.csv').write_text(LICENSED)
    (tmp_path / 'c.csv').write_bytes('größe'.encode('utf-16'))
    (tmp_path / 'd.csv').write_text('something,else\n')
    report = Report()
    layout = find_layout(tmp_path, tmp_path / 'out', report)
    assert layout.licensed_csv == tmp_path / 'a.csv'
    assert [(one.kind, one.file) for one in report.deviations] == [
        ('tables of labels that occur twice', 'b.csv'), ('csv files that cannot be read', 'c.csv')]
    assert 'a.csv is' in report.deviations[0].detail
    assert 'save it as UTF-8' in report.deviations[1].detail
