"""Files of attackers, and files that were damaged."""
import os


class Formed:
    """Something whose pickled form is given: a callable, its arguments, and a state."""

    def __init__(self, *form):
        self.form = form

    def __reduce__(self):
        return self.form


def attack(path):
    """Makes a folder when it is unpickled without care."""
    return Formed(os.mkdir, (str(path), ))


def mutate(content, random):
    """Changed, cut, removed or repeated bytes."""
    content = bytearray(content)
    kind, at = random.random(), random.randrange(len(content))
    if kind < .6:
        for _ in range(random.choice((1, 1, 2, 4, 16))):
            content[random.randrange(len(content))] = random.randrange(256)
    elif kind < .75:
        del content[at:]
    elif kind < .9:
        del content[at:at + random.randrange(1, 64)]
    else:
        start = random.randrange(len(content))
        content[at:at] = content[start:start + random.randrange(1, 64)]
    return bytes(content)
