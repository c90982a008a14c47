"""Training with a compiled backbone against eager training."""
import pytest
import torch
from tiny_training import MASKED, make_runner, read_losses, write_config

COMPILE = "custom_hooks = [dict(type='LossLog'), {}]"
HOOK = "dict(type='CompileBackboneHook', mode='default')"


@pytest.mark.slow
@pytest.mark.parametrize('options', [dict(), dict(model__backbone__with_cp=True)])
def test_losses_equal_eager_and_resume(tmp_path, options):
    """Three epochs compiled, the last of them resumed; the checkpoint is an eager model's."""
    eager, compiled = (write_config(tmp_path / name, more) for name, more in (
        ('eager', ''), ('compiled', COMPILE.format(HOOK))))
    runner = make_runner(eager, **options)
    runner.train()
    for epochs in (2, 3):
        other = make_runner(compiled, resume=epochs == 3, train_cfg__max_epochs=epochs, **options)
        other.train()
        assert other.model.backbone._compiled_call_impl is not None
    assert list(other.model.state_dict()) == list(runner.model.state_dict())
    losses = [read_losses(path.parent / 'work') for path in (eager, compiled)]
    assert len(losses[0]) == 12 and losses[1] == pytest.approx(losses[0], rel=1e-3)


def test_warm_up_of_the_keep_ratio_stays_compiled(tmp_path, monkeypatch):
    """One graph in each epoch; symbolic numbers of tokens would break it."""
    graphs, compile_ = [], torch.nn.Module.compile
    monkeypatch.setattr(torch.nn.Module, 'compile', lambda module, mode: compile_(
        module, backend=lambda graph, _: (graphs.append(graph), graph.forward)[1]))
    hooks = HOOK + ", dict(type='TokenKeepRatioWarmupHook', end=4)"
    runner = make_runner(
        write_config(tmp_path, COMPILE.format(hooks)), train_cfg__max_epochs=5,
        train_cfg__val_interval=5, model__backbone__depth=3, model__backbone__merge_layers=(0, 1))
    torch._dynamo.utils.counters.clear()
    runner.train()
    assert runner.model.backbone.neck.token_keep_ratio == .7
    assert len(graphs) == 5 + 2  # and for the two batch sizes of the last validation
    assert not torch._dynamo.utils.counters['graph_break']


def test_masked_pretraining_is_refused(tmp_path):
    config = write_config(tmp_path, MASKED + COMPILE.format(HOOK))
    with pytest.raises(ValueError, match='MaskedVideoModel runs the blocks of its backbone itself'):
        make_runner(config).train()


def test_hook_that_reads_the_reducer_is_refused(tmp_path):
    config = write_config(tmp_path, COMPILE.format(HOOK + ", dict(type='TokenMapHook')"))
    with pytest.raises(ValueError, match='TokenMapHook records nothing of a compiled'):
        make_runner(config).train()
