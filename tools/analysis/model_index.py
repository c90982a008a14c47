"""Compare the FLOPs and parameters in model-index.yml with the configs, or write them there."""
import sys
from pathlib import Path

import yaml
from mmengine.config import Config

from gaie_mmaction.apis import build_recognizer, view_shape
from gaie_mmaction.benchmark import measure_complexity
from gaie_mmaction.utils.command_line import Namespace, tool_parser
from gaie_mmaction.utils.files import atomic_file

INDEX = Path(__file__).resolve().parents[2] / 'model-index.yml'
HEAD = ('# FLOPs are multiply-adds of one view, each once; they and the parameters are from\n'
        '# python tools/analysis/model_index.py --write\n')


def parse_args() -> Namespace:
    parser = tool_parser(__doc__)
    parser.add_argument('--write', action='store_true', help='update the file')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    index = yaml.safe_load(INDEX.read_text(encoding='utf-8'))
    different = []
    for model in index['Models']:
        cfg = Config.fromfile(INDEX.parent / model['Config'])
        cost = measure_complexity(build_recognizer(cfg, device='meta'), view_shape(cfg))
        metadata = {'FLOPs': int(cost.true_macs), 'Parameters': cost.parameters}
        print(f'{model["Name"]}: {metadata["FLOPs"] / 1e9:.3f} GMACs, '
              f'{metadata["Parameters"] / 1e6:.3f} M parameters', flush=True)
        if model.get('Metadata') != metadata:
            different.append(model['Name'])
            model['Metadata'] = metadata
    if args.write:
        with atomic_file(INDEX) as part:
            part.write_text(HEAD + yaml.safe_dump(index, sort_keys=False, width=100),
                            encoding='utf-8')
    elif different:
        sys.exit(f'{INDEX.name} differs for {", ".join(different)}: run this with --write')


if __name__ == '__main__':
    main()
