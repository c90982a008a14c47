"""The pages: their code runs, their links lead somewhere, the reference is complete."""
import importlib
import re
import runpy
import shlex
import sys

import pytest
import torch
from mmaction.registry import DATASETS, HOOKS, METRICS, MODELS, TRANSFORMS
from mmengine.config import Config

from gaie_mmaction.models import GAIEVisionTransformer

LINK = re.compile(r'\]\(([^)\s]+)\)')


def blocks(root, page, language='python'):
    return re.findall(rf'```{language}\n(.*?)```', (root / page).read_text(), re.S)


def load_config(root, code, folder):
    """A config of a page that stands in the repository's folder."""
    path = folder / 'config.py'
    path.write_text(code.replace("'configs/", f"'{root}/configs/"))
    return Config.fromfile(path, import_custom_modules=False)


def pages(root):
    return [root / 'README.md', root / 'CONTRIBUTING.md', *sorted((root / 'docs').glob('*.md'))]


def anchors(path):
    text = re.sub(r'^```.*?^```', '', path.read_text(), flags=re.S | re.M)
    headings = re.findall(r'^#+ (.+)$', text, re.M)
    return {re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-') for heading in headings}


@pytest.fixture
def long_neck(root):
    """The class of the page, registered while a test runs."""
    code = blocks(root, 'docs/your_own_reducer.md')[0]
    assert len(code.splitlines()) <= 35
    space = {}
    exec(code, space)
    yield space['LongNeck']
    MODELS.module_dict.pop('LongNeck')


def test_readme_snippet(root, tmp_path):
    """At full size, with random weights in place of the zoo's."""
    weights = {f'backbone.{key}': value
               for key, value in GAIEVisionTransformer().state_dict().items()}
    torch.save(dict(state_dict=weights), tmp_path / 'vit.pth')
    code, = blocks(root, 'README.md')
    assert len(code.splitlines()) <= 12
    code = re.sub(r"^zoo = .*$", f"zoo = '{tmp_path}/'", code, flags=re.M)
    space = {}
    with torch.no_grad():
        exec(re.sub(r"'vit-base-.*\.pth'", "'vit.pth'", code), space)
    assert space['features'].shape == (1, 768)
    assert space['state'].x.shape == (1, 539, 768) and space['state'].source.shape == (1, 1568)


def test_readme_is_short(root):
    assert len((root / 'README.md').read_text().splitlines()) <= 150


def test_pages_wrap(root):
    """At 100 columns, but for code and tables."""
    for page in pages(root):
        prose = re.sub('^```.*?^```|^\\|.*?$', '', page.read_text(), flags=re.S | re.M)
        assert max(map(len, prose.splitlines())) <= 100, page.name


def commands(root):
    """Commands of all pages, one line each, without comments."""
    for page in pages(root):
        for block in blocks(root, page.relative_to(root), 'sh'):
            for line in block.replace('\\\n', ' ').splitlines():
                if line.strip() and not line.startswith('#'):
                    yield page.name, line
        for inline in re.findall(r'`((?:python|make|mim) [^`]+)`', page.read_text()):
            yield page.name, ' '.join(inline.split())


def test_commands_parse(root, monkeypatch):
    """Options and their values, by the tools' own parsers; configs and make's targets exist."""
    targets = re.findall(r'^([\w-]+):', (root / 'Makefile').read_text(), re.M)
    monkeypatch.chdir(root)
    parsers, seen, wrong = {}, 0, []
    for page, line in commands(root):
        words = shlex.split(line, comments=True)
        while words and ('=' in words[0] or words[0] == 'srun'):
            words = words[1:]
        wrong += [f'{page}: {word} in {line}' for word in words if word.startswith('configs/')
                  and '…' not in word and not (root / word.partition(':')[0]).is_file()]
        if words[:1] == ['make']:
            wrong += [f'{page}: {line}' for word in words[1:]
                      if '=' not in word and word not in targets]
        tool = next((word for word in words if word.startswith('tools/')), None)
        if words[:1] != ['python'] or tool is None or '…' in line or '...' in line:
            continue
        seen += 1
        parsers[tool] = parsers.get(tool) or runpy.run_path(root / tool)
        if tool in ('tools/train.py', 'tools/test.py'):
            continue  # MMAction2's own arguments
        argv = [re.sub('^CONFIG(?=:|$)', 'configs/gaie_vitb_imigue.py', word)
                for word in words]
        monkeypatch.setattr(sys, 'argv', argv[words.index(tool):])
        try:
            parsers[tool]['parse_args']()
        except SystemExit as error:
            if error.code == 2:  # argparse's; others miss the files of a user
                wrong.append(f'{page}: {line}')
    assert wrong == [] and seen > 25


def test_paths_exist(root):
    path = re.compile(r'`((?:configs|docs|gaie_mmaction|tests|tools)/[\w./-]+)`')
    assert [f'{page.name}: {name}' for page in pages(root)
            for name in path.findall(page.read_text()) if not (root / name).exists()] == []


def test_named_tests_exist(root):
    defined = {name for path in (root / 'tests').rglob('test_*.py')
               for name in re.findall(r'^def (test_\w+)', path.read_text(), re.M)}
    named = [(page.name, name) for page in pages(root) for name in
             re.findall(r'(?:::|`)(test_\w+)`(?=,|\)|;| \()', page.read_text())]
    assert len(named) > 8 and [place for place in named if place[1] not in defined] == []


def test_clean_removes_what_the_demos_write(root):
    recipe = re.search(r'^clean:\n((?:\t.*\n)+)', (root / 'Makefile').read_text(), re.M)[1]
    spaces = [runpy.run_path(tool) for tool in map(str, (root / 'tools').glob('demo_*.py'))]
    written = {str(space['DATA']) + end for space in spaces for end in ('', '_release')}
    assert written | {str(space['WORK']) for space in spaces} <= set(recipe.split())


def test_own_reducer(root, long_neck, tmp_path):
    config = load_config(root, blocks(root, 'docs/your_own_reducer.md')[1], tmp_path)
    assert config.custom_imports.imports == ['gaie_mmaction', 'long_neck']
    neck = config.model.backbone.neck
    assert neck == dict(type='LongNeck', token_keep_ratio=0.7)
    backbone = GAIEVisionTransformer(
        img_size=32, num_frames=8, embed_dims=24, num_heads=2, depth=2, merge_layers=(0, ),
        neck=neck)
    history = []
    clips = torch.randn(2, 3, 8, 32, 32)
    backbone.forward_tokens(clips, history).x.sum().backward()
    before, after = history
    assert before.x.shape[1] == 16 and after.x.shape[1] == 12  # ceil(0.7 * 16)
    assert (after.size.sum(dim=1) == 16).all()
    kept = before.x.norm(dim=-1).topk(12).indices.sort().values
    assert torch.equal(after.position, kept)
    assert all(p.grad is not None for p in backbone.blocks.parameters())


def test_own_data(root, tmp_path):
    config = load_config(root, blocks(root, 'docs/your_own_data.md')[0], tmp_path)
    text = (root / 'docs/your_own_data.md').read_text()
    lists = re.findall(r'```text\n(.*?)```', text, re.S)
    for rows, ann_file in zip(lists, ('train.txt', 'train.csv'), strict=True):
        (tmp_path / ann_file).write_text(rows)
        dataset = config.train_dataloader.dataset
        dataset.update(data_root=str(tmp_path), ann_file=ann_file)
        clips = DATASETS.build(dataset)
        assert [clips.get_data_info(k)['label'] for k in range(len(clips))] == [0, 2]
        assert len(clips.metainfo['classes']) == config.model.cls_head.num_classes == 3


def test_own_skeletons(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(blocks(root, 'docs/your_own_data.md')[1], {})
    dataset = DATASETS.build(dict(
        type='IMiGUEPoseDataset', ann_file='skeleton.pkl', split='train', pipeline=[]))
    assert [dataset[k]['clip_id'] for k in range(len(dataset))] == ['a_0']
    assert (dataset[0]['keypoint'] == 100).all()


def test_links_resolve(root):
    broken = []
    for page in pages(root):
        for link in LINK.findall(page.read_text()):
            name, _, anchor = link.partition('#')
            target = page.parent / name if name else page
            if '://' not in name and not (
                    target.exists() and (not anchor or anchor in anchors(target))):
                broken.append(f'{page.relative_to(root)}: {link}')
    assert broken == []


def test_every_page_is_reachable(root):
    listed = re.search(r'```\{toctree\}\n(.*?)```', (root / 'docs/index.md').read_text(), re.S)[1]
    names = {line for line in listed.splitlines() if line and not line.startswith(':')}
    assert names | {'index'} == {page.stem for page in (root / 'docs').glob('*.md')}


def test_reference_has_every_registered_class(root):
    names = re.findall(r'automodule:: (\S+)', (root / 'docs/reference.md').read_text())
    documented = {getattr(module, member) for module in map(importlib.import_module, names)
                  for member in getattr(module, '__all__', ())
                  if isinstance(getattr(module, member), type)}
    registered = {entry for registry in (MODELS, DATASETS, TRANSFORMS, METRICS, HOOKS)
                  for entry in registry.module_dict.values()
                  if entry.__module__.startswith('gaie_mmaction')}
    assert len(registered) > 20
    assert {entry.__name__ for entry in registered - documented} == set()


def test_map_of_the_code_is_complete(root):
    text = (root / 'CONTRIBUTING.md').read_text()
    folders = {path.parent.name for path in (root / 'gaie_mmaction').glob('*/__init__.py')}
    assert {name for name in folders if f'`gaie_mmaction/{name}/`' not in text} == set()
    named = re.findall(r'^\| `([\w./-]+)` \|', text, re.M)
    assert len(named) > 12 and [name for name in named if not (root / name).exists()] == []
