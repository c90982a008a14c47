"""Masks depend on seed and step, not on the loader's workers or a resume."""
import pytest
from tiny_training import MASKED, make_runner, read_losses, write_config


def train(folder, **options):
    config = write_config(folder, MASKED)
    make_runner(config, **dict(dict(train_cfg__max_epochs=2), **options)).train()
    return read_losses(folder / 'work')


@pytest.fixture(scope='module')
def losses(tmp_path_factory):
    return train(tmp_path_factory.mktemp('masked'))


def test_any_number_of_workers(tmp_path, losses):
    assert len(losses) == 8 and len(set(losses.values())) == 8
    assert train(tmp_path, train_dataloader__num_workers=2,
                 train_dataloader__persistent_workers=True) == losses


def test_resume(tmp_path, losses):
    train(tmp_path, train_cfg__max_epochs=1)
    assert train(tmp_path, resume=True) == pytest.approx(losses, rel=1e-6)


def test_another_seed(tmp_path, losses):
    assert train(tmp_path, randomness__seed=1) != losses
