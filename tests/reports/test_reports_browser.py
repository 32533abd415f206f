"""The page in a real browser: quiet, usable by keyboard, accessible, harmless whatever the names, at any size."""

import shutil
from contextlib import contextmanager
from dataclasses import replace
from itertools import product
from urllib.parse import unquote

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright

from oyster.report import build
from oyster.report.read import results as reading
from oyster.report.read.trial_files import TRIAL, read_trial
from tests.needs import skip_without
from tests.reports.trees import Shape

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
QUIET += ["--disable-component-update", "--disable-sync"]
HOSTILE = "<script>alert(1)</script>"
PHONE = {"width": 360, "height": 740}


@pytest.fixture(scope="session")
def browser():
    if not CHROMIUM:
        reason = "NOT CHECKED IN A BROWSER: no chromium on the PATH (Debian and Ubuntu: apt-get install chromium)"
        skip_without("browser", reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser):
    """`with visit(folder, **how) as page`: the report opened; it must stay silent and ask for nothing but itself."""

    @contextmanager
    def visit(folder, **how):
        address = (folder / "index.html").resolve().as_uri()
        context = browser.new_context(**how)
        page = context.new_page()
        heard = []
        page.on("console", lambda message: heard.append(message.text))
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.on("dialog", lambda dialog: (heard.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: request.url.split("#")[0] == address or heard.append(request.url))
        page.goto(address)
        yield page
        context.close()
        assert heard == []

    return visit


def shown(locator) -> list[bool]:
    return [locator.nth(index).is_visible() for index in range(locator.count())]


def column(table, index: int) -> list[str]:
    """The text of a column, a unit a row, as it stands on the page."""
    return table.evaluate(
        "(table, i) => [...table.querySelectorAll('tbody tr:not(.origin)')].map(row => row.cells[i].innerText)", index
    )


def test_a_table_is_sorted_by_its_head_cells_with_mouse_and_keyboard(full, visit):
    with visit(full[1]) as page:
        table = page.locator("table.pairs")
        given = column(table, 3)
        numbers = sorted(given, key=lambda text: float(text.replace("\N{MINUS SIGN}", "-")))
        assert given != numbers
        head = table.get_by_role("columnheader", name="Return")
        head.get_by_role("button").click()
        assert column(table, 3) == numbers
        expect(head).to_have_attribute("aria-sort", "ascending")
        head.get_by_role("button").press("Enter")
        assert column(table, 3) == numbers[::-1]
        expect(head).to_have_attribute("aria-sort", "descending")
        # A trial's second row went with its first.
        first = table.locator("tbody").first
        assert first.locator("tr").nth(0).locator("td").nth(2).inner_text() == numbers[-1]
        first.locator("summary").click()
        assert "python -m oyster verify results/demo/sparse-point-robot" in first.inner_text()
        head.get_by_role("button").press("Space")
        assert column(table, 3) == given and head.get_attribute("aria-sort") is None


def test_encoders_and_environments_can_be_left_out(full, visit):
    with visit(full[1]) as page:
        of = {name: page.locator(f"[data-encoder='{name}']") for name in ("mlp", "recurrent")}
        panels = page.locator(".panel[data-environment='cheetah-vel']")
        assert of["mlp"].count() > 10 and all(shown(of["mlp"])) and panels.count() >= 3
        page.get_by_role("checkbox", name="mlp", exact=True).uncheck()
        assert not any(shown(of["mlp"])) and any(shown(of["recurrent"]))
        expect(page.get_by_role("status")).to_have_text("Shown: 2 of 3 encoders.")
        page.get_by_role("checkbox", name="cheetah-vel").press("Space")
        assert not any(shown(panels)) and any(shown(page.locator(".panel[data-environment='point-robot']")))
        assert not page.get_by_role("columnheader", name="cheetah-vel").first.is_visible()
        page.get_by_role("button", name="Show all").click()
        assert all(shown(of["mlp"])) and all(shown(panels))


def test_a_dot_tells_value_and_origin_to_mouse_and_keyboard(full, visit):
    with visit(full[1]) as page:
        dots = page.locator("[data-point^='mlp|point-robot|']")
        assert dots.count() >= 2
        name, _, value = dots.first.get_attribute("data-point").rpartition("|")
        seed = name.rpartition("|")[2]
        told = f"mlp, point-robot, seed {seed}: " + value.replace("-", "\N{MINUS SIGN}")
        dots.first.scroll_into_view_if_needed()
        dots.first.hover()
        tip = page.locator("#tip")
        expect(tip).to_contain_text(told)
        expect(tip).to_contain_text("commit 3f2a9c1d5e, float32")
        page.mouse.move(0, 0)
        expect(tip).to_be_hidden()
        figure = page.locator(".panel svg", has=dots).first
        figure.locator("[tabindex='0']").focus()
        before = tip.inner_text()
        page.keyboard.press("ArrowRight")
        assert tip.is_visible() and tip.inner_text() != before
        page.keyboard.press("Enter")
        origin = page.locator(":target")
        assert origin.locator("details").get_attribute("open") is not None
        assert tip.inner_text().split(",")[0] in origin.inner_text()


def test_every_link_resolves(full, visit):
    with visit(full[1]) as page:
        links = page.eval_on_selector_all("a[href]", "links => links.map(link => link.getAttribute('href'))")
        places = {link[1:] for link in links if link.startswith("#")}
        assert len(places) > 18
        missing = page.evaluate("places => places.filter(place => !document.getElementById(place))", sorted(places))
        assert missing == []
        files = [unquote(link) for link in links if not link.startswith("#")]
        assert files and [file for file in files if not (full[1] / file).is_file()] == []


@pytest.mark.parametrize(
    ("scheme", "viewport"), [("light", {"width": 1280, "height": 900}), ("dark", PHONE)], ids=["desktop", "phone"]
)
def test_axe_finds_nothing_and_nothing_overflows(full, visit, scheme, viewport):
    with visit(full[1], color_scheme=scheme, viewport=viewport) as page:
        page.evaluate("document.querySelectorAll('details').forEach(details => { details.open = true; })")
        found = Axe().run(page).response["violations"]
        assert [(rule["id"], [node["html"][:200] for node in rule["nodes"]][:3]) for rule in found] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]


def test_all_is_readable_without_javascript_and_on_paper(full, visit):
    with visit(full[1], java_script_enabled=False) as page:
        expect(page.locator("#filters")).to_be_hidden()
        assert all(shown(page.locator("table"))) and all(shown(page.locator(".panel svg")))
        page.locator("table.pairs summary").first.click()
        expect(page.get_by_text("git checkout").first).to_be_visible()
        page.emulate_media(media="print")
        assert all(shown(page.locator("table.pairs dl"))) and not page.locator("nav").is_visible()


def test_hostile_names_do_nothing(new_tree, visit):
    encoders = [HOSTILE, "编码器", 'a|b" onload="alert(2)', "</textarea><img src=x onerror=alert(3)>", "x" * 200]
    tree = new_tree(environments=["point-robot"], encoders=encoders, seeds=[1])
    for encoder in (encoders[0], encoders[1], encoders[2], encoders[4]):
        tree.write_trial("point-robot", encoder, 1, provenance={"commit": HOSTILE, "command": f"</code>{HOSTILE}"})
    with visit(tree.build(), viewport=PHONE) as page:
        assert page.locator("script").count() == 2
        assert page.locator("img:not(#pictures img), [onload], [onerror]").count() == 0
        for encoder in encoders:
            assert encoder in page.locator("main").inner_text()
        page.get_by_role("checkbox", name=HOSTILE).uncheck()
        assert not any(shown(page.locator("tr[data-encoder^='<script>']")))
        for dot in page.locator("[data-point]").all()[:4]:
            dot.dispatch_event("mouseover")
        assert page.locator("#tip *").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def copies(tree, count):
    """What reads trials, of which so many an environment are on the disk: each stands for others too."""
    known = {}
    for environment, seed in product(tree.grid["environments"], range(count)):
        trial = (environment, tree.grid["encoders"][0], seed)
        place = tree.write_trial(*trial, iterations=2)
        known[environment, seed] = read_trial(place, dict(zip(TRIAL, trial, strict=True)))
    return lambda place, trial: known[trial["environment"], (trial["seed"] + len(trial["encoder"])) % count]


@pytest.mark.parametrize(("count", "encoders", "seeds"), [(0, 2, 2), (1, 2, 2), (1000, 20, 25)])
def test_any_number_of_trials(new_tree, visit, monkeypatch, count, encoders, seeds):
    tree = new_tree(encoders=[f"encoder_{i}" for i in range(encoders)], seeds=list(range(seeds)),
                    environments=["point-robot", "cheetah-vel"])  # fmt: skip
    tree = replace(tree, shape=Shape(tasks=2, evaluations=1, trajectories=2, steps=2))
    if (
        count == 1000
    ):  # for time: one figure that has a dot a trial stands for all, and ten trials' files for five hundred
        monkeypatch.setattr(build, "FIGURES", [figure for figure in build.FIGURES if figure.kind == "returns"])
        monkeypatch.setattr(reading, "read_trial", copies(tree, 10))
    else:
        for identity in tree.read_grid().trials()[:count]:
            tree.write_trial(*identity, iterations=2)
    out = tree.build()
    assert (out / "index.html").stat().st_size < 5e6
    with visit(out) as page:
        assert f"{count} of {2 * encoders * seeds} trials finished" in page.locator("header").inner_text()
        assert page.locator("table.pairs tbody").count() == count
        assert page.evaluate("document.documentElement.scrollWidth") <= 1280
