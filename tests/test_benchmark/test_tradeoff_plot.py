"""Names in the picture."""
import numpy as np
import pytest
from gaie_mmaction.benchmark.tradeoff_plot import place_names
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.text import Text

from gaie_mmaction.benchmark import draw_tradeoff


@pytest.mark.parametrize('spread', [0., .01, 1.])
def test_names_do_not_overlap(spread):
    """Also of 14 models at nearly the same place."""
    rng = np.random.default_rng(0)
    xs, ys = 1 + spread * rng.random((2, 14))
    figure = Figure((6, 4.5), dpi=150)
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.set(xlim=(.5, 2.5), ylim=(.5, 2.5))
    canvas.draw()
    names = [f'gaie_demo_{k:02d}' for k in range(14)]
    notes = place_names(axes, names, xs, ys, ['k'] * 14)
    assert [note.get_text() for note in notes] == names
    canvas.draw()
    boxes = [Text.get_window_extent(note) for note in notes]
    points = axes.transData.transform(np.stack([xs, ys], 1))
    for k, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:k])
        assert not any(box.contains(*point) for point in points)
        assert axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1


@pytest.mark.parametrize('accuracy, width', [([50., None, 60.], 1800), ([None] * 3, 900)])
def test_a_panel_for_each_measure_that_there_is(tmp_path, accuracy, width):
    draw_tradeoff(tmp_path / 'a.png', list('abc'), [1., 2., 3.],
                  {'Top-1 (%)': accuracy, 'clips/s': [3., 2., 1.]}, 'title')
    assert imread(tmp_path / 'a.png').shape == (675, width, 4)
