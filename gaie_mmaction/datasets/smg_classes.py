"""SMG's classes: 16 gestures and one of none; their names are not published as text."""
from .dataset_info import register_dataset_info

SMG_CODES = tuple(range(1, 18))

register_dataset_info('smg', classes=[f'class {code}' for code in SMG_CODES], codes=SMG_CODES)
