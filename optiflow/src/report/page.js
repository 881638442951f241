"use strict";
for (const figure of document.querySelectorAll("figure[data-points]")) {
  const plot = figure.querySelector(".plot"), cross = plot.querySelector(".cross"), tip = plot.querySelector(".tip");
  const rows = (text) => (text ? text.split(";").map((row) => row.split(" ")) : []);
  const points = rows(figure.dataset.points), fills = rows(figure.dataset.fills);
  const start = +figure.dataset.start, span = +figure.dataset.span || 1;
  if (!points.length) continue;
  const nearest = (list, at) => {
    let low = 0, high = list.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (+list[middle][0] < at) low = middle + 1; else high = middle;
    }
    return low > 0 && at - list[low - 1][0] < list[low][0] - at ? low - 1 : low;
  };
  const grouped = (text) => text.replace(/^(-?)(\d+)/, (_, sign, digits) => (sign ? "\u2212" : "") + digits.replace(/\B(?=(\d{3})+$)/g, ","));
  const show = (event) => {
    const box = plot.getBoundingClientRect();
    const at = (event.clientX - box.left) / box.width * span;
    let row = points[nearest(points, at)], text = grouped(row[1]);
    if (fills.length) {
      const fill = fills[nearest(fills, at)];
      if (Math.abs(fill[0] - at) / span * box.width < 5) {
        row = fill;
        text = `${fill[2] === "b" ? "bought" : "sold"} ${fill[3]} at ${grouped(fill[1])}, ${fill[4] === "m" ? "maker" : "taker"}` + (fill[5] ? `\nrealised ${grouped(fill[5])}` : "");
      }
    }
    const x = row[0] / span * box.width;
    tip.textContent = new Date(start + +row[0]).toISOString().replace("T", " ").replace("Z", "") + "\n" + text;
    cross.style.display = tip.style.display = "block";
    cross.style.left = x + "px";
    tip.style.left = Math.max(0, Math.min(x + 10, box.width - tip.offsetWidth)) + "px";
  };
  plot.addEventListener("pointermove", show);
  plot.addEventListener("pointerdown", show);
  plot.addEventListener("pointerleave", () => { cross.style.display = tip.style.display = "none"; });
}
