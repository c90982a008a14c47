"""The backbone alone is compiled, and trains as before."""
import pytest
import torch
from tiny_training import make_runner, read_losses, write_config

HOOK = "custom_hooks = [*_base_.custom_hooks, dict(type='CompileBackboneHook', mode='default')]\n"


@pytest.mark.slow
def test_trains_and_resumes_as_eager(tmp_path):
    losses, weights = {}, {}
    for name, text in (('eager', ''), ('compiled', HOOK)):
        config = write_config(tmp_path / name, text)
        make_runner(config, train_cfg__max_epochs=1).train()
        runner = make_runner(config, resume=True, train_cfg__max_epochs=2)
        runner.train()
        losses[name], weights[name] = read_losses(config.parent / 'work'), runner.model.state_dict()
    assert len(losses['eager']) > 2 and losses['compiled'] == pytest.approx(
        losses['eager'], rel=1e-4)
    for key, value in weights['eager'].items():  # the same keys
        torch.testing.assert_close(weights['compiled'][key], value, rtol=1e-3, atol=1e-4)


def test_refused(tmp_path):
    config = write_config(tmp_path, HOOK.replace(']', ", dict(type='TokenMapHook')]"))
    with pytest.raises(ValueError, match='TokenMapHook records nothing of a compiled backbone'):
        make_runner(config).train()
