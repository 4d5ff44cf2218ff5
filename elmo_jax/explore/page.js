// Searching, pointing and pinning.

function filter() {
  const wanted = search.value.toLowerCase().trim(), matches = [];
  items.forEach((item, i) => {
    state[i] = hiddenLabels.has(item[3]) ? HIDDEN : texts[i].includes(wanted) ? SHOWN : FAINT;
    if (state[i] === SHOWN) matches.push(i);
  });
  const listed = wanted ? matches.slice(0, MOST_LISTED) : [];
  find("#count").textContent = `${number(matches.length)} of ${occurrences(items.length)}`
    + (wanted && matches.length > MOST_LISTED ? `; the first ${MOST_LISTED} are listed` : "");
  find("#matches").replaceChildren();
  for (const i of listed) {
    const button = add(add(find("#matches"), "li"), "button", { "aria-pressed": String(i === chosen), "data-item": i });
    sentence(button, items[i], 8);
    button.onclick = () => choose(i === chosen ? -1 : i);
    button.onfocus = button.onpointerenter = () => point(i);
    button.onblur = button.onpointerleave = () => point(chosen);
  }
  if (chosen >= 0 && state[chosen] !== SHOWN) chosen = -1;
  draw();
  point(chosen);
}

function choose(i) {
  chosen = i;
  for (const button of find("#matches").querySelectorAll("button"))
    button.setAttribute("aria-pressed", String(Number(button.dataset.item) === chosen));
  point(chosen);
}

function point(i) {
  here = i;
  tip.hidden = i < 0;
  drawRings();
  if (i < 0) return;
  tip.replaceChildren();
  sentence(tip, items[i], 16);
  // Beside the dot; above or below it where the plot is too narrow for that.
  const { clientWidth: width, clientHeight: height } = plot, gap = radius + 11;
  const { offsetWidth: wide, offsetHeight: tall } = tip;
  let left = x[i] + gap + wide < width ? x[i] + gap : x[i] - gap - wide, top = y[i] - tall / 2;
  if (left < 0) {
    left = Math.min(Math.max(4, x[i] - wide / 2), width - wide - 4);
    top = y[i] - gap - tall < 0 ? y[i] + gap : y[i] - gap - tall;
  } else top = Math.max(4, Math.min(height - tall - 4, top));
  tip.style.left = `${left}px`;
  tip.style.top = `${top}px`;
}

function pin(i) {
  if (!pinned.delete(i)) pinned.add(i);
  const list = find("#pins ul");
  list.replaceChildren();
  find("#pins .hint").hidden = pinned.size > 0;
  for (const each of [...pinned].reverse()) {
    const entry = add(list, "li");
    sentence(entry, items[each]);
    const remove = add(entry, "button", { "aria-label": "Remove", title: "Remove" }, "×");
    remove.onclick = () => { pin(each); point(chosen); };
    entry.onpointerenter = () => point(each);
    entry.onpointerleave = () => point(chosen);
  }
  drawRings();
}

function under(event) {  // the dot nearest to the pointer, within 14 pixels
  const box = plot.getBoundingClientRect();
  const left = event.clientX - box.left - plot.clientLeft, top = event.clientY - box.top - plot.clientTop;
  let best = -1, least = 14 * 14;
  for (let i = 0; i < x.length; i++) {
    const distance = (x[i] - left) ** 2 + (y[i] - top) ** 2;
    if (distance < least && state[i] === SHOWN) { best = i; least = distance; }
  }
  return best;
}
plot.onpointermove = (event) => {
  const i = under(event);
  if (!plot.dataset.moving && (i < 0 ? chosen : i) !== here) point(i < 0 ? chosen : i);
};
plot.onpointerleave = () => point(chosen);
plot.onclick = (event) => { const i = under(event); if (i >= 0) { pin(i); point(i); } else choose(-1); };

// The next dot in a direction: near, and not too far off the straight line.
function next(dx, dy) {
  const left = here < 0 ? plot.clientWidth / 2 : x[here], top = here < 0 ? plot.clientHeight / 2 : y[here];
  let best = here, least = Infinity;
  for (let i = 0; i < x.length; i++) {
    const along = (x[i] - left) * dx + (y[i] - top) * dy;
    const aside = Math.abs((x[i] - left) * dy) + Math.abs((y[i] - top) * dx);
    if (i !== here && state[i] === SHOWN && along > 0.01 && along + 2.5 * aside < least) { best = i; least = along + 2.5 * aside; }
  }
  return best;
}
const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
plot.onkeydown = (event) => {
  if (arrows[event.key]) point(next(...arrows[event.key]));
  else if ((event.key === "Enter" || event.key === " ") && here >= 0) pin(here);
  else if (event.key === "Escape") choose(-1);
  else return;
  event.preventDefault();
  find("#said").textContent = here < 0 ? "" : tip.textContent;
};
// From the search box down into its list, and up again.
find("#searching").onkeydown = (event) => {
  const stops = [search, ...find("#matches").querySelectorAll("button")];
  const stop = stops[stops.indexOf(event.target) + { ArrowDown: 1, ArrowUp: -1 }[event.key]];
  if (stop) { stop.focus(); event.preventDefault(); }
};

// Fill the page.

document.title = `“${data.word}”: ${occurrences(items.length)}`;
find("h1").textContent = `“${data.word}”`;
find("#about").textContent = (data.total > items.length
  ? `${number(items.length)} of ${occurrences(data.total)}, taken at even distances` : occurrences(items.length))
  + (data.source ? ` · ${data.source}` : "");
for (const { name, explained } of layers) {
  const tick = add(find("#ticks"), "span", {}, name);
  add(tick, "br");
  tick.append(`${percent(explained[0] + explained[1])} of its variance shown`);
}
data.labels.forEach(({ name, color, count }, label) => {
  const button = add(find("#legend"), "button", { "aria-pressed": "true", title: "Show or hide" });
  add(button, "span", { class: "dot" }).style.background = color;
  add(button, "span", { dir: "auto" }, name);
  add(button, "b", {}, number(count));
  button.onclick = () => {
    if (!hiddenLabels.delete(label)) hiddenLabels.add(label);
    button.setAttribute("aria-pressed", String(!hiddenLabels.has(label)));
    filter();
  };
});
find("#labels").hidden = !data.labeled;
slider.max = layers.length - 1;
slider.value = layer;
slider.oninput = () => { layer = Number(slider.value); describe(); move(); };
search.oninput = filter;
matchMedia("(prefers-color-scheme: dark)").onchange = fit;
describe();
fit();
filter();
new ResizeObserver(fit).observe(plot);
