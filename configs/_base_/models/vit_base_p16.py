# ViT-B/16 with joint space-time attention, as in VideoMAE: mean pooling, no class token
model = dict(
    type='Recognizer3D',
    backbone=dict(
        type='GAIEVisionTransformer',
        img_size=224,
        patch_size=16,
        embed_dims=768,
        depth=12,
        num_heads=12,
        num_frames=16,
        tubelet_size=2,
        # VideoMAE, finetuned on Kinetics-400; a local path will do as well
        pretrained='https://download.openmmlab.com/mmaction/v1.0/recognition/videomae/'
        'vit-base-p16_videomae-k400-pre_16x4x1_kinetics-400_20221013-860a3cd3.pth'),
    cls_head=dict(
        type='TimeSformerHead', num_classes=32, in_channels=768, average_clips='prob'),
    data_preprocessor=dict(
        type='ActionDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        format_shape='NCTHW'))
