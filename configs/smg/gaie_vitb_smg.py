# GAIE on SMG's clips; data of tools/data/prepare_smg.py. There is no validation part: the test part
# is evaluated after the last epoch alone.
_base_ = '../gaie_vitb_imigue.py'

smg = dict(data_root='data/smg', metainfo=dict(dataset='smg'))

model = dict(cls_head=dict(num_classes=17))
train_dataloader = dict(dataset=dict(ann_file='train.csv', **smg))
val_dataloader = dict(dataset=dict(ann_file='test.csv', **smg))
test_dataloader = dict(dataset=dict(ann_file='test.csv', **smg))
train_cfg = dict(val_interval=30)
