# ViViT-B/16x2 from an image ViT; "ViViT: A Video Vision Transformer", ICCV 2021
model = dict(
    type='Recognizer3D',
    backbone=dict(
        type='ViViT',
        variant='joint',
        img_size=224,
        patch_size=16,
        embed_dims=768,
        depth=12,
        num_heads=12,
        num_frames=16,
        tubelet_size=2,
        # MMPretrain's ViT-B/16, ImageNet-21k; a local path, or a file of timm's, will do as well
        pretrained='https://download.openmmlab.com/mmclassification/v0/vit/pretrain/'
        'vit-base-p16_3rdparty_pt-64xb64_in1k-224_20210928-02284250.pth',
        tubelet_init='central_frame'),
    cls_head=dict(
        type='TimeSformerHead', num_classes=32, in_channels=768, average_clips='prob'),
    # as the image ViT was trained
    data_preprocessor=dict(
        type='ActionDataPreprocessor',
        mean=[127.5, 127.5, 127.5],
        std=[127.5, 127.5, 127.5],
        format_shape='NCTHW'))
