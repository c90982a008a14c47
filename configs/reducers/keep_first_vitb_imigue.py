# The free reducer: keeps the first tokens and looks at none. Its speed is what any reducer that
# keeps as many tokens can reach at best; as a recogniser it is useless.
_base_ = '../gaie_vitb_imigue.py'

model = dict(backbone=dict(neck=dict(_delete_=True, type='KeepFirstNeck', token_keep_ratio=0.7)))
