"""The live page in a real browser."""

import base64
import json
import os
import re
import time

import pytest

from browser import Browser
from harness import PATIENCE, wait_for

SHOWN = "!document.querySelector('#body').hidden"


@pytest.fixture(scope="module")
def chromium():
    with Browser() as browser:
        yield browser


@pytest.fixture
def browser(chromium):
    chromium.call("Fetch.disable")
    chromium.open("about:blank")
    chromium.console, chromium.requests, chromium.failures, chromium.held = [], [], [], None
    yield chromium


def url(server):
    return f"http://127.0.0.1:{server.http_port}/"


def figure(browser, card):
    return float(browser.js(f"document.querySelector('#{card} [data-value]').dataset.value") or "nan")


def test_the_page_shows_the_figures_of_the_metrics(atomdb, browser):
    atomdb.start("""defaults: { max_entries = 0; };
        tenants: ( { name = "shop"; secret = "s1"; }, { name = "blog"; secret = "s2"; max_entries = 5; } );""")
    with atomdb.client("s1") as shop, atomdb.client("s2") as blog:
        browser.open(url(atomdb))
        browser.wait(SHOWN)

        def load():
            shop.many([("SET", f"k{i}", "v" * 100) for i in range(100)])
            shop.many([("GET", "k1")] * 300 + [("GET", "none")] * 100)
            blog.many([("SET", f"k{i}", "v") for i in range(10)])

        def until(seconds):
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                load()
                time.sleep(0.05)

        until(6)
        before, at = atomdb.metric("redis_commands_processed_total"), time.monotonic()
        until(6 * PATIENCE)
        rate = (atomdb.metric("redis_commands_processed_total") - before) / (time.monotonic() - at)
        # The page lags by at most one interval.
        wait_for(lambda: (load(), time.sleep(0.05), 0.5 * rate < figure(browser, "throughput") < 2 * rate)[2], 15, "the throughput")
        assert figure(browser, "clients") == atomdb.metric("redis_connected_clients") == 2
        assert figure(browser, "keys") == atomdb.metric("redis_db_keys") == 105
        assert 74 <= figure(browser, "hits") <= 76
        assert figure(browser, "gone-keys") > 0
        assert 0 < figure(browser, "latency") < 1e9
        tenants = browser.text("#tenants")
        assert re.search(r"shop\s.*\sKiB\s.*\s100\s.*blog\s.*\s100\s%\s+5\s", tenants, re.S), tenants
        assert re.search(r"SET", browser.text("#slow")) and "Serving" in browser.text("#state")
        drawn = browser.js("[...document.querySelectorAll('.chart')].map((c) => c.querySelectorAll('path[d^=M]').length)")
        assert len(drawn) == 8 and min(drawn) >= 1
        assert "Throughput over the last hour" in browser.js("document.querySelector('.chart').getAttribute('aria-label')")
    wait_for(lambda: figure(browser, "clients") == 0, 15, "the clients to leave", 0.2)
    check_quiet(atomdb, browser)


def check_quiet(server, browser):
    """Checks that the browser reported no error and sent requests to this server only."""
    browser.pump(0.1)
    assert browser.console == [] and browser.failures == []
    assert browser.requests and all(r["url"].startswith((url(server), "data:")) for r in browser.requests)


def test_the_content_security_policy_stops_attacks(atomdb, browser):
    atomdb.start("")
    browser.open(url(atomdb))
    browser.wait(SHOWN)
    for attack in ("document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.owned = 1'}))",
                   "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.owned = 1\">')",
                   "fetch('http://127.0.0.1:1/').catch(() => 0)"):
        browser.console = []
        browser.js(attack + "; 0")
        wait_for(lambda: (browser.pump(0.1), browser.console)[1], 5, "a violation of the policy")
        assert "Content Security Policy" in browser.console[0]
    assert browser.js("window.owned") is None


def test_hostile_names_are_text(atomdb, browser):
    evil = "<img src=x onerror=window.owned=1><b>bold</b>"
    # AtomDB itself does not accept such a name.
    config = 'tenants: ( { name = "%s"; secret = "s1"; } );'
    atomdb.start(config % "shop")
    atomdb.reload(config % evil, good=False)
    with atomdb.client("s1") as client:
        client.cmd("CLIENT", "SETNAME", evil.replace(" ", "_"))
        client.cmd("SET", evil, evil)
        client.cmd(evil)
        browser.open(url(atomdb))
        browser.wait(SHOWN)
        assert "shop" in browser.text("#tenants") and "onerror" not in browser.text()
        assert browser.text("#state").startswith("Degraded; configuration: the changed file could not be read")
    # The test replaces a status by one with such a name.
    status = json.loads(atomdb.http("/api/status").body)
    status["version"] = status["tenants"][0]["name"] = status["slowest_commands"][0]["name"] = evil
    status["health"] = {"status": evil, "checks": {evil: {"status": "failed", "reason": evil}}}
    browser.call("Fetch.enable", patterns=[{"urlPattern": "*/api/status*"}])
    wait_for(lambda: (browser.pump(0.1), browser.held)[1], 15, "the page to ask")
    body = base64.b64encode(json.dumps(status).encode()).decode()
    browser.call("Fetch.fulfillRequest", requestId=browser.held["requestId"], responseCode=200, body=body)
    browser.wait("document.body.innerText.includes('onerror')")
    for place in ("#tenants", "#service", "#state", "#since"):
        assert evil in browser.text(place)
    assert evil.upper() in browser.text("#slow")
    assert browser.js("window.owned") is None and browser.js("document.querySelectorAll('img, b:not(.legend b)').length") == 0
    browser.call("Fetch.disable")
    check_quiet(atomdb, browser)


def test_the_page_shows_a_stopped_and_a_restarted_daemon(atomdb, browser):
    atomdb.start("")
    browser.open(url(atomdb))
    browser.wait(SHOWN)
    # The process hangs: the socket accepts connections, but nothing answers.
    with atomdb.stopped():
        browser.wait("!document.querySelector('#gone').hidden")
    browser.wait("document.querySelector('#gone').hidden")
    with atomdb.client("s") as client:
        client.cmd("SET", "k", "v")
    atomdb.stop()
    browser.wait("!document.querySelector('#gone').hidden")
    assert "has not answered since" in browser.text("#gone") and browser.text("#state") == "Gone"
    assert browser.js("document.title").startswith("Gone") and "Serving" not in browser.text()
    atomdb.start("", attempts=1)
    browser.wait("document.querySelector('#gone').hidden")
    assert "Serving" in browser.text("#state") and browser.js("document.title") == "AtomDB"
    # A restarted daemon numbers its points from one again.
    browser.wait("document.querySelector('#keys [data-value]').dataset.value === '0'", 15)


def enter(browser, secret):
    browser.js(f"document.querySelector('#secret').value = {json.dumps(secret)}; "
               "document.querySelector('#ask-form').requestSubmit(); 0")


def test_the_page_asks_for_the_secret(atomdb, browser, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("schlüssel: 1 ")
    config = """http: { secret_file = "%s"; secret_for = "%s"; }; tenants: ( { name = "shop"; secret = "s1"; } );"""
    atomdb.start(config % (secret, "everything"))
    asked = "!document.querySelector('#ask').hidden"
    browser.open(url(atomdb))
    browser.wait(asked)
    assert not browser.js(SHOWN) and "http.secret_file" in browser.text("#ask")
    enter(browser, "wrong")
    browser.wait("document.querySelector('#ask-wrong').innerText !== ''")
    assert not browser.js(SHOWN)
    assert atomdb.http("/metrics").status == 401
    enter(browser, "schlüssel: 1 ")
    browser.wait(SHOWN)
    assert not browser.js(asked) and "shop" in browser.text("#tenants")
    # The browser keeps it for the tab only.
    browser.open(url(atomdb))
    browser.wait(SHOWN)
    assert browser.js("[localStorage.length, document.cookie]") == [0, ""]
    atomdb.reload(config % (secret, "tenants"))
    browser.js("sessionStorage.clear()")
    browser.open(url(atomdb))
    browser.wait(SHOWN)
    assert "shop" not in browser.text()
    browser.js("document.querySelector('#tenants button').click()")
    browser.wait(asked)
    enter(browser, "wrong")
    browser.wait("document.querySelector('#ask-wrong').innerText !== '' && " + SHOWN)
    enter(browser, "schlüssel: 1 ")
    browser.wait("document.querySelector('#tenants').innerText.includes('shop')")
    assert not browser.js(asked)


def test_a_late_refusal_does_not_apply_to_a_newer_secret(atomdb, browser, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("right")
    atomdb.start('http: { secret_file = "%s"; secret_for = "everything"; };' % secret)
    browser.open(url(atomdb))
    browser.js("sessionStorage.clear()")
    browser.open(url(atomdb))
    browser.wait("!document.querySelector('#ask').hidden")
    browser.call("Fetch.enable", patterns=[{"urlPattern": "*/api/status*"}])
    enter(browser, "wrong")
    wait_for(lambda: (browser.pump(0.1), browser.held)[1], 15, "the page to ask")
    enter(browser, "right")
    browser.call("Fetch.disable")
    browser.wait(SHOWN)
    assert browser.text("#ask-wrong") in (None, "")


@pytest.mark.parametrize("width", (320, 390, 768, 1280))
def test_the_page_fits_the_window(atomdb, browser, width, tmp_path):
    atomdb.start('tenants: ( { name = "%s"; secret = "s1"; } );' % ("n" * 64))
    browser.open(url(atomdb))
    browser.wait(SHOWN)
    for dark in (False, True):
        browser.look(width, 800, dark, tmp_path / f"{width}-{dark}.png")
        assert browser.js("document.documentElement.scrollWidth") <= width
        assert browser.js(CONTRAST) >= 4.5
    browser.call("Emulation.clearDeviceMetricsOverride")


# The minimum contrast between text and its card (WCAG).
CONTRAST = """(() => {
    const linear = (x) => x <= .04045 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4;
    const light = (colour) => {
        const [r, g, b] = colour.match(/[\\d.]+/g).map((x) => linear(x / 255));
        return .2126 * r + .7152 * g + .0722 * b;
    };
    const card = light(getComputedStyle(document.querySelector('.card')).backgroundColor);
    const texts = [...document.querySelectorAll('.card *:not(svg *)')].filter((e) => !e.childElementCount && e.textContent);
    return Math.min(...texts.map((e) => {
        const text = light(getComputedStyle(e).color);
        return (Math.max(text, card) + .05) / (Math.min(text, card) + .05);
    }));
})()"""
