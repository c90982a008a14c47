"""Training with a compiled backbone against eager training."""
import pytest
from tiny_training import make_runner, read_losses, write_config

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


def test_hook_that_reads_the_reducer_is_refused(tmp_path):
    config = write_config(tmp_path, COMPILE.format(HOOK + ", dict(type='TokenMapHook')"))
    with pytest.raises(ValueError, match='TokenMapHook records nothing of a compiled'):
        make_runner(config).train()
