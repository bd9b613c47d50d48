"""The report in a real browser: what is drawn is what was measured, and nothing is fetched."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from trueup.report import write_report

FIXTURE = Path(__file__).parent / "data" / "study.json"
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
)  # fmt: skip
SIZES = {400: 800, 880: 1024, 1280: 900}

webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium: pip install selenium")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None, reason="needs Debian's packages chromium and chromium-driver"
)

DATA = """
const found = [];
for (const item of document.querySelectorAll(arguments[0])) {
  const box = item.getBoundingClientRect();
  if (box.width > 0) found.push(Object.assign({}, item.dataset));
}
return found;
"""
CROSSINGS = """
const clashes = [];
for (const plot of document.querySelectorAll(".plot")) {
  const boxes = [...plot.querySelectorAll(".label, .target-name")]
    .map((label) => [label.textContent, label.getBoundingClientRect()]);
  for (const [i, [a, p]] of boxes.entries())
    for (const [b, q] of boxes.slice(i + 1))
      if (Math.min(p.right, q.right) - Math.max(p.left, q.left) > 1 &&
          Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top) > 3) clashes.push([a, b]);
}
return clashes;
"""
OUTSIDE = """
const width = document.documentElement.clientWidth;
return [...document.querySelectorAll("svg text, h1, h2, figcaption, dd, pre, .decisions td")]
  .filter((item) => !item.closest(".scroll"))
  .map((item) => [item.textContent.slice(0, 40), item.getBoundingClientRect()])
  .filter(([, box]) => box.left < -1 || box.right > width + 1).map(([text]) => text);
"""
PALE = """
const light = (rgb) => {
  const [r, g, b] = rgb.match(/[\\d.]+/g).map(Number).map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const paper = light(getComputedStyle(document.body).backgroundColor);
const pale = new Set();
for (const item of document.querySelectorAll("body *:not(script):not(style)")) {
  if (![...item.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim())) continue;
  const style = getComputedStyle(item);
  const ink = light(item.namespaceURI.endsWith("svg") ? style.fill : style.color);
  const contrast = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
  if (contrast < 4.5) pale.add(`${item.tagName} ${item.getAttribute("class")} ${contrast.toFixed(2)}`);
}
return [...pale];
"""


@pytest.fixture(scope="module")
def study() -> Any:
    return json.loads(FIXTURE.read_text())


@pytest.fixture(scope="module")
def page(study: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(study, path)
    return path


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


def show(browser: Any, page: Path, width: int = 1280, theme: str = "light") -> None:
    size = {"width": width, "height": SIZES[width], "deviceScaleFactor": 1, "mobile": width < 600}
    features = [{"name": "prefers-color-scheme", "value": theme}]
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    browser.get(page.as_uri())


def of_stratum(found: list[dict[str, str]], name: str) -> list[dict[str, str]]:
    return [data for data in found if data["stratum"] == name]


def test_every_drawn_frontier_point_is_a_measured_one(browser: Any, page: Path, study: Any) -> None:
    show(browser, page)
    found = browser.execute_script(DATA, ".frontier g.point[data-label]")
    for name, stratum in study["strata"].items():
        drawn = [
            (data["label"], *(json.loads(data[key]) for key in ("accuracy", "low", "high", "usd", "n")))
            for data in of_stratum(found, name)
        ]
        assert drawn == [(p["label"], p["accuracy"], *p["ci95"], p["cost"]["usd"], p["n"]) for p in stratum["points"]]


def test_every_drawn_coverage_value_is_a_measured_one(browser: Any, page: Path, study: Any) -> None:
    show(browser, page)
    found = browser.execute_script(DATA, ".coverage g.knot[data-k]")
    for name, stratum in study["strata"].items():
        drawn = [[json.loads(data[key]) for key in ("k", "passAtK", "low", "high")] for data in of_stratum(found, name)]
        assert drawn == [[row["k"], row["pass_at_k"], *row["ci95"]] for row in stratum["coverage"]]


def test_heights_on_the_screen_follow_the_accuracies(browser: Any, page: Path) -> None:
    show(browser, page)
    script = """return [...document.querySelectorAll(".frontier g.point[data-label] > circle:last-child")]
        .map((dot) => [Number(dot.parentNode.dataset.accuracy), dot.getBoundingClientRect(),
                       dot.ownerSVGElement.getBoundingClientRect()])
        .map(([share, dot, plot]) => [share, (dot.top + dot.bottom) / 2 - plot.top, plot.height])"""
    for share, height, whole in browser.execute_script(script):
        assert height == pytest.approx(whole * (304 - share * 266) / 360, abs=0.5)


def test_nothing_is_fetched_and_no_script_fails(browser: Any, page: Path) -> None:
    browser.get_log("performance")
    browser.get_log("browser")
    show(browser, page)
    browser.execute_script("document.querySelectorAll('details').forEach((item) => { item.open = true; })")
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    assert asked == [page.as_uri()]
    assert browser.get_log("browser") == []


@pytest.mark.parametrize("width", SIZES)
def test_page_never_scrolls_sideways_and_clips_nothing(browser: Any, page: Path, width: int) -> None:
    show(browser, page, width)
    browser.execute_script("document.querySelectorAll('details').forEach((item) => { item.open = true; })")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert browser.execute_script(OUTSIDE) == []


def test_page_of_twelve_long_names_fits_a_phone(browser: Any, study: Any, tmp_path: Path) -> None:
    many, plan = copy.deepcopy(study), study["plan"]
    names = [f"stratum_{place:02}_" + "averylongnamewithoutanybreak" * 2 for place in range(12)]
    many["strata"] = dict.fromkeys(names, study["strata"]["calls"])
    many["plan"] |= {key: dict.fromkeys(names, plan[key]["calls"]) for key in ("choices", "shares", "certificate")}
    rows = [row for row in plan["breakeven"] if row["stratum"] == "calls"]
    many["plan"]["breakeven"] = [row | {"stratum": name} for name in names for row in rows]
    write_report(many, tmp_path / "many.html")
    show(browser, tmp_path / "many.html", 400)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 400
    assert len(browser.execute_script(DATA, ".frontier g.point[data-label]")) == 12 * 8


@pytest.mark.parametrize("width", SIZES)
def test_no_label_covers_another(browser: Any, page: Path, width: int) -> None:
    show(browser, page, width)
    assert browser.execute_script(CROSSINGS) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_all_text_stands_out_from_the_paper(browser: Any, page: Path, theme: str) -> None:
    show(browser, page, theme=theme)
    dark = browser.execute_script("return getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
    assert dark == (theme == "dark")
    assert browser.execute_script(PALE) == []


def test_a_click_sorts_a_table_both_ways(browser: Any, page: Path, study: Any) -> None:
    show(browser, page)
    column = """const table = document.querySelector(".frontier table");
        table.closest("details").open = true;
        table.querySelectorAll("th button")[4].click();
        return [...table.tBodies[0].rows].map((row) => row.cells[0].textContent)"""
    points = study["strata"]["arithmetic"]["points"]
    cheapest_first = [p["label"] for p in sorted(points, key=lambda p: p["cost"]["usd"])]
    assert browser.execute_script(column) == cheapest_first
    assert browser.execute_script(column) == cheapest_first[::-1]


def test_pointing_at_a_datum_says_what_it_is(browser: Any, page: Path) -> None:
    show(browser, page)
    dot = browser.find_element("css selector", ".frontier g.point[data-label='vote n=8'] > circle")
    still = """arguments[0].scrollIntoView({behavior: "instant", block: "center"});
        requestAnimationFrame(() => requestAnimationFrame(arguments[1]))"""
    browser.execute_async_script(still, dot)
    webdriver.ActionChains(browser).move_to_element(dot).perform()
    said = browser.find_element("css selector", "#tip.shown").text
    assert said.startswith("vote n=8: 62\u202f% right")


def test_the_raw_study_opens_on_demand(browser: Any, page: Path, study: Any) -> None:
    show(browser, page)
    script = "document.querySelector('.raw-study').open = true"
    browser.execute_script(script)
    waiting = "const done = arguments[0]; setTimeout(() => done(document.getElementById('raw').textContent), 100)"
    assert json.loads(browser.execute_async_script(waiting)) == study


def test_without_scripts_figures_and_tables_are_all_there(browser: Any, page: Path, study: Any) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        show(browser, page)
        tree = browser.execute_cdp_cmd("DOM.getDocument", {"depth": 0})["root"]["nodeId"]
        query = {"nodeId": tree, "selector": ".frontier g.point[data-label], .coverage g.knot"}
        found = browser.execute_cdp_cmd("DOM.querySelectorAll", query)["nodeIds"]
        assert len(found) == sum(len(s["points"]) + len(s["coverage"]) for s in study["strata"].values())
        tips = browser.execute_cdp_cmd("DOM.querySelectorAll", query | {"selector": "g.point > title"})["nodeIds"]
        assert tips
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
