"""Convert an official checkpoint of VideoMAE, VideoMAE V2 (distilled) or UMT to MMAction2's names.

A finetuned one then loads strictly into a Recognizer3D with MMAction2's VisionTransformer or this
package's GAIEVisionTransformer, and a TimeSformerHead; one of pretraining (encoder and decoder)
into a MaskedVideoModel. The number of heads, which no weight shows, is written into the result:
a GAIEVisionTransformer with another one refuses it.
"""
import sys

import torch

from gaie_mmaction.models.utils.videomae_weights import (
    convert_videomae,
    find_num_heads,
    load_videomae,
)
from gaie_mmaction.utils.command_line import Namespace, tool_parser
from gaie_mmaction.utils.files import atomic_file


def parse_args() -> Namespace:
    parser = tool_parser(__doc__)
    parser.add_argument('src', help='official checkpoint')
    parser.add_argument('dst', help='file to write')
    parser.add_argument('--num-tokens', type=int, help='length of the fixed position table '
                        '(default: that of 16 frames at 224x224, for tubelets of 2 frames)')
    parser.add_argument('--num-heads', type=int, help='number of attention heads (default: that of '
                        'the official network with as many channels)')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    try:
        state_dict = convert_videomae(load_videomae(args.src), args.num_tokens)
        num_heads = find_num_heads(state_dict, args.num_heads)
    except (OSError, ValueError) as error:
        sys.exit(f'{args.src}: {error}')
    with atomic_file(args.dst) as partial:
        torch.save(dict(meta=dict(num_heads=num_heads), state_dict=state_dict), partial)
    print(f'{len(state_dict)} tensors are written to {args.dst}: num_heads={num_heads}, '
          f'{state_dict["backbone.pos_embed"].shape[1]} tokens')


if __name__ == '__main__':
    main()
