"""The picture of segments along time."""
from matplotlib.figure import Figure

from gaie_mmaction.visualization.timeline import draw_timeline


def test_any_name_of_a_video(tmp_path):
    """Matplotlib takes what stands between dollars for a formula."""
    draw_timeline(tmp_path / 'a.png', dict(found=[('a', 1, 2, 0)]), 9, ['a'], 'a$1_$2^')
    assert (tmp_path / 'a.png').exists()


def test_every_class_looks_different(tmp_path, monkeypatch):
    """Also above the 20 colors, in both rows alike and as the legend says."""
    figures, save = [], Figure.savefig
    monkeypatch.setattr(Figure, 'savefig', lambda figure, *args, **options: (
        figures.append(figure), save(figure, *args, **options)))
    classes = [f'class {label}' for label in range(52)]
    segments = [('a', 10 * label, 10 * label + 9, label) for label in range(52)]
    draw_timeline(tmp_path / 'a.png', dict(true=segments, found=segments[::-1]), 520, classes)
    assert (tmp_path / 'a.png').read_bytes().startswith(b'\x89PNG')
    figure, = figures

    def look(patch):
        return patch.get_facecolor(), patch.get_hatch()

    legend, = figure.legends
    looks = {text.get_text(): look(patch)
             for text, patch in zip(legend.get_texts(), legend.get_patches())}
    assert list(looks) == classes and len(set(looks.values())) == 52
    bars = figure.axes[0].patches
    assert len(bars) == 104
    for bar in bars:
        assert look(bar) == looks[classes[int(bar.get_x()) // 10]]
