"""Micro-Action-52's actions and body parts, in the order of the public lists' labels."""
from .dataset_info import register_dataset_info

MA52_ACTIONS = (
    'shaking body', 'sitting straightly', 'shrugging', 'turning around', 'rising up',
    'bowing head', 'head up', 'tilting head', 'turning head', 'nodding', 'shaking head',
    'scratching arms', 'playing objects', 'putting hands together', 'rubbing hands',
    'pointing oneself', 'clenching fist', 'stretching arms', 'retracting arms', 'waving',
    'spreading hands', 'hands touching fingers', 'other finger movements', 'illustrative gestures',
    'shaking legs', 'curling legs', 'spread legs', 'closing legs', 'crossing legs',
    'stretching feet', 'retracting feet', 'tiptoe',
    'scratching or touching neck', 'scratching or touching chest', 'scratching or touching back',
    'scratching or touching shoulder', 'arms akimbo', 'crossing arms',
    'playing or tidying hair', 'scratching or touching hindbrain',
    'scratching or touching forehead', 'scratching or touching face', 'rubbing eyes',
    'touching nose', 'touching ears', 'covering face', 'covering mouth', 'pushing glasses',
    'patting legs', 'touching legs', 'scratching legs', 'scratching feet',
)
# body part -> its actions
BODY_PARTS = dict(body=range(5), head=range(5, 11), upper_limb=range(11, 24),
                  lower_limb=range(24, 32), body_hand=range(32, 38), head_hand=range(38, 48),
                  leg_hand=range(48, 52))
BODY_PART_OF_ACTION = tuple(part for part, actions in enumerate(BODY_PARTS.values())
                            for _ in actions)

register_dataset_info('ma52', classes=MA52_ACTIONS, groups=BODY_PARTS)
