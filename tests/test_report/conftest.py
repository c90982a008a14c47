"""A real browser, for pages that are opened from disk."""
import shutil

import pytest

CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser')
ARGUMENTS = ('--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking',
             '--disable-component-update', '--disable-sync')


@pytest.fixture(scope='module')
def browser():
    playwright = pytest.importorskip('playwright.sync_api', reason='needs the extra `test`')
    if CHROMIUM is None:
        pytest.skip('needs Chromium: apt-get install chromium')
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser):
    """Opens a page; the test fails on an error or on any request that is not for a file."""
    complaints, pages = [], []

    def open_(path, fragment='', **options):
        page = browser.new_page(**options)
        pages.append(page)
        page.on('console', lambda message: complaints.append(message.text))
        page.on('pageerror', lambda error: complaints.append(str(error)))
        page.on('request', lambda request: complaints.append(request.url)
                if not request.url.startswith(('file:', 'data:')) else None)
        page.goto(path.as_uri() + fragment)
        return page

    yield open_
    for page in pages:
        page.close()
    assert complaints == []
