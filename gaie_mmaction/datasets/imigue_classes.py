"""iMiGUE's classes in the order of the model's outputs, and their codes in label files."""
import os
from typing import Any

from ..utils.files import read_text
from .dataset_info import get_dataset_info, register_dataset_info

IMIGUE_CLASSES = (
    'Turtle neck', 'Bulging face, deep breath', 'Touching hat', 'Touching or scratching head',
    'Touching or scratching forehead', 'Covering face', 'Rubbing eyes',
    'Touching or scratching facial parts', 'Touching ears', 'Biting nails', 'Touching jaw',
    'Touching or scratching neck', 'Playing or adjusting hair',
    'Buckle button, pulling shirt collar, adjusting tie', 'Touching or covering suprasternal notch',
    'Scratching back', 'Folding arms', 'Dusting off clothes', 'Putting arms behind body',
    'Moving torso', 'Sitting straightly', 'Scratching or touching arms', 'Rubbing or holding hands',
    'Crossing fingers', 'Minaret gesture', 'Playing or manipulating objects', 'Hold back arms',
    'Head up', 'Pressing lips', 'Arms akimbo', 'Shaking shoulders',
    'Illustrative body language (not a micro-gesture)',
)
IMIGUE_CODES = (*range(1, 32), 99)  # 99: illustrative body language

register_dataset_info('imigue', classes=IMIGUE_CLASSES, codes=IMIGUE_CODES)


class HasIMiGUEClasses:
    """iMiGUE's classes and codes, those of another registered data set, or the user's own."""

    METAINFO = get_dataset_info('imigue')

    @classmethod
    def _load_metainfo(cls, metainfo: Any | None = None) -> dict:
        if metainfo and 'dataset' in metainfo:
            metainfo = {**get_dataset_info(metainfo['dataset']), **metainfo}
        if metainfo and isinstance(metainfo.get('classes'), str) and os.path.isfile(
                metainfo['classes']):  # mmengine would keep a byte order mark and blank lines
            lines = read_text(metainfo['classes']).splitlines()
            metainfo = {**metainfo, 'classes': [line.strip() for line in lines if line.strip()]}
        loaded = super()._load_metainfo(metainfo)  # type: ignore[misc]  # of mmengine's BaseDataset
        # mmengine takes a text for a path, and keeps it as it is where there is no such file
        if isinstance(loaded['classes'], str):
            raise FileNotFoundError(
                f'{loaded["classes"]} does not exist: metainfo=dict(classes=...) must be a list of '
                'names, or the path of a text file with a name a line')
        if metainfo and 'classes' in metainfo and 'codes' not in metainfo:
            del loaded['codes']
        return loaded

    def get_cat_ids(self, idx: int) -> list[int]:
        """Label of a clip, for ``ClassBalancedDataset``; empty if it has none."""
        label = self.get_data_info(idx)['label']  # type: ignore[attr-defined]
        return [] if label == -1 else [label]
