# Micro-Action-52 as tools/data/prepare_ma52.py writes it, in place of iMiGUE.
ma52 = dict(data_root='data/ma52', metainfo=dict(dataset='ma52'))
ma52_train = dict(dataset=dict(ann_file='train.txt', **ma52))
ma52_val = dict(dataset=dict(ann_file='val.txt', **ma52))
ma52_pose = dict(layout='ma52', **ma52)  # of skeletons
