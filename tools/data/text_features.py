"""Write text features of the class names, by a local CLIP, for configs/multimodal/vclip_imigue.py.

The CLIP is a folder in the format of the transformers package. Nothing is downloaded.
"""
import sys
from pathlib import Path

from gaie_mmaction.datasets import IMIGUE_CLASSES
from gaie_mmaction.models.multimodal.text_features import encode_texts, write_text_features
from gaie_mmaction.utils.command_line import Namespace, exit_on, tool_parser
from gaie_mmaction.utils.files import require_writable


def parse_args() -> Namespace:
    parser = tool_parser(__doc__)
    parser.add_argument('clip', help='folder of the CLIP')
    parser.add_argument('--out', default='data/imigue/text_features.npz',
                        help='default: %(default)s')
    parser.add_argument('--classes', help='file of your own class names, one per line (default: '
                        "iMiGUE's)")
    parser.add_argument('--template', default='a video of a person: {}', help='text of a class, '
                        '{} is its name in lower case (default: %(default)s)')
    args = parser.parse_args()
    if '{}' not in args.template:
        parser.error(f'--template must hold {{}} for the name, but is {args.template!r}')
    return args


def main() -> None:
    args = parse_args()
    with exit_on(ImportError, OSError, ValueError):
        require_writable(args.out)
        classes = list(IMIGUE_CLASSES)
        if args.classes:
            lines = Path(args.classes).read_text(encoding='utf-8-sig').splitlines()
            classes = [line.strip() for line in lines if line.strip()]
            if not classes:
                sys.exit(f'{args.classes} names no class: it must hold one name per line')
        features = encode_texts(args.clip, [args.template.format(name.lower()) for name in classes])
        write_text_features(args.out, classes, features)
    print(f'{args.out}: {features.shape[1]} channels of {len(classes)} classes')


if __name__ == '__main__':
    main()
