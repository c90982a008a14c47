"""Whether a Matroska or WebM file is whole, by its elements.

FFmpeg reads on behind a hole and takes a file that was cut short for a shorter one. But the
elements of the format lie side by side and state their sizes: what is missing breaks this chain.
"""
import mmap

SEGMENT, CLUSTER = 0x18538067, 0x1F43B675
SIMPLE_BLOCK, BLOCK_GROUP, BLOCK = 0xA3, 0xA0, 0xA1
# elements beside the segment, of the segment and of a cluster
KNOWN = {
    0x1A45DFA3, 0x114D9B74, 0x1549A966, 0x1654AE6B, 0x1C53BB6B, 0x1941A469, 0x1043A770, 0x1254C367,
    0xE7, 0x5854, 0xA7, 0xAB, 0xAF, 0xEC, 0xBF, SIMPLE_BLOCK, BLOCK_GROUP
}


def check_matroska(filename: str, num_streams: int) -> None:
    """Walk over all elements; `num_streams` is what FFmpeg finds. Damage is a ValueError."""
    with open(filename, 'rb') as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            _walk(data, num_streams)
        except IndexError:
            raise ValueError('it is incomplete: it ends within an element') from None


def _walk(data: mmap.mmap, num_streams: int) -> None:
    pos, end, tracks = 0, len(data), set()
    while pos < end:
        start = pos
        identity, pos = _read_number(data, pos, with_marker=True)
        if identity not in KNOWN and identity not in (SEGMENT, CLUSTER):
            raise ValueError(f'it is damaged at byte {start}: no element begins there')
        size, pos = _read_number(data, pos)
        if identity == CLUSTER:
            continue  # into it
        if identity == SEGMENT:
            if size != -1:
                end = pos + size
            if end > len(data):
                raise ValueError(f'it is incomplete: {len(data)} of {end} bytes')
            continue
        if size == -1 or pos + size > end:
            raise ValueError(f'it is incomplete: the element at byte {start} is cut off')
        if identity in (SIMPLE_BLOCK, BLOCK_GROUP):
            block = pos
            if identity == BLOCK_GROUP:
                inner, block = _read_number(data, pos, with_marker=True)
                block = _read_number(data, block)[1] if inner == BLOCK else pos
            tracks.add(_read_number(data, block)[0])
        pos += size
    if len(tracks) > num_streams:
        raise ValueError(f'it is damaged: its frames are of the tracks {sorted(tracks)}, but '
                             f'it has {num_streams}')


def _read_number(data: mmap.mmap, pos: int, with_marker: bool = False) -> tuple[int, int]:
    """A number whose first byte tells its length, and where it ends; -1 is an unknown size."""
    length = 9 - data[pos].bit_length()
    if length > (4 if with_marker else 8):
        raise ValueError(f'it is damaged at byte {pos}: no element begins there')
    data[pos + length - 1]  # IndexError where the file ends
    value = int.from_bytes(data[pos:pos + length], 'big')
    if with_marker:
        return value, pos + length
    value -= 1 << 7 * length
    return (-1 if value == (1 << 7 * length) - 1 else value), pos + length
