"""The style of the page and the script that draws its charts. Neither asks for anything from outside."""

from __future__ import annotations

__all__ = ["DRAW", "STYLE"]

STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 800px; padding: 20px 24px 60px; color: #1c1c1c; background: white;
  font: 16px/1.5 Helvetica, Arial, sans-serif; }
h1 { font-size: 26px; line-height: 1.2; margin: 8px 0 12px; }
h2 { font-size: 20px; line-height: 1.25; margin: 40px 0 6px; }
.headline { font-size: 18px; border-left: 4px solid #0b4f8a; padding: 2px 0 2px 14px; margin: 14px 0; }
.facts { display: grid; grid-template-columns: max-content 1fr; gap: 2px 14px; font-size: 14px;
  margin: 14px 0; }
.facts dt { color: #555; } .facts dd { margin: 0; overflow-wrap: anywhere; }
p { margin: 8px 0; } .note { color: #444; font-size: 14px; }
.chart { margin: 12px 0 4px; } .chart svg, .chart img { max-width: 100%; height: auto; display: block; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 14px; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: 4px 8px; text-align: right; border-bottom: 1px solid #ddd; vertical-align: top; }
th:first-child, td:first-child { text-align: left; }
td small { display: block; color: #555; white-space: nowrap; font-weight: normal; }
tr.ours td { font-weight: bold; }
table.measures { margin-top: 18px; } table.measures td { white-space: nowrap; }
table.measures td:first-child { white-space: normal; }
.story { border: 1px solid #cfcfcf; border-left-width: 6px; border-radius: 4px; padding: 10px 16px;
  margin: 14px 0; }
.story.good { border-left-color: #0b4f8a; } .story.bad { border-left-color: #d55e00; }
.story h3 { font-size: 16px; margin: 0 0 6px; }
.question { font-family: ui-monospace, Menlo, Consolas, monospace; font-size: 14px; white-space: pre-wrap;
  overflow-wrap: anywhere; background: #f4f4f4; padding: 8px 10px; margin: 6px 0; }
.story ol { margin: 6px 0; padding-left: 22px; } .story li { margin: 3px 0; overflow-wrap: anywhere; }
.answer { font-family: ui-monospace, Menlo, Consolas, monospace; font-size: 13px; background: #f4f4f4;
  padding: 0 4px; overflow-wrap: anywhere; }
.chart .narrow { display: none; }
@media screen and (max-width: 640px) {
  .chart .wide { display: none; } .chart .narrow { display: block; }
  body { padding: 12px 14px 40px; font-size: 15px; } h1 { font-size: 22px; } h2 { font-size: 18px; }
  table { font-size: 12px; } th, td { padding: 3px 4px; }
  td small { font-size: 10px; } td small span { display: block; }
  .facts { grid-template-columns: 1fr; gap: 0; } .facts dt { margin-top: 6px; }
}
@media print {
  body { max-width: none; padding: 0; font-size: 10pt; } .note, table, .facts { font-size: 9pt; }
  h2 { margin-top: 20px; } .story { padding: 6px 12px; margin: 8px 0; }
  .chart svg, .chart img { max-height: 85mm; width: auto; } p { break-inside: avoid; }
  #rivals-wide svg, #influence-wide svg { max-height: 205mm; }
  h2, h3 { break-after: avoid; } section, .story, tr { break-inside: avoid; }
  .lead { break-after: avoid; } .scroll { overflow: visible; }
}
@page { margin: 15mm; }
"""

#: draws every chart in both layouts; the style shows the one that fits the window, and the wide one on paper
DRAW = """
const {charts, data} = JSON.parse(document.getElementById("charts").textContent);
for (const [name, layouts] of Object.entries(charts)) {
  for (const [layout, chart] of Object.entries(layouts)) {
    vegaEmbed("#" + name + "-" + layout, {...chart, datasets: data},
      {renderer: "svg", actions: false, ast: true, tooltip: {theme: "light"}});
  }
}
"""
