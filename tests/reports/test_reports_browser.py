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
UNMARKED = """figure => [...figure.querySelectorAll('svg path, svg use')].filter(one => {
    const { stroke, fill } = getComputedStyle(one);
    return [stroke, fill].includes('rgb(0, 114, 178)') && !one.closest('defs, clipPath, [data-encoder=mlp]');
}).length"""  # what has the first agent's colour without its name


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


def displayed(locator) -> list[bool]:
    """Whether each is left in, also a horizontal line, which no browser calls visible."""
    return locator.evaluate_all("all => all.map(one => getComputedStyle(one).display !== 'none')")


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
        assert column(table, 3) == numbers[::-1]  # the best on top
        expect(head).to_have_attribute("aria-sort", "descending")
        head.get_by_role("button").press("Enter")
        assert column(table, 3) == numbers
        expect(head).to_have_attribute("aria-sort", "ascending")
        # A trial's second row went with its first.
        first = table.locator("tbody").first
        assert first.locator("tr").nth(0).locator("td").nth(2).inner_text() == numbers[0]
        first.locator("summary").click()
        assert "python -m oyster verify results/demo/cheetah-vel" in first.inner_text()
        head.get_by_role("button").press("Space")
        assert column(table, 3) == given and head.get_attribute("aria-sort") is None


def test_the_first_press_puts_the_best_on_top(full, visit):
    with visit(full[1]) as page:
        for head in page.locator("th[data-best]").all():
            head.get_by_role("button").dispatch_event("click")
            best = {"high": "descending", "low": "ascending"}[head.get_attribute("data-best")]
            assert head.get_attribute("aria-sort") == best
        other = page.locator("table.answer").get_by_role("columnheader", name="Agent")
        other.get_by_role("button").click()
        expect(other).to_have_attribute("aria-sort", "ascending")


def test_agents_and_environments_can_be_left_out(full, visit):
    with visit(full[1]) as page:
        page.locator("#filters summary").click()
        of = {
            name: page.locator(f":is([data-encoder='{name}'], [data-other='{name}'])") for name in ("mlp", "attention")
        }
        panels = page.locator(".panel[data-environment='cheetah-vel']")
        assert of["mlp"].count() > 100 and all(displayed(of["mlp"])) and panels.count() >= 3
        kinds = of["mlp"].evaluate_all("all => all.map(one => one.tagName.toLowerCase())")
        assert {"g", "li", "tr", "tbody"} <= set(kinds)  # figures and sentences too
        page.get_by_role("checkbox", name="mlp", exact=True).uncheck()
        assert not any(displayed(of["mlp"])) and any(displayed(of["attention"]))
        expect(page.get_by_role("status")).to_contain_text("Shown: 2 of 3 agents. Still of all: the verdict, ranks")
        assert not any(shown(page.locator("svg text", has_text="mlp")))
        page.get_by_role("checkbox", name="cheetah-vel").press("Space")
        assert not any(shown(panels)) and any(shown(page.locator(".panel[data-environment='point-robot']")))
        assert not page.get_by_role("columnheader", name="cheetah-vel").first.is_visible()
        page.get_by_role("button", name="Show all").click()
        assert all(displayed(of["mlp"])) and all(shown(panels))


def test_every_figure_leaves_an_agent_out(full, visit):
    """What is left in a figure without mlp says nothing of it: no line, dot or name that has not its mark."""
    with visit(full[1]) as page:
        for figure in page.locator("main figure:not(#pictures)").all():
            named = figure.locator("svg text", has_text="mlp").all()
            inside = "text => !!text.closest('[data-encoder=mlp]')"
            assert named and all(text.evaluate(inside) for text in named), figure.get_attribute("id")
            if figure.get_attribute("id") != "figure-trajectories":  # where colour is the task
                assert figure.evaluate(UNMARKED) == 0, figure.get_attribute("id")


def test_a_seed_leads_to_its_curve(full, visit):
    with visit(full[1]) as page:
        page.locator("table.answer summary").first.click()
        link = page.get_by_role("link", name="Learning curve of seed 42").first
        place = link.get_attribute("href")
        link.click()
        curve = page.locator(place)
        assert place == "#curve-trial-cheetah-vel-mlp-42" and curve.get_attribute("data-encoder") == "mlp"
        assert (
            curve.evaluate("g => g.matches(':target') && g.closest('figure').id") == "figure-learning_environment_steps"
        )
        panel = curve.evaluate("g => g.closest('.panel').getBoundingClientRect().top")
        assert page.locator(".bar").bounding_box()["height"] <= panel + 1 < 400
        width = "g => getComputedStyle(g.querySelector('path')).strokeWidth"
        assert curve.evaluate(width) == "2.4px"
        assert page.locator("#curve-trial-cheetah-vel-mlp-123").evaluate(width) == "0.9px"


@pytest.mark.parametrize("viewport", [{"width": 1280, "height": 800}, {"width": 390, "height": 844}], ids=str)
def test_the_first_screen_holds_verdict_table_and_what_is_wrong(full, visit, viewport):
    with visit(full[1], viewport=viewport) as page:
        table = page.locator("table.answer")
        ends = [page.locator(".verdict"), page.locator(".notices summary").last, table.locator("tbody tr").nth(2)]
        assert all(end.bounding_box()["y"] + end.bounding_box()["height"] <= viewport["height"] for end in ends)
        expect(page.locator(".notices")).to_contain_text("Not comparable with published numbers.")
        assert all(not open_ for open_ in page.locator("main details").evaluate_all("all => all.map(one => one.open)"))


@pytest.mark.parametrize("viewport", [{"width": 1280, "height": 800}, {"width": 390, "height": 844}], ids=str)
def test_navigation_stays_and_the_top_is_one_press_away(full, visit, viewport):
    with visit(full[1], viewport=viewport) as page:
        page.get_by_role("link", name="Provenance").click()
        head, bar = page.locator("#provenance").bounding_box(), page.locator(".bar").bounding_box()
        assert bar["y"] == 0 and bar["height"] < 60 and head["y"] >= bar["height"]
        page.get_by_role("link", name="Top", exact=True).press("Enter")
        page.wait_for_function("scrollY < 60")


def test_on_a_phone_a_table_keeps_its_first_column_and_says_that_it_scrolls(full, visit):
    with visit(full[1], viewport=PHONE) as page:
        for box in page.locator(".scroll:has(table.answer), .scroll:has(table.pairs)").all():
            hint = box.evaluate("box => getComputedStyle(box, '::before').content")
            assert "Scroll sideways" in hint
            first, last = (box.locator(f"tbody tr >> nth=0 >> :scope > :{end}-child") for end in ("first", "last"))
            before, moved = first.bounding_box()["x"], last.bounding_box()["x"]
            box.evaluate("box => { box.scrollLeft = 150; }")
            assert first.bounding_box()["x"] == pytest.approx(before, abs=1)
            assert last.bounding_box()["x"] < moved - 100
    with visit(full[1], viewport={"width": 1600, "height": 900}) as page:
        box = page.locator(".scroll:has(table.answer)")
        assert box.evaluate("box => getComputedStyle(box, '::before').content") == "none"


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
    ("scheme", "viewport"),
    [
        ("light", {"width": 1280, "height": 800}),
        ("dark", PHONE),
        ("dark", {"width": 1280, "height": 800}),
        ("light", PHONE),
    ],
    ids=["light", "dark-phone", "dark", "light-phone"],
)
def test_axe_finds_nothing_and_nothing_overflows(full, visit, scheme, viewport):
    with visit(full[1], color_scheme=scheme, viewport=viewport) as page:
        opened = "details => { details.forEach(one => { one.open = true; }) }"
        page.locator("details").evaluate_all(opened)
        page.get_by_role("checkbox", name="recurrent").press("Space")  # the line that says so is there then
        page.locator("#filters").evaluate("filters => { filters.open = false; }")  # it lies over the table
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
        assert not page.locator("nav").is_visible() and all(shown(page.locator("table")))
        assert not any(shown(page.locator("table.pairs dl")))  # hashes are not for paper, and the page says so
        expect(page.get_by_text("Hashes and commands are not printed")).to_be_visible()
        assert all(shown(page.locator(".method p")))


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
        page.locator("#filters summary").click()
        page.get_by_role("checkbox", name=HOSTILE).uncheck()
        assert not any(displayed(page.locator("[data-encoder^='<script>']")))
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
        assert f"{count} of {2 * encoders * seeds} trials finished" in page.locator("main").inner_text()
        assert page.locator("table.pairs tbody").count() == count
        assert page.evaluate("document.documentElement.scrollWidth") <= 1280
