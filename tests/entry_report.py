"""The figures of an entry's report, recomputed from its dumps."""
import itertools
import pickle

import numpy as np
import pandas as pd


def read_dumps(work, names, part):
    """Scores ``(S, N, C)`` and labels, straight from the pickles, clips as in the first one."""
    streams = [{sample['clip_id']: sample for sample in pickle.loads(
        next((work / name).glob(f'*/{part}-*.pkl')).read_bytes())} for name in names]
    return (np.stack([[np.asarray(one[clip_id]['pred_score'], float) for clip_id in streams[0]]
                      for one in streams]),
            np.array([int(sample['gt_label']) for sample in streams[0].values()]))


def best_by_loops(scores, labels, rule):
    """All multiples of 1/20: most hits, then the lowest loss of the fused scores."""
    found = None
    for weights in itertools.product(range(21), repeat=len(scores)):
        if sum(weights) != 20:
            continue
        fused = np.zeros(scores[0].shape)
        for weight, one in zip(weights, scores):
            fused += weight / 20 * (one if rule == 'probabilities' else np.log(one))
        if rule == 'logits':
            fused = np.exp(fused) / np.exp(fused).sum(axis=1, keepdims=True)
        hits = int((fused.argmax(axis=1) == labels).sum())
        loss = -np.log(np.maximum(fused[range(len(labels)), labels], 1e-12)).mean()
        if found is None or (hits, -loss) > found[:2]:
            found = hits, -loss, np.array(weights) / 20
    return found[2]


def sum_of(scores, weights, rule):
    return np.tensordot(weights, scores if rule == 'probabilities' else np.log(scores), 1)


def percent(scores, labels):
    return f'{100 * (scores.argmax(axis=1) == labels).mean():.2f}'


def assert_report(work, names, rule):
    """Accuracies, weights, classes won and the leaderboard file, without calibration."""
    names, number = list(names), len(names)
    (holdout, labels), (test, truth) = (read_dumps(work, names, part) for part in ('val', 'test'))
    table = {name: pd.read_csv(work / f'{name}.csv', dtype=str, keep_default_na=False)
             for name in ('streams', 'pairs', 'leave_one_out', 'classes')}

    def figures(members):
        chosen = list(members)
        weights = best_by_loops(holdout[chosen], labels, rule)
        return [' '.join(f'{one:.3f}' for one in weights),
                percent(sum_of(holdout[chosen], weights, rule), labels),
                percent(sum_of(test[chosen], weights, rule), truth)]

    columns = ['weights', 'holdout Top-1', 'test Top-1']
    assert table['pairs'][columns].values.tolist() == [
        figures(pair) for pair in itertools.combinations(range(number), 2)]
    assert table['leave_one_out'][columns].values.tolist() == [
        figures(sorted(set(range(number)) - {left})) for left in range(number)]
    weights = best_by_loops(holdout, labels, rule)
    rows = table['streams'].set_index('stream')
    for k, name in enumerate(names):
        assert rows.loc[name, 'weight'] == f'{weights[k]:.3f}'
        assert rows.loc[name, 'test Top-1'] == percent(test[k], truth)
    fused = sum_of(test, weights, rule)
    assert rows.loc['fused', 'test Top-1'] == percent(fused, truth)
    assert rows.loc['fused', 'holdout Top-1'] == percent(sum_of(holdout, weights, rule), labels)
    assert len(table['classes']) == len(np.unique(labels))
    for label, (_, row) in zip(np.unique(labels), table['classes'].iterrows()):
        recalls = [(one[labels == label].argmax(axis=1) == label).mean() for one in holdout]
        assert [row[name] for name in names] == [f'{100 * one:.1f}' for one in recalls]
        best = [name for name, one in zip(names, recalls) if one == max(recalls) > 0]
        assert row['won by'] == (best[0] if len(best) == 1 else '')
    prediction = pd.read_csv(work / 'prediction.csv').sort_values('Id')
    clips = pd.Series(fused.argmax(axis=1), pickle_ids(work, names[0])).sort_index()
    assert prediction.Id.tolist() == clips.index.tolist()
    assert prediction.Target.tolist() == clips.tolist()


def pickle_ids(work, name):
    dump = next((work / name).glob('*/test-*.pkl'))
    return [sample['clip_id'] for sample in pickle.loads(dump.read_bytes())]
