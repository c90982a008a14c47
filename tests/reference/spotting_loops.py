"""Spotting F1 by plain loops over predictions and true segments."""


def plain_overlap(a, b):
    inner = min(a[2], b[2]) - max(a[1], b[1])
    outer = max(a[2], b[2]) - min(a[1], b[1])
    return 1. if outer == 0 else inner / outer


def count_hits(predicted, true, min_overlap):
    """One-to-one, the highest score first."""
    hits, taken = 0, [False] * len(true)
    ranked = list(enumerate(predicted))
    ranked.sort(key=lambda item: (-item[1][4], item[0]))
    for _, found in ranked:
        best, best_overlap = None, min_overlap
        for k, segment in enumerate(true):
            if taken[k] or segment[0] != found[0] or segment[3] != found[3]:
                continue
            if plain_overlap(found, segment) > best_overlap:
                best, best_overlap = k, plain_overlap(found, segment)
        if best is not None:
            taken[best] = True
            hits += 1
    return hits


def count_kit_hits(predicted, true, min_overlap):
    """Every true segment looks for a prediction, none of which is ever used up."""
    hits = 0
    for segment in true:
        for found in predicted:
            if found[0] != segment[0] or found[3] != segment[3]:
                continue
            outer = max(found[2], segment[2]) - min(found[1], segment[1])
            if outer == 0:
                continue
            if (min(found[2], segment[2]) - max(found[1], segment[1])) / outer > min_overlap:
                hits += 1
                break
    return hits
