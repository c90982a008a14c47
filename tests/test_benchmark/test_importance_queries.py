"""Agreement of kept tokens against sets, on random clips."""
import pytest
import torch
from mmaction.structures import ActionDataSample
from mmengine.config import Config
from mmengine.runner import Runner
from small_model import randomize, small_recognizer

from gaie_mmaction.benchmark import importance_queries
from gaie_mmaction.visualization import record_tokens


def test_agreement_and_accuracy(monkeypatch):
    """All queries change nothing; the share of two of 64 is that of the sets."""
    torch.manual_seed(0)
    model = small_recognizer(dict(type='GAIENeck', token_keep_ratio=.5))
    randomize(model)
    batches = [dict(inputs=[torch.randint(256, (1, 3, 8, 32, 32)) for _ in range(3)],
                    data_samples=[ActionDataSample().set_gt_label(label) for label in range(3)])
               for _ in range(2)]
    monkeypatch.setattr(importance_queries, 'load_recognizer', lambda *_: (model, {}))
    monkeypatch.setattr(Runner, 'build_dataloader', lambda _: batches)
    table = importance_queries.measure_queries(Config(dict(test_dataloader={})), '', [64, 2])
    assert table['queries'].tolist() == ['all', '64', '2']
    kept, right = {}, 0
    for number in (None, 2):
        model.backbone.neck.importance_queries = number
        for batch in batches:
            with record_tokens(model) as history, torch.no_grad():
                samples = model.test_step(batch)
            kept.setdefault(number, []).extend(map(set, history[1].position.tolist()))
            right += number == 2 and sum(
                int(sample.pred_score.argmax()) == sample.gt_label.item() for sample in samples)
    share = sum(len(one & two) / 32 for one, two in zip(kept[None], kept[2])) / 6
    assert 0 < share < 1
    column = 'same kept tokens %, merge 1'
    assert table[column].tolist() == ['100.0', '100.0', f'{100 * share:.1f}']
    assert table['Top-1 %'][2] == f'{100 * right / 6:.2f}' and len(table.columns) == 4
    assert table['Top-1 %'][0] == table['Top-1 %'][1]


def test_unlabelled_clips_have_no_accuracy(monkeypatch):
    model = small_recognizer(dict(type='GAIENeck'))
    batch = dict(inputs=[torch.randint(256, (1, 3, 8, 32, 32))],
                 data_samples=[ActionDataSample().set_gt_label(-1)])
    monkeypatch.setattr(importance_queries, 'load_recognizer', lambda *_: (model, {}))
    monkeypatch.setattr(Runner, 'build_dataloader', lambda _: [batch])
    table = importance_queries.measure_queries(Config(dict(test_dataloader={})), '', [2])
    assert len(table) == 2 and 'Top-1 %' not in table


@pytest.mark.parametrize('neck', [
    dict(type='ToMeNeck', token_keep_ratio=.7), dict(type='GAIENeck', importance='sharpness')])
def test_without_the_option(monkeypatch, neck):
    model = small_recognizer(neck)
    monkeypatch.setattr(importance_queries, 'load_recognizer', lambda *_: (model, {}))
    with pytest.raises(ValueError, match='has no GAIENeck'):
        importance_queries.measure_queries(Config({}), '', [2])
