"""The labs: their arithmetic is the library's, and they answer to keys and pointer."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import numpy as np
import pytest
import scipy.stats

import browse_site
import empirical_score as es
import lab_page
from empirical_score import copy_tests, linear

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="no Node here")
needs_browser = pytest.mark.skipif(
    browse_site.find_browser() is None, reason="no Chromium on this machine"
)
TIGHT = 1e-9


def javascript(body: str, **given):
    """Run a function body in Node with ``S`` the labs' arithmetic; return its value."""
    program = (
        f"const S = require({json.dumps(str(lab_page.JS / 'scores.js'))});"
        f"const given = {json.dumps(given)};"
        f"console.log(JSON.stringify((() => {{ {body} }})()));"
    )
    run = subprocess.run(["node", "-e", program], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def agree(mine, theirs):
    """Equal to 1e-9, relative where numbers are large."""
    mine, theirs = np.asarray(mine, dtype=float), np.asarray(theirs, dtype=float)
    assert mine.shape == theirs.shape
    assert np.all(np.abs(mine - theirs) <= TIGHT * np.maximum(1, np.abs(theirs)))


@needs_node
@pytest.mark.parametrize("sigma", [0.02, 0.3, 4.0])
@pytest.mark.parametrize("d", [1, 2])
def test_score(sigma, d):
    rng = np.random.default_rng(d)
    points, x = rng.standard_normal((40, d)), rng.standard_normal((25, d))
    mine = javascript(
        """const points = given.points.flat();
        const w = new Float64Array(given.points.length);
        return given.x.map(x => {
          S.weights(points, given.d, x, S.gaussian(given.sigma), w);
          return {
            weights: [...w], effective: S.effectivePoints(w),
            mean: [...S.mean(points, given.d, w, new Float64Array(given.d))],
            score: [...S.score(points, given.d, x, given.sigma)],
            density: S.logDensity(points, given.d, x, given.sigma)};
        });""",
        points=points.tolist(),
        x=x.tolist(),
        sigma=sigma,
        d=d,
    )
    law = es.EmpiricalScore(points)
    agree([row["weights"] for row in mine], law.weights(x, sigma))
    agree([row["effective"] for row in mine], law.effective_points(x, sigma))
    agree([row["mean"] for row in mine], law.denoise(x, sigma))
    agree([row["score"] for row in mine], law.score(x, sigma))
    agree([row["density"] for row in mine], law.log_density(x, sigma))


@needs_node
def test_coulomb_weights():
    rng = np.random.default_rng(0)
    points, x = rng.standard_normal((30, 3)), rng.standard_normal((10, 3))
    mine = javascript(
        """const w = new Float64Array(given.points.length);
        return given.x.map(x => {
          S.weights(given.points.flat(), 3, x, S.coulomb(given.power), w);
          return [...w];
        });""",
        points=points.tolist(),
        x=x.tolist(),
        power=1.7,
    )
    powers = np.linalg.norm(x[:, None] - points, axis=2) ** -1.7
    agree(mine, powers / powers.sum(axis=1, keepdims=True))
    at_a_point = javascript(
        "const w = new Float64Array(2);"
        "S.weights([0, 1], 1, [1], S.coulomb(2), w); return [...w];"
    )
    assert at_a_point == [0, 1]


@needs_node
def test_sampler():
    rng = np.random.default_rng(1)
    points, x = rng.standard_normal((12, 2)), 3 * rng.standard_normal((20, 2))
    mine = javascript(
        """const levels = S.geometricLevels(25, 3, 0.01);
        const denoise = S.denoiser(given.points.flat(), 2, S.gaussian);
        const work = S.workspace(2);
        return given.x.map(start => {
          const x = Float64Array.from(start);
          for (let k = 0; k + 1 < levels.length; k++)
            S.heunStep(denoise, x, levels[k], levels[k + 1], work);
          return [...x];
        });""",
        points=points.tolist(),
        x=x.tolist(),
    )
    score = es.EmpiricalScore(points)
    agree(mine, es.sample_ode(score, x, es.geometric_levels(25, 3, 0.01)))


@needs_node
def test_audit():
    """Fisher's test, what is significant, power and intervals, against the library."""
    cases = [(500, 500, 0), (300, 1000, 2), (2000, 400, 3), (40, 10, 10)]
    mine = javascript(
        """return given.cases.map(([m, h, b]) => ({
          p: [0, 1, 7, 25].map(c => S.fisher(c, m, b, h)),
          needed: S.significantCount(m, h, b),
          from: S.significantCount(m, h, b, 0.01, 2),
          rate: Object.values(S.copyRate(Math.min(30, m), m, b, h))}));""",
        cases=cases,
    )
    for (m, h, b), row in zip(cases, mine, strict=True):
        fisher = [copy_tests.fisher_p_value(c, m, b, h) for c in (0, 1, 7, 25)]
        agree(row["p"], fisher)
        needed = copy_tests.detectable_copies(m, h, b, 0.01)
        assert row["needed"] == row["from"] == (m + 1 if needed is None else needed)
        agree(row["rate"], copy_tests.copy_rate(min(30, m), m, b, h))


@needs_node
@pytest.mark.parametrize("base", [0.0, 0.004, 0.05])
def test_audit_power(base):
    """The power by summation over both counts, another way round than in the lab."""
    m, h, rate = 300, 200, 0.03
    ours = scipy.stats.binom.pmf(np.arange(m + 1), m, rate + (1 - rate) * base)
    theirs = scipy.stats.binom.pmf(np.arange(60), h, base)
    accused = [
        sum(ours[c] for c in range(m + 1) if c >= (needed or m + 1))
        for needed in (copy_tests.detectable_copies(m, h, b, 0.01) for b in range(60))
    ]
    mine = javascript(
        "return S.auditPower(given.m, given.base, given.rate,"
        "  S.references(given.m, given.h, given.base));",
        m=m,
        h=h,
        base=base,
        rate=rate,
    )
    assert abs(mine - theirs @ accused) < 1e-7


@needs_node
def test_ancestral_step():
    """One step with given normals: the generator below hands out the very same."""
    points, x = np.array([[0.0, 1.0], [1.0, -1.0]]), np.array([[0.4, 0.3]])
    z = np.random.default_rng(3).standard_normal((1, 2))
    mine = javascript(
        """const x = Float64Array.from(given.x);
        const denoise = S.denoiser(given.points.flat(), 2, S.gaussian);
        return [...S.ancestralStep(denoise, x, 1.2, 0.5, S.workspace(2), given.z)];""",
        points=points.tolist(),
        x=x[0].tolist(),
        z=z[0].tolist(),
    )
    theirs = es.sample_sde(
        es.EmpiricalScore(points),
        x,
        [1.2, 0.5],
        np.random.default_rng(3),
        method="ancestral",
    )
    agree([mine], theirs)


@needs_node
@pytest.mark.parametrize("kappa", [0.0, 0.4, 1.5])
def test_ramp(kappa):
    points = np.array([-1.0, -0.2, 0.1, 1.3])
    x = np.append(np.linspace(-2, 2, 41), points)
    mine = javascript(
        """const {points, kappa, x} = given, law = S.terminalLaw(points, kappa, 0.5);
        return {denoised: x.map(v => S.rampDenoise(points, kappa, v, 0.5)),
          flow: x.map(v => S.rampFlow(points, kappa, v, 0.5, 0.1)),
          atoms: law.atoms, memorized: law.memorized,
          density: given.inside.map(law.density)};""",
        points=points.tolist(),
        kappa=kappa,
        x=x.tolist(),
        inside=(inside := np.linspace(-0.97, 1.21, 23)).tolist(),
    )
    ramp = es.RampScore(points[:, None], kappa)
    law = ramp.terminal_law(es.EmpiricalScore(points[:, None]), 0.5)
    agree(mine["denoised"], ramp.denoise(x[:, None], 0.5)[:, 0])
    agree(mine["flow"], ramp.flow(x[:, None], 0.5, 0.1)[:, 0])
    agree(mine["atoms"], law.atoms)
    agree(mine["memorized"], law.memorized)
    agree(mine["density"], law.density(inside[:, None]))


@needs_node
def test_linear_model():
    cases = [(n, d, nu) for d in (5, 30) for n in (2, 4, 40, 90) for nu in (0.1, 9)]
    mine = javascript(
        """return given.cases.map(([n, d, nu]) => [S.spanKl(n, d, nu),
          S.linearKl(n, d, nu), S.populationKl(nu), S.information(d, nu)]);""",
        cases=cases,
    )
    for (n, d, nu), row in zip(cases, mine, strict=True):
        theirs = [
            linear.span_kl(n, d, nu),
            linear.kl(n, d, nu),
            linear.population_kl(nu),
            es.mutual_information(np.ones(d), nu**0.5),
        ]
        # JSON has no infinity: it writes null.
        assert [v is None for v in row] == [bool(v) for v in np.isinf(theirs)]
        agree([v for v in row if v is not None], [v for v in theirs if v < np.inf])


@needs_node
def test_normal_law():
    from scipy.special import ndtr

    z = np.linspace(-12, 8, 401)
    mine = javascript("return given.z.map(S.normalCdf);", z=z.tolist())
    assert np.max(np.abs(np.array(mine) / ndtr(z) - 1)) < TIGHT
    draws = javascript(
        "const next = S.normals(4); return Array.from({length: 20000}, next);"
    )
    from scipy.stats import kstest

    assert kstest(draws, "norm").pvalue > 1e-3


def test_every_lab_has_its_place():
    """Each stands on the page of all labs; those of finished chapters there too."""
    used = {}
    for path in [*lab_page.ROOT.glob("*.md"), *lab_page.ROOT.glob("chapters/*/*.md")]:
        for name in re.findall(r"^```\{lab\} (\w+)$", path.read_text("utf-8"), re.M):
            used.setdefault(name, []).append(path.stem)
    assert sorted(used) == lab_page.LABS
    assert all("laboratory" in places for places in used.values())


# --- In a browser -------------------------------------------------------------------


@pytest.fixture(scope="module")
def labs(tmp_path_factory):
    """A page with every lab, open in Chromium; its console must stay silent."""
    said: list[str] = []
    folder, executable = tmp_path_factory.mktemp("labs"), browse_site.find_browser()
    with lab_page.opened(folder, executable, said) as page:
        yield page
    assert said == []


def settle(page, name):
    """Wait until the lab has drawn all it has to draw; return its recorded values."""
    page.evaluate("() => new Promise(r => requestAnimationFrame(() => setTimeout(r)))")
    box = f"document.querySelector('#lab-{name}')"
    page.wait_for_function(f"{box}.dataset.busy !== 'yes'")
    return page.evaluate(f"({{...{box}.dataset}})")


def state(page, name):
    """The values and points of a lab."""
    code = f"[...Labs.made.values()].find(lab => lab.name === '{name}')"
    return page.evaluate(f"(lab => [lab.values, lab.points])({code})")


@needs_browser
def test_probe_follows_keys_and_shows_the_librarys_numbers(labs):
    labs.focus("#lab-score canvas")
    before = state(labs, "score")[1][-1]
    for _ in range(4):
        labs.keyboard.press("ArrowRight")
    labs.keyboard.press("Shift+ArrowUp")
    shown = settle(labs, "score")
    values, points = state(labs, "score")
    assert points[-1] == pytest.approx([before[0] + 0.2, before[1] + 0.2])
    law = es.EmpiricalScore(points[:-1])
    mean = [float(v) for v in shown["mean"].split(",")]
    agree(mean, law.denoise([points[-1]], values["sigma"])[0])
    agree(
        float(shown["effective"]),
        law.effective_points([points[-1]], values["sigma"])[0],
    )


@needs_browser
def test_points_are_dragged_added_and_removed(labs):
    labs.click("#lab-score button:has-text('Start over')")
    settle(labs, "score")
    values, points = state(labs, "score")
    box = labs.locator("#lab-score canvas").bounding_box()
    width, height = box["width"], box["height"]
    top = 2 / (width / height)

    def pixel(x, y):
        across = box["x"] + (x + 2) / 4 * width
        return across, box["y"] + (top - y) / (2 * top) * height

    labs.mouse.move(*pixel(*points[0]))
    labs.mouse.down()
    labs.mouse.move(*pixel(-0.5, -0.9))
    labs.mouse.up()
    assert state(labs, "score")[1][0] == pytest.approx([-0.5, -0.9], abs=0.02)
    labs.click("#lab-score button:has-text('Add a point')")
    assert len(state(labs, "score")[1]) == len(points) + 1
    labs.focus("#lab-score canvas")
    labs.keyboard.press("Delete")
    assert len(state(labs, "score")[1]) == len(points)


@needs_browser
def test_a_slider_works_by_keys_and_the_link_keeps_its_setting(labs):
    labs.focus("#lab-ramp-kappa")
    for _ in range(3):
        labs.keyboard.press("ArrowRight")
    shown = settle(labs, "ramp")
    values, points = state(labs, "ramp")
    assert values["kappa"] == pytest.approx(0.65)
    line = np.sort(np.array(points), axis=0)
    law = es.RampScore(line, 0.65).terminal_law(
        es.EmpiricalScore(line), values["start"]
    )
    agree(float(shown["memorized"]), law.memorized)
    link = labs.get_attribute("#lab-ramp .lab-link", "href")
    labs.click("#lab-ramp button:has-text('Start over')")
    assert state(labs, "ramp")[0]["kappa"] == 0.5
    labs.evaluate(f"location.hash = {json.dumps(link)}")
    settle(labs, "ramp")
    assert state(labs, "ramp")[0]["kappa"] == pytest.approx(0.65)


@needs_browser
def test_a_link_without_points_starts_from_those_of_the_lab(labs):
    labs.evaluate("location.hash = '#lab=ramp&kappa=0.25'")
    settle(labs, "ramp")
    values, points = state(labs, "ramp")
    assert values["kappa"] == 0.25 and len(points) == values["count"]


@needs_browser
def test_the_sampler_ends_on_every_point_alike(labs):
    counts = [int(v) for v in settle(labs, "sampler")["counts"].split(",")]
    assert sum(counts) == 160
    fair = 160 / len(counts)
    assert np.sum((np.array(counts) - fair) ** 2 / fair) < 35  # chi^2, 8 degrees
    labs.select_option("#lab-sampler-method", "sde")
    again = [int(v) for v in settle(labs, "sampler")["counts"].split(",")]
    assert sum(again) == 160 and again != counts


@needs_browser
def test_temperature_takes_copies_away(labs):
    def share(exponent, level):
        labs.evaluate(
            "location.hash = '#lab=smoothing&spacing=random&n=24&temperature=1'"
            f" + '&exponent={exponent}&level={level}'"
        )
        return float(settle(labs, "smoothing")["share"])

    assert share(0, 0.2) == 1.0
    assert share(2, 0.2) < 0.2


@needs_browser
def test_transition_knows_where_more_data_hurt(labs):
    labs.evaluate("location.hash = '#lab=transition&d=40&nu=20&n=3'")
    shown = settle(labs, "transition")
    agree(float(shown["kl"]), linear.kl(120, 40, state(labs, "transition")[0]["nu"]))
    start, worst = (int(v) for v in shown["rises"].split(","))
    valley, _ = linear.best_ratio(20)
    assert start / 40 == pytest.approx(valley, abs=0.15) and worst == 480
    labs.evaluate("location.hash = '#lab=transition&d=40&nu=2&n=3'")
    assert settle(labs, "transition")["rises"] == ""


@needs_browser
def test_other_links_and_nonsense_are_ignored(labs):
    before = state(labs, "score")
    for link in ["#lab=nothing&sigma=9", "#summary", "#lab=score&points=1,x,3"]:
        labs.evaluate(f"location.hash = {json.dumps(link)}")
        settle(labs, "score")
    values, points = state(labs, "score")
    assert values == before[0] and len(points) == 6


@needs_browser
@pytest.mark.parametrize(
    ("lab", "setting", "dead"),
    [
        ("smoothing", "method=temperature&exponent=2", {"power"}),
        ("smoothing", "method=temperature&exponent=0", {"power", "level"}),
        ("smoothing", "method=unconditional", {"exponent", "level"}),
        ("ramp", "which=exact", {"kappa"}),
        ("ramp", "which=both", set()),
    ],
)
def test_controls_without_effect_are_disabled_and_say_why(lab, setting, dead, labs):
    labs.evaluate(f"location.hash = '#lab={lab}&{setting}'")
    settle(labs, lab)
    ranges = f"#lab-{lab} input[type=range]"
    read = "all => all.map(e => [e.id, e.disabled, e.getAttribute('aria-describedby')])"
    found = labs.eval_on_selector_all(ranges, read)
    assert {name.split("-")[2] for name, disabled, _ in found if disabled} == dead
    for name, disabled, reason in found:
        assert bool(reason) == disabled, name
        if disabled:
            assert labs.locator(f"#{reason}").inner_text().startswith("No effect: ")


@needs_browser
@pytest.mark.parametrize("width", [390, 1280])
def test_two_settings_are_chosen_by_keys_and_pointer_and_changed_alone(width, labs):
    labs.set_viewport_size({"width": width, "height": 900})
    labs.click("#lab-smoothing button:has-text('Start over')")
    before = settle(labs, "smoothing")
    assert float(before["share2"]) == 1.0, "B is the exact score at first"
    canvas = labs.locator("#lab-smoothing canvas")
    place = canvas.bounding_box()
    canvas.click(position={"x": 0.8 * place["width"], "y": 0.5 * place["height"]})
    labs.focus("#lab-smoothing-exponent")
    for _ in range(8):
        labs.keyboard.press("ArrowRight")
    shown = settle(labs, "smoothing")
    values, _ = state(labs, "smoothing")
    assert (values["setting"], values["exponent"], values["exponent2"]) == ("B", 2, 2)
    assert shown["share"] == shown["share2"] == before["share"]
    labs.focus("#lab-smoothing-setting-B")
    labs.keyboard.press("ArrowLeft")
    labs.select_option("#lab-smoothing-method", "unconditional")
    link = labs.get_attribute("#lab-smoothing .lab-link", "href")
    labs.evaluate("location.hash = ''")  # the other width may have left the same
    want, _ = state(labs, "smoothing")
    assert (want["method"], want["method2"]) == ("unconditional", "temperature")
    labs.click("#lab-smoothing button:has-text('Start over')")
    labs.evaluate(f"location.hash = {json.dumps(link)}")
    settle(labs, "smoothing")
    again, _ = state(labs, "smoothing")
    numbers = {key for key, value in want.items() if not isinstance(value, str)}
    assert all(again[key] == pytest.approx(want[key], rel=1e-4) for key in numbers)
    assert all(again[key] == want[key] for key in want.keys() - numbers)
    rows = labs.locator("#lab-smoothing tbody tr")
    assert rows.count() == 3 and "no noise level" in rows.nth(0).inner_text()


@needs_browser
def test_the_number_of_points_is_the_number_shown(labs):
    labs.click("#lab-ramp button:has-text('Start over')")
    labs.click("#lab-ramp button:has-text('Add a point')")
    settle(labs, "ramp")
    values, points = state(labs, "ramp")
    shown = labs.eval_on_selector("#lab-ramp-count", "e => [e.value, e.ariaValueText]")
    assert len(points) == values["count"] == 4 and shown == ["4", "4"]
    labs.evaluate("location.hash = '#lab=ramp&count=2'")
    settle(labs, "ramp")
    assert labs.locator("#lab-ramp button:has-text('Remove it')").is_disabled()


@needs_browser
def test_the_ramps_sentence_is_true_when_all_or_nearly_all_are_copies(labs):
    def said(kappa, start):
        labs.evaluate(
            f"location.hash = '#lab=ramp&count=3&kappa={kappa}&start={start}'"
        )
        share = float(settle(labs, "ramp")["memorized"])
        return share, labs.locator("#lab-ramp .lab-status").inner_text()

    share, words = said(2, 0.7)
    assert share == pytest.approx(1) and words.startswith("All of the ramp's samples")
    share, words = said(1.98, 0.3)
    assert 0.99 < share < 1 and "more than 99 percent" in words and "the rest" in words


WORDS = """() => {
  const draw = CanvasRenderingContext2D.prototype;
  window.written = [];
  draw.fillText = function (words, x, y) {
    const size = this.measureText(words);
    const shift = { left: 0, center: 0.5, right: 1 }[this.textAlign] * size.width;
    window.written.push([words, x - shift, y - size.actualBoundingBoxAscent,
      x - shift + size.width, y + size.actualBoundingBoxDescent]);
  };
}"""


def overlaps(written, width):
    """Words that meet, or leave the canvas, in what was last written."""
    boxes = list({text: (text, *box) for text, *box in written}.values())
    out = [b[0] for b in boxes if b[1] < 0 or b[3] > width]
    pairs = [(a, b) for k, a in enumerate(boxes) for b in boxes[:k]]
    return out + [
        (a[0], b[0])
        for a, b in pairs
        if min(a[3], b[3]) > max(a[1], b[1]) and min(a[4], b[4]) > max(a[2], b[2])
    ]


def test_overlaps_are_found():
    apart = [["n = d", 40, 20, 75, 30], ["volume freezes", 72, 37, 170, 47]]
    assert overlaps(apart, 350) == []
    assert overlaps([apart[0], ["volume freezes", 72, 20, 170, 30]], 350)
    assert overlaps([["volume freezes", 300, 20, 400, 30]], 350)


@needs_browser
@pytest.mark.parametrize("nu", [0.05, 0.3, 1, 4, 9.5, 20, 50])
def test_words_of_the_transition_do_not_meet_on_a_phone(nu, labs):
    labs.set_viewport_size({"width": 390, "height": 844})
    labs.evaluate(WORDS)
    for d in (2, 30, 100):
        labs.evaluate("window.written = []")
        labs.evaluate(f"location.hash = '#lab=transition&d={d}&nu={nu}&n=3'")
        settle(labs, "transition")
        written = labs.evaluate("window.written")
        assert {"n = d", "n → ∞"} <= {text for text, *_ in written}
        width = labs.locator("#lab-transition canvas").bounding_box()["width"]
        assert overlaps(written, width) == []
