"""iMiGUE's RGB clips, and any other set of clips in the same form."""
import logging
import os
from collections.abc import Callable, Sequence

import numpy as np
import torch
from mmaction.datasets.base import BaseActionDataset
from mmaction.registry import DATASETS
from mmaction.utils import ConfigType
from mmengine.logging import print_log

from ..utils.files import read_text
from .annotations import read_annotations
from .imigue_classes import HasIMiGUEClasses
from .transforms.loading import require_matching_readers
from .video_file import VideoReadError

ON_ERROR = ('raise', 'skip')


@DATASETS.register_module()
class IMiGUEDataset(HasIMiGUEClasses, BaseActionDataset):
    """Clips given as frame ranges of whole videos, or as files of their own.

    The annotation file is a segment csv (``clip_id,video,start_frame,end_frame,label``; frames
    from 0, end inclusive) or MMAction2's clip list (``0004_0.mp4 31``). ``ClipInit`` and
    ``ClipDecode`` read both; MMAction2's own readers take a clip list only.

    What a file ``caution.txt`` beside the annotation file of a training set says, such as that
    its people are drawn, goes into the checkpoints, and ``tools/demo.py`` repeats it.

    Args:
        ann_file (str): Path of the annotation file.
        pipeline (list[dict or Callable]): Data transforms.
        data_prefix (dict, optional): ``video`` is the folder of the videos. Defaults to None.
        data_root (str): Folder of ``ann_file`` and ``data_prefix``. Defaults to ``''``.
        metainfo (dict, optional): ``classes`` of your own data, a list of names or a file of them,
            which limits the labels. Defaults to None, iMiGUE's 32.
        test_mode (bool): Whether for validation or test; then ``metainfo`` also holds
            ``ann_file``. Defaults to False.
        on_error (str): ``'raise'`` stops at a clip that cannot be read; ``'skip'``, for training
            only, takes another one at random, counts skipped clips and logs each file once. Every
            process of a distributed run counts for itself and its workers. Defaults to ``'raise'``.
        max_bad_share (float): With ``'skip'``, share of the clips, in [0, 1), that may be bad
            before the run fails. Defaults to 0.05.
        indices, serialize_data, lazy_init: Same as mmengine's ``BaseDataset``.
    """

    def __init__(self, *, ann_file: str, pipeline: list[dict | Callable],
                 data_prefix: ConfigType | None = None, data_root: str = '',
                 metainfo: dict | None = None, test_mode: bool = False, on_error: str = 'raise',
                 max_bad_share: float = 0.05, indices: int | Sequence[int] | None = None,
                 serialize_data: bool = True, lazy_init: bool = False) -> None:
        if on_error not in ON_ERROR:
            raise ValueError(f'on_error must be one of {ON_ERROR}, but got {on_error!r}')
        if on_error == 'skip' and test_mode:
            raise ValueError("on_error='skip' is for training only: a skipped test clip would "
                             "change the result. Use on_error='raise' and mend or drop the file")
        if not 0 <= max_bad_share < 1:
            raise ValueError(f'max_bad_share must be in [0, 1), but got {max_bad_share}')
        self.on_error = on_error
        self.max_bad_share = max_bad_share
        self._bad: torch.Tensor | None = None  # (clips,) bool, with 'skip'
        super().__init__(ann_file=ann_file, pipeline=pipeline,
                         data_prefix=dict(video='') if data_prefix is None else data_prefix,
                         data_root=data_root, metainfo=metainfo, test_mode=test_mode,
                         indices=indices, serialize_data=serialize_data, lazy_init=lazy_init)
        caution = os.path.join(os.path.dirname(self.ann_file), 'caution.txt')
        if test_mode:  # metrics find the clips there; of training it would enter checkpoints
            self._metainfo['ann_file'] = self.ann_file
        elif os.path.isfile(caution):
            # a list: mmengine takes bare text for the name of a file
            self._metainfo.setdefault('caution', [read_text(caution).strip()])

    def load_data_list(self) -> list[dict]:
        """Clips as of :func:`read_annotations`, with ``filename`` instead of ``video``."""
        clips = read_annotations(self.ann_file, len(self.metainfo['classes']))
        ranges = any(clip['end_frame'] != -1 for clip in clips)
        require_matching_readers(self.pipeline.transforms, self.ann_file if ranges else None)
        for clip in clips:
            clip['filename'] = os.path.join(self.data_prefix.get('video', ''), clip.pop('video'))
        return clips

    def full_init(self) -> None:
        if not self._fully_initialized:
            super().full_init()
            self._reset_bad()

    def get_subset_(self, indices: Sequence[int] | int) -> None:
        super().get_subset_(indices)
        self._reset_bad()

    def get_subset(self, indices: Sequence[int] | int) -> 'IMiGUEDataset':
        """A new dataset of some clips, which counts its own bad ones."""
        subset = super().get_subset(indices)
        subset._reset_bad()
        return subset

    def _reset_bad(self) -> None:
        if self.on_error == 'skip':
            # in shared memory, so that all DataLoader workers count together
            self._bad = torch.zeros(len(self), dtype=torch.bool).share_memory_()

    def prepare_data(self, idx: int) -> dict | None:
        """Run the pipeline on a clip; None, for a bad one that is skipped, asks for another."""
        try:
            return super().prepare_data(idx)
        except VideoReadError as error:
            if self._bad is None:
                raise
            self._note_bad(idx, error)
            return None

    def _rand_another(self) -> int:
        if self._bad is None:
            return super()._rand_another()
        # never one known to be bad: each try finds a good or a new bad clip, so it ends
        return int(np.random.choice(np.flatnonzero(~self._known_bad())))

    def _known_bad(self) -> np.ndarray:
        assert self._bad is not None
        # a copy: nonzero() crashes on memory that another worker writes to meanwhile
        return self._bad.numpy().copy()

    def _note_bad(self, idx: int, error: VideoReadError) -> None:
        assert self._bad is not None
        if not self._bad[idx]:
            self._bad[idx] = True
            self._log_first_of_file(idx, error)
        num_bad, num_clips = int(self._known_bad().sum()), len(self)
        if num_bad > self.max_bad_share * num_clips:
            raise RuntimeError(
                f'{num_bad} of {num_clips} clips of {self.ann_file} cannot be read, more than '
                f'max_bad_share={self.max_bad_share}. The last one: {error}') from error

    def _log_first_of_file(self, idx: int, error: VideoReadError) -> None:
        bad = np.flatnonzero(self._known_bad())
        filename = self.get_data_info(idx)['filename']
        if any(other != idx % len(self) and self.get_data_info(other)['filename'] == filename
               for other in bad):
            return
        print_log(f'{error}. Skipped; {len(bad)} of {len(self)} clips so far. Further clips of '
                  'this file are skipped without a line', logger='current', level=logging.WARNING)
