"""Make the README's picture of a page of results: clips by their loss, the first with its tokens.

    make demo
    python tools/visualize/report.py configs/demo/gaie_demo.py \\
        work_dirs/demo/gaie_demo/epoch_12.pth --scores work_dirs/demo/gaie_demo/scores.pkl \\
        work_dirs/demo/vivit_demo/scores.pkl --previews --out work_dirs/demo/report
    python tests/page_picture.py work_dirs/demo/report/index.html docs/images/report.png

The second adds the tokens to the demo's page.
"""
import argparse
import io
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright
from test_report.test_browser import ARGUMENTS, CHROMIUM

SIZE = dict(width=960, height=700)
COLORS = 256  # a file of less than 150 kB
READY = '''[...document.querySelectorAll("video")].every(
    video => video.seekable.length && !video.seeking && video.readyState >= 2)'''


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument('page', type=Path, help='index.html of a report')
    parser.add_argument('picture', type=Path, help='the PNG')
    args = parser.parse_args()
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        # with reduced motion the videos stand still
        page = browser.new_page(viewport=SIZE, reduced_motion='reduce')
        page.goto(f'{args.page.resolve().as_uri()}#sort=loss')
        page.locator('.clip[aria-posinset="1"]').hover()
        page.evaluate('document.querySelectorAll("video").forEach(video => video.currentTime = .5)')
        page.wait_for_function(READY)
        image = Image.open(io.BytesIO(page.screenshot())).convert('RGB')
        browser.close()
    image.quantize(COLORS).save(args.picture, optimize=True)


if __name__ == '__main__':
    main()
