# SlowOnly-R50 on heat-maps of 22 joints, as in PoseC3D: half as wide, without the first stage
heatmap_backbone = dict(
    type='ResNet3dSlowOnly',
    depth=50,
    pretrained=None,
    in_channels=22,
    base_channels=32,
    num_stages=3,
    out_indices=(2, ),
    stage_blocks=(4, 6, 3),
    conv1_stride_s=1,
    pool1_stride_s=1,
    inflate=(0, 1, 1),
    spatial_strides=(2, 2, 2),
    temporal_strides=(1, 1, 2),
    dilations=(1, 1, 1))
