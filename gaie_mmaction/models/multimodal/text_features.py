"""Text features of class names, in an npz file of plain arrays.

Shapes: K classes, D channels.
"""
import os
import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from ...utils.files import atomic_file
from ...utils.safe_pickle import DAMAGE, require_uncompressed

REMEDY = 'make it with tools/data/text_features.py'


def encode_texts(folder: str, texts: Sequence[str]) -> np.ndarray:
    """Encode K texts with a local CLIP to ``(K, D)`` float32, each row of length 1.

    ``folder`` holds a CLIP in the format of the transformers package; nothing is downloaded.
    """
    try:
        from transformers import AutoTokenizer, CLIPTextModelWithProjection
    except ImportError as error:
        raise ImportError(
            f'the transformers package cannot be imported ({error}): `pip install transformers`, '
            f'or compute the features elsewhere and write them with {__name__}.'
            'write_text_features(path, classes, features)') from error
    if not Path(folder, 'config.json').is_file():
        raise FileNotFoundError(f'{folder} does not hold a CLIP: it has no config.json. Save one '
                                "there with transformers' save_pretrained")
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = CLIPTextModelWithProjection.from_pretrained(folder, local_files_only=True).eval()
    with torch.no_grad():
        tokens = tokenizer(list(texts), padding=True, truncation=True, return_tensors='pt')
        features = model(**tokens).text_embeds.float()
    return torch.nn.functional.normalize(features, dim=1).numpy()


def write_text_features(path: str, classes: Sequence[str], features: np.ndarray) -> None:
    """Write the features ``(K, D)`` of K classes, in the order of their labels, to an ``.npz``."""
    with atomic_file(Path(path)) as partial, open(partial, 'wb') as file:
        np.savez(file, classes=np.array(classes, dtype=str), features=np.float32(features))


def read_text_features(path: str, classes: Sequence[str]) -> np.ndarray:
    """Read the features of K classes, ``(K, D)`` float32, each row of length 1.

    A file of another kind, of other classes or another order, or with rows that are zero or not
    finite, is a ``ValueError``.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f'text features {path} do not exist: {REMEDY}, and set '
                                'model.cls_head.text_features')
    try:
        with open(path, 'rb') as file:
            require_uncompressed(file)
            with np.load(file, allow_pickle=False) as content:
                names, features = content['classes'].tolist(), content['features']
    except (pickle.UnpicklingError, *DAMAGE) as error:
        raise ValueError(f'{path} is not a file of text features, an .npz of classes (K,) '
                         f'and features (K, D) ({error}): {REMEDY}') from error
    if features.ndim != 2 or len(features) != len(names) or features.dtype.kind != 'f':
        raise ValueError(f'{path}: features must be (K, D) floats for its {len(names)} classes, '
                         f'but are {features.shape} {features.dtype}: {REMEDY}')
    if len(names) != len(classes):
        raise ValueError(f'{path} has {len(names)} classes, but the model has {len(classes)}: '
                         f'{REMEDY} --classes')
    different = [f'{k}: {name!r} instead of {wanted!r}'
                 for k, (name, wanted) in enumerate(zip(names, classes)) if name != wanted]
    if different:
        raise ValueError(f'{path} has other names or another order of {len(different)} classes, '
                         f'e.g. {different[0]}: {REMEDY}')
    length = np.linalg.norm(features.astype(np.float64), axis=1, keepdims=True)
    bad = [names[k] for k in np.flatnonzero(~(np.isfinite(length) & (length > 0)))]
    if bad:
        raise ValueError(f'{path}: the features of {len(bad)} classes are zero or not finite, e.g. '
                         f'{bad[0]!r}: {REMEDY}')
    return (features / length).astype(np.float32)
