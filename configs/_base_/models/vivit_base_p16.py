# ViViT-B/16x2 from an image ViT; "ViViT: A Video Vision Transformer", ICCV 2021
_base_ = 'vit_base_p16.py'

model = dict(
    backbone=dict(
        type='ViViT',
        variant='joint',
        # MMPretrain's ViT-B/16, ImageNet-21k; a local path, or a file of timm's, will do as well
        pretrained='https://download.openmmlab.com/mmclassification/v0/vit/pretrain/'
        'vit-base-p16_3rdparty_pt-64xb64_in1k-224_20210928-02284250.pth',
        tubelet_init='central_frame'),
    # as the image ViT was trained
    data_preprocessor=dict(mean=[127.5, 127.5, 127.5], std=[127.5, 127.5, 127.5]))
