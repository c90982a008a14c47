"""The layout of the streams, and thresholds that one half chooses for the other."""
import numpy as np

from gaie_mmaction.benchmark.spotting_study import cross_fit, lay_out
from gaie_mmaction.datasets import read_feature_file
from gaie_mmaction.datasets.segment_file import read_segments


def test_layout(tmp_path):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / 'source.npz', clip_joints=rng.normal(size=(9, 20, 3)),
             clip_length=np.array([4, 5]), clip_class=np.array([13, 2]),
             stream_joints=rng.normal(size=(30, 20, 3)), stream_length=np.array([10, 20]),
             stream_id=np.array([3, 1]), segments=np.array([[3, 5, 2, 10], [1, 6, 4, 19]]))
    line, = lay_out(tmp_path / 'source.npz', tmp_path / 'out')
    assert 'stream 3: the segment 2-10 ends after the last frame, 9' in line
    assert read_segments(tmp_path / 'out/streams.csv') == [('03', 2, 9, 4), ('01', 4, 19, 5)]
    assert read_segments(tmp_path / 'out/clips.csv') == [
        ('clip000', 0, 3, 12), ('clip001', 0, 4, 1)]
    streams = read_feature_file(tmp_path / 'out/streams.npz')
    with np.load(tmp_path / 'source.npz') as source:
        assert np.allclose(streams['01'].features, source['stream_joints'][10:].reshape(20, 60))


def test_the_other_half_chooses():
    """In half 0 the false alarm scores more than the hit, in half 1 less."""
    true = [('a', 0, 9, 0), ('b', 0, 9, 0)]
    found = [('a', 0, 9, 0, .4), ('a', 50, 59, 0, .6), ('b', 0, 9, 0, .5), ('b', 50, 59, 0, .3)]
    table = cross_fit(found, true, ['a', 'b']).query('overlap == 0.3')
    assert table.threshold.tolist() == [.5, .4]
    assert table.f1.tolist() == [0, 1]
