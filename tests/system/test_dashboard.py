# SPDX-License-Identifier: BSD-3-Clause
"""The dashboard in a browser (Debian's chromium, driven by selenium)."""
import itertools

import pytest
from harness import SLOW, curl, url, wait_until
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By


@pytest.fixture
def browser(tmp_path):
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for option in ("--headless=new", "--no-sandbox", "--disable-gpu",
                   f"--user-data-dir={tmp_path / 'chromium'}"):
        options.add_argument(option)
    driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
    yield driver
    driver.quit()


def window(browser, width, scheme):
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
        "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {
        "features": [{"name": "prefers-color-scheme", "value": scheme}]})


def texts(browser, where):
    """In one go: the page makes its parts anew each second."""
    return browser.execute_script(
        "return [...document.querySelectorAll(arguments[0])].map(e => e.innerText)", where)


def shows(browser, text, where, seconds=40):
    wait_until(lambda: text in texts(browser, where)[0], seconds * SLOW, f"{text} in {where}")


def figure(browser, label):
    for text in texts(browser, "#figures div"):
        if text.endswith(label):
            return text.split("\n")[0]
    return None


def luminance(browser, what):
    script = f"return getComputedStyle(document.body).{what}.match(/\\d+/g).map(Number)"
    return sum(browser.execute_script(script)[:3]) / 3


def test_it_shows_what_goes_on_and_asks_nobody_else(start, nginx, browser):
    hf = start(nginx.url)
    browser.get(f"http://{hf.admin}/dashboard")
    shows(browser, "normal", "#pills")

    def load():
        for _ in range(10):
            curl(url("/hello"))
        return figure(browser, "hit ratio") not in (None, "–", "0 %")

    wait_until(load, 40 * SLOW, "a hit ratio")
    assert figure(browser, "requests/s") != "0" and figure(browser, "p99 of hits") != "–"
    assert browser.find_elements(By.CSS_SELECTOR, "#charts .line[d*=L]")
    shows(browser, "worker 0", "#workers")
    shows(browser, "MiB", "#memory")
    hf.ctl("fallback", "on")
    shows(browser, "local cache mode", "#pills")
    wait_until(lambda: browser.find_elements(By.CSS_SELECTOR, "#charts .band"), what="the band")
    asked = browser.execute_script(
        "return performance.getEntriesByType('resource').map(e => e.name)")
    assert asked and all(name == f"http://{hf.admin}/metrics" for name in asked)
    assert [line for line in browser.get_log("browser") if line["level"] == "SEVERE"] == []
    hf.stop()
    shows(browser, "No answer since", "#silence")


def test_it_fits_screens_and_schemes(start, nginx, browser):
    hf = start(nginx.url)
    for width, scheme in itertools.product([1280, 390], ["light", "dark"]):
        window(browser, width, scheme)
        browser.get(f"http://{hf.admin}/dashboard")
        shows(browser, "requests/s", "#figures")
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        dark = luminance(browser, "backgroundColor") < luminance(browser, "color")
        assert dark == (scheme == "dark")
