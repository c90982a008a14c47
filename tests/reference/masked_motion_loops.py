"""Masked motion pretraining by plain loops over persons, tokens, heads and values."""
import math

import numpy as np
from reference.masked_video_loops import block, norm


def patch_values(skeleton, patch, channels):
    """Coordinates of each token, ``(T, V, C)`` -> N lists, in the order frame, channel."""
    length, joints, _ = skeleton.shape
    return [[skeleton[frame, joint, channel] for frame in range(start, start + patch)
             for channel in range(channels)]
            for start in range(0, length, patch) for joint in range(joints)]


def target(skeleton, *, patch, channels, normalize):
    """Motion of every token, N lists."""
    motion = np.zeros_like(skeleton)
    for frame in range(len(skeleton) - 1):
        motion[frame] = skeleton[frame + 1] - skeleton[frame]
    tokens = patch_values(motion, patch, channels)
    if normalize:
        for values in tokens:
            mean = sum(values) / len(values)
            var = sum((x - mean)**2 for x in values) / (len(values) - 1)
            values[:] = [(x - mean) / math.sqrt(var + 1e-6) for x in values]
    return tokens


def intensity(skeleton, *, patch, channels):
    """How much every token moves: its mean absolute difference to the patch before."""
    tokens, joints = patch_values(skeleton, patch, channels), skeleton.shape[1]
    moves = [sum(abs(a - b) for a, b in zip(tokens[n], tokens[n - joints])) / len(tokens[n])
             for n in range(joints, len(tokens))]
    return moves[:joints] + moves


def loss(skeleton, mask, weights, *, patch, channels, heads, decoder_heads, normalize):
    """Of one person; ``skeleton`` (T, V, C), ``mask`` (N, ), ``weights`` by name."""
    length, joints, _ = skeleton.shape
    kernel = weights['backbone.patch_embed.projection.weight'][..., 0, 0]  # (dims, C, t)
    x = []
    for step, start in enumerate(range(0, length, patch)):
        for joint in range(joints):
            run = skeleton[start:start + patch, joint].T
            token = [(one * run).sum() for one in kernel]
            x.append(token + weights['backbone.patch_embed.projection.bias']
                     + weights['backbone.temporal_embed'][0, step]
                     + weights['backbone.joint_embed'][0, joint])
    visible = [n for n, hidden in enumerate(mask) if not hidden]
    hidden = [n for n, hidden in enumerate(mask) if hidden]
    x = np.array(x)[visible]
    for part, num_heads in (('backbone', heads), ('decoder', decoder_heads)):
        if part == 'decoder':
            x = (x @ weights['encoder_to_decoder.weight'].T + weights['encoder_to_decoder.bias'])
            x = np.concatenate([x, np.repeat(weights['mask_token'][0], len(hidden), axis=0)])
            for row, n in enumerate([*visible, *hidden]):
                x[row] += (weights['decoder_temporal_embed'][0, n // joints]
                           + weights['decoder_joint_embed'][0, n % joints])
        depth = len({key.split('.')[2] for key in weights if key.startswith(f'{part}.blocks.')})
        for k in range(depth):
            x = block(x, weights, f'{part}.blocks.{k}', num_heads, eps=1e-5)
        x = norm(x, weights, f'{part}.norm', eps=1e-5)
    x = x[len(visible):] @ weights['decoder.head.weight'].T + weights['decoder.head.bias']
    wanted = target(skeleton, patch=patch, channels=channels, normalize=normalize)
    errors = [(a - b)**2 for token, n in zip(x, hidden) for a, b in zip(token, wanted[n])]
    return sum(errors) / len(errors)
