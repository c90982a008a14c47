"""Temporal detection by plain loops over points, segments and steps."""
import math


def assign(points, strides, ranges, segments, radius):
    """Index of the segment, or -1, of each point."""
    found = []
    for point, stride, (low, high) in zip(points, strides, ranges):
        best, shortest = -1, math.inf
        for index, (start, end) in enumerate(segments):
            left, right = point - start, end - point
            if left <= 0 or right <= 0:
                continue
            if abs(point - (start + end) / 2) > radius * stride:
                continue
            if not low <= max(left, right) < high:
                continue
            if end - start < shortest:
                best, shortest = index, end - start
        found.append(best)
    return found


def iou(a, b):
    inner = max(0, min(a[1], b[1]) - max(a[0], b[0]))
    return inner / (a[1] - a[0] + b[1] - b[0] - inner)


def diou(a, b):
    hull = max(a[1], b[1]) - min(a[0], b[0])
    return 1 - iou(a, b) + (((a[0] + a[1]) / 2 - (b[0] + b[1]) / 2) / hull) ** 2


def suppress(segments, scores, sigma, min_score, max_num):
    """Indices and new scores, best first."""
    left = dict(enumerate(scores))
    kept = []
    while left and len(kept) < max_num:
        best = max(left, key=lambda k: (left[k], -k))
        score = left.pop(best)
        if score < min_score:
            break
        kept.append((best, score))
        for k in left:
            left[k] *= math.exp(-iou(segments[best], segments[k]) ** 2 / sigma)
    return kept


def attend(q, k, v, valid, radius):
    """Of one head: lists of vectors, a step attends to valid ones at most ``radius`` away."""
    out = []
    for i, query in enumerate(q):
        near = [j for j in range(len(k)) if abs(i - j) <= radius and valid[j]]
        logits = [sum(a * b for a, b in zip(query, k[j])) / math.sqrt(len(query)) for j in near]
        weights = [math.exp(logit) for logit in logits]
        out.append([sum(w * v[j][c] for w, j in zip(weights, near)) / sum(weights) if near else 0.
                    for c in range(len(query))])
    return out
