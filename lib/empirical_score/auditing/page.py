"""The page of an audit's report: its frame and its looks, in light and in dark."""

from string import Template

__all__ = ["PAGE"]

STYLE = """
:root { --ink: #22262e; --quiet: #5a606b; --line: #dfe2e7; --paper: #fff;
  --shade: #f6f7f9; --yes: #b3261e; --yes-tint: #fdf1ef; --no: #00735a;
  --no-tint: #f1f8f5; --open: #8a5200; --open-tint: #fdf7ec; color-scheme: light dark }
@media (prefers-color-scheme: dark) { :root { --ink: #dadde3; --quiet: #a2a9b5;
  --line: #343a45; --paper: #15181d; --shade: #1d2127; --yes: #ff9b8f;
  --yes-tint: #2d1b1a; --no: #6fcbaa; --no-tint: #182722; --open: #e9b565;
  --open-tint: #29231a } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 62rem; padding: 2rem 1.2rem 4rem; color: var(--ink);
  background: var(--paper); font: 1.05rem/1.55 system-ui, -apple-system, "Segoe UI",
  Roboto, "Liberation Sans", sans-serif; overflow-wrap: break-word }
h1 { font-size: 1.1rem; font-weight: 600; color: var(--quiet); margin: 0 0 1rem }
h2 { font-size: 1.3rem; margin: 2.6rem 0 .7rem; line-height: 1.25 }
.verdict { border-left: .4rem solid; border-radius: .3rem; padding: 1.1rem 1.3rem }
.verdict strong { display: block; font-size: 1.9rem; line-height: 1.2 }
.verdict p { color: var(--ink); margin: .6rem 0 0; max-width: 46rem }
.verdict.yes { color: var(--yes); background: var(--yes-tint) }
.verdict.no { color: var(--no); background: var(--no-tint) }
.verdict.open { color: var(--open); background: var(--open-tint) }
.facts { display: grid; gap: 1.2rem; margin: 1.8rem 0 0;
  grid-template-columns: repeat(auto-fit, minmax(10.5rem, 1fr)) }
.facts dt { font-size: .86rem; color: var(--quiet) }
.facts dd { margin: 0 }
.facts strong { display: block; font-size: 1.5rem; line-height: 1.3 }
.facts span, small, figcaption, .pairs p { font-size: .86rem; color: var(--quiet) }
.figures { display: grid; gap: 1.4rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)) }
figure { margin: 0 }
figure img { width: 100%; height: auto; display: block }
figcaption { margin-top: .4rem }
.pairs { list-style: none; margin: 0; padding: 0; display: grid; gap: 1.3rem .9rem;
  grid-template-columns: repeat(auto-fill, minmax(9.4rem, 1fr)) }
.pairs div { display: grid; grid-template-columns: 1fr 1fr; gap: .2rem }
.pairs img { width: 100%; image-rendering: pixelated; border: 2px solid var(--line) }
.pairs .flagged img { border-color: var(--yes) }
.pairs b { color: var(--yes) }
.pairs p { margin: .35rem 0 0; line-height: 1.4 }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .45rem .9rem .45rem 0;
  border-bottom: 1px solid var(--line) }
thead th { font-size: .86rem; color: var(--quiet); font-weight: 600 }
.wide td { white-space: nowrap }
.plain { columns: 2 20rem }
.settings { max-width: 40rem }
.settings th { font-weight: 400; color: var(--quiet); width: 45% }
.settings td { overflow-wrap: anywhere }
dl.meanings dt { font-weight: 600 }
dl.meanings dd { margin: 0 0 .5rem; color: var(--quiet) }
li { margin: .35rem 0 }
:focus-visible { outline: 3px solid var(--no); outline-offset: 2px }
@media print { body { max-width: none } .pairs li { break-inside: avoid } }
"""

PAGE = Template(
    """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>$title: a copy audit</title>
<style>"""
    + STYLE
    + """</style>
</head>
<body>
<header><h1>Does it copy? An audit against held-out data</h1></header>
<main>
<section class="verdict $kind" aria-label="Verdict">
<strong>$title</strong><p>$verdict</p></section>
<dl class="facts">$facts</dl>
<h2>Two distributions of one statistic</h2>
<div class="figures">$figures</div>
<h2>The samples nearest to one training point</h2>
<p>Sample on the left, its nearest training point on the right, most suspicious first.
Some sample is always the nearest: being shown here is no accusation. Flagged ones are
too near for held-out data.</p>
$suspects
<h2>All statistics</h2>
<div class="wide" tabindex="0" role="region" aria-label="Statistics"><table>
<thead><tr><th scope="col">statistic</th><th scope="col">p, joint test</th>
<th scope="col">generated in tail</th><th scope="col">threshold</th>
<th scope="col">generated below</th><th scope="col">held-out below</th>
<th scope="col">p, Fisher</th><th scope="col">generated nearer</th></tr></thead>
<tbody>$statistics</tbody></table></div>
<p><small>The verdict rests on Fisher's test of the ratio, the counts below its
threshold. The joint test looks at all tails of all statistics at once and pays for
it; alone it does not say copying, as samples that are merely smooth move it, too. Small
print under counts: exact intervals. Generated nearer: in so many of all pairs of a
generated and a held-out sample; one half if they are of one distribution.</small></p>
<dl class="meanings">$meanings</dl>
<h2>About these data</h2>
<ul>$notes</ul>
<h2>What this cannot show</h2>
<ul>$limits</ul>
<h2>Settings</h2>
<div class="settings"><table><tbody>$settings</tbody></table></div>
</main>
</body>
</html>
"""
)
