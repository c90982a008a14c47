# One-stage temporal detector on feature sequences, after ActionFormer
model = dict(
    type='TemporalDetector',
    num_classes=32,
    backbone=dict(in_channels=768, embed_dims=256, num_heads=4, num_levels=6, stem_blocks=2,
                  radius=9, drop_rate=0.1))
