"""Text features of the class names, from a local CLIP, for configs/multimodal/vclip_imigue.py.

The CLIP is a folder as the transformers package writes and reads it (config.json, tokenizer and
weights of the text encoder). Nothing is fetched.
"""
import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gaie_mmaction.datasets import IMIGUE_CLASSES
from gaie_mmaction.models.multimodal.text_features import write_text_features
from gaie_mmaction.utils.files import require_writable

TEMPLATE = 'a video of a person: {}'


def encode(folder: str, texts: Sequence[str]) -> np.ndarray:
    """Text features of a CLIP.

    Args:
        folder (str): Of the CLIP.
        texts (Sequence[str]): K texts.

    Returns:
        np.ndarray: ``(K, D)`` float32, each row of length 1.

    Raises:
        ImportError: If the transformers package is missing.
        OSError: If the folder is none, or holds no CLIP.
    """
    try:
        from transformers import AutoTokenizer, CLIPTextModelWithProjection
    except ImportError as error:
        raise ImportError(
            f'the transformers package cannot be imported ({error}): `pip install transformers`, '
            'or compute the features elsewhere and write them with '
            'gaie_mmaction.models.multimodal.text_features.write_text_features(path, classes, '
            'features)') from error
    import torch
    if not Path(folder, 'config.json').is_file():
        raise FileNotFoundError(f'{folder} is no folder of a CLIP: it has no config.json. Put a '
                                'CLIP there as transformers\' save_pretrained writes it')
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = CLIPTextModelWithProjection.from_pretrained(folder, local_files_only=True).eval()
    with torch.no_grad():
        tokens = tokenizer(list(texts), padding=True, truncation=True, return_tensors='pt')
        features = model(**tokens).text_embeds.float()
    return torch.nn.functional.normalize(features, dim=1).numpy()


def read_classes(path: str) -> list[str]:
    """Names of classes, one a line, in the order of their ids."""
    classes = [line.strip() for line in Path(path).read_text(encoding='utf-8-sig').splitlines()
               if line.strip()]
    if not classes:
        raise ValueError(f'{path} names no class: it must hold one name a line')
    return classes


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('clip', help='folder of the CLIP')
    parser.add_argument('--out', default='data/imigue/text_features.npz',
                        help='default: %(default)s')
    parser.add_argument('--classes', help='file of your own names, one a line; default: iMiGUE\'s')
    parser.add_argument('--template', default=TEMPLATE,
                        help='text of a class, {} is its name in small letters; default: '
                        '%(default)s')
    options = parser.parse_args(arguments)
    if '{}' not in options.template:
        parser.error(f'--template must hold {{}} for the name, but is {options.template!r}')
    try:
        require_writable(options.out)
        classes = read_classes(options.classes) if options.classes else list(IMIGUE_CLASSES)
        features = encode(options.clip, [options.template.format(name.lower())
                                         for name in classes])
        write_text_features(options.out, classes, features)
    except (ImportError, OSError, ValueError) as error:
        sys.exit(f'error: {error}')
    print(f'{options.out}: {features.shape[1]} channels of {len(classes)} classes')


if __name__ == '__main__':
    main()
