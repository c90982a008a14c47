"""Masked pretraining by plain loops over clips, tokens, heads and values."""
import math

import numpy as np

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def positions(num_tokens, dims):
    table = np.zeros((num_tokens, dims))
    for p in range(num_tokens):
        for c in range(dims):
            angle = p / 10000**(2 * (c // 2) / dims)
            table[p, c] = math.sin(angle) if c % 2 == 0 else math.cos(angle)
    return table


def norm(x, weights, name, eps=1e-6):
    out = np.empty_like(x)
    for n, token in enumerate(x):
        mean, var = token.mean(), ((token - token.mean())**2).mean()
        out[n] = (token - mean) / math.sqrt(var + eps)
    return out * weights[f'{name}.weight'] + weights[f'{name}.bias']


def block(x, weights, name, num_heads, eps=1e-6):
    """Attention and MLP on the residual stream; ``x`` (N, C)."""
    y = norm(x, weights, f'{name}.norm1', eps)
    q, k, v = np.split(y @ weights[f'{name}.attn.qkv.weight'].T, 3, axis=1)
    q, v = q + weights[f'{name}.attn.q_bias'], v + weights[f'{name}.attn.v_bias']
    dims = x.shape[1] // num_heads
    out = np.zeros_like(x)
    for head in range(num_heads):
        part = slice(head * dims, head * dims + dims)
        for i in range(len(x)):
            logits = np.array([q[i, part] @ k[j, part] / math.sqrt(dims) for j in range(len(x))])
            share = np.exp(logits - logits.max())
            out[i, part] = share / share.sum() @ v[:, part]
    x = x + out @ weights[f'{name}.attn.proj.weight'].T + weights[f'{name}.attn.proj.bias']
    y = norm(x, weights, f'{name}.norm2', eps)
    y = y @ weights[f'{name}.mlp.layers.0.0.weight'].T + weights[f'{name}.mlp.layers.0.0.bias']
    y = y * .5 * (1 + np.vectorize(math.erf)(y / math.sqrt(2)))
    return x + y @ weights[f'{name}.mlp.layers.1.weight'].T + weights[f'{name}.mlp.layers.1.bias']


def loss(frames, mask, weights, *, tubelet, side, heads, decoder_heads, normalize):
    """Of one clip; ``frames`` (3, T, H, W), ``mask`` (N, ), ``weights`` by name."""
    _, length, height, width = frames.shape
    kernel = weights['backbone.patch_embed.projection.weight']
    tokens, targets = [], []
    for t in range(0, length, tubelet):
        for i in range(0, height, side):
            for j in range(0, width, side):
                cube = frames[:, t:t + tubelet, i:i + side, j:j + side]
                tokens.append([(kernel[c] * cube).sum() for c in range(len(kernel))])
                values = []
                for frame in range(tubelet):
                    for row in range(side):
                        for column in range(side):
                            for channel in range(3):
                                pixel = cube[channel, frame, row, column]
                                values.append(pixel * STD[channel] + MEAN[channel])
                if normalize:
                    for channel in range(3):
                        own = values[channel::3]
                        mean = sum(own) / len(own)
                        std = math.sqrt(sum((x - mean)**2 for x in own) / (len(own) - 1)) + 1e-6
                        values[channel::3] = [(x - mean) / std for x in own]
                targets.append(values)
    tokens = np.array(tokens) + weights['backbone.patch_embed.projection.bias']
    tokens = tokens + positions(*tokens.shape)
    x = np.array([token for token, hidden in zip(tokens, mask) if not hidden])
    depth = len({key.split('.')[2] for key in weights if key.startswith('backbone.blocks.')})
    for k in range(depth):
        x = block(x, weights, f'backbone.blocks.{k}', heads)
    x = norm(x, weights, 'backbone.fc_norm') @ weights['encoder_to_decoder.weight'].T
    table = positions(len(mask), x.shape[1])
    visible = [n for n, hidden in enumerate(mask) if not hidden]
    hidden = [n for n, hidden in enumerate(mask) if hidden]
    x = np.concatenate([x + table[visible], weights['mask_token'][0] + table[hidden]])
    depth = len({key.split('.')[2] for key in weights if key.startswith('decoder.blocks.')})
    for k in range(depth):
        x = block(x, weights, f'decoder.blocks.{k}', decoder_heads)
    x = norm(x[len(visible):], weights, 'decoder.norm')
    x = x @ weights['decoder.head.weight'].T + weights['decoder.head.bias']
    errors = [(a - b)**2 for token, n in zip(x, hidden) for a, b in zip(token, targets[n])]
    return sum(errors) / len(errors)
