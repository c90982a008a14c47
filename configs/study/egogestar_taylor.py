# The plain ViT of the study on real footage, on Taylor frames: run it by
# tools/analysis/stream_study.py.
_base_ = 'egogestar.py'

stored_pipeline = _base_.stored_pipeline
stored_pipeline.insert(1, dict(type='TaylorFrames', pad=True))
