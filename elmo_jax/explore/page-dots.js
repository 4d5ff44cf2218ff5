"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const find = (selector) => document.querySelector(selector);
const plot = find("#plot"), tip = find("#tip"), slider = find("#slider"), search = find("#search");
const pens = [find("#dots"), find("#rings")].map((canvas) => canvas.getContext("2d"));
const items = data.items, layers = data.layers, hiddenLabels = new Set(), pinned = new Set();
const SHOWN = 0, FAINT = 1, HIDDEN = 2, MOST_LISTED = 100;
const state = new Uint8Array(items.length);
const x = new Float32Array(items.length), y = new Float32Array(items.length);  // pixels in the plot
const texts = items.map((item) => item.slice(0, 3).join(" ").toLowerCase());
const radius = items.length > 3000 ? 2.5 : items.length > 1000 ? 3 : items.length > 300 ? 4 : 5.5;
const opacity = items.length > 3000 ? 0.6 : 0.85;
// What the plot has to show of a layer: left, right, bottom, top.
const ends = (values) => [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))];
for (const each of layers) {
  each.box = [...ends(each.x), ...ends(each.y)];
  each.x = Float32Array.from(each.x);
  each.y = Float32Array.from(each.y);
}
const copy = (layer) => ({ x: layer.x.slice(), y: layer.y.slice(), box: layer.box.slice() });
const at = copy(layers.at(-1));  // where the dots are now
let layer = layers.length - 1, here = -1, chosen = -1, turn = 0, ratio = 1, image;

function add(parent, name, attributes = {}, text = "") {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text) element.textContent = text;
  return parent.appendChild(element);
}
const percent = (share) => `${(100 * share).toFixed(share && share < 0.1 ? 1 : 0)}%`;
const number = (n) => n.toLocaleString("en");
const occurrences = (n) => `${number(n)} ${n === 1 ? "occurrence" : "occurrences"}`;
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// The sentence with its word marked; `around` words on either side, or all.
function sentence(parent, item, around = Infinity) {
  const [left, word, right, label, place] = item;
  const before = left ? left.split(" ") : [], after = right ? right.split(" ") : [];
  const words = add(parent, "span", { dir: "auto" });
  const cut = before.length > around ? "… " : "";
  words.append(cut + before.slice(Math.max(0, before.length - around)).join(" ") + (left ? " " : ""));
  add(words, "mark", {}, word);
  words.append((right ? " " : "") + after.slice(0, around).join(" ") + (after.length > around ? " …" : ""));
  const about = add(parent, "span", { class: "about" });
  if (data.labeled) {
    add(about, "span", { class: "dot" }).style.background = data.labels[label].color;
    about.append(data.labels[label].name + (place ? " · " : ""));
  }
  about.append(place);
}

// Drawing. With 20,000 dots, setting their pixels here is several times as fast, in a browser without
// a GPU, as circles or copies of a picture of a dot.

// The pixels of a dot: where from its middle, how opaque, and how much of its color beside the paper's.
function dotPixels() {
  const pixels = [], outer = (radius + 0.8) * ratio, reach = Math.ceil(outer);
  const covered = (size, distance) => Math.max(0, Math.min(1, size + 0.5 - distance));
  for (let down = -reach; down <= reach; down++)
    for (let right = -reach; right <= reach; right++) {
      const distance = Math.hypot(down, right), opaque = covered(outer, distance);
      if (opaque) pixels.push({ down, right, opaque, share: covered(radius * ratio, distance) / opaque });
    }
  return pixels;
}
const channels = (hex) => [1, 3, 5].map((start) => parseInt(hex.slice(start, start + 2), 16));

function paintDots() {
  const { width, data: target } = image, pixels = dotPixels(), paper = channels(color("--paper"));
  const offsets = pixels.map(({ down, right }) => 4 * (down * width + right));
  const colors = data.labels.map((label) => {
    const own = channels(label.color);
    return Float32Array.from(pixels.flatMap(({ share }) => own.map((value, k) => paper[k] + (value - paper[k]) * share)));
  });
  for (const [wanted, alpha] of [[FAINT, 0.1], [SHOWN, opacity]]) {
    const opaque = Float32Array.from(pixels, (pixel) => pixel.opaque * alpha);
    for (let i = 0; i < x.length; i++) {
      if (state[i] !== wanted) continue;
      const middle = 4 * (Math.round(y[i] * ratio) * width + Math.round(x[i] * ratio)), own = colors[items[i][3]];
      for (let k = 0; k < offsets.length; k++) {
        const place = middle + offsets[k], part = opaque[k];
        for (let channel = 0; channel < 3; channel++)
          target[place + channel] += (own[3 * k + channel] - target[place + channel]) * part;
      }
    }
  }
}

function paintAxes(left, top) {
  const { width, data: target } = image, colors = new Uint32Array(target.buffer);
  const [paper, line] = ["--paper", "--line"].map((name) => {
    const [red, green, blue] = channels(color(name));
    return new Uint32Array(Uint8Array.of(red, green, blue, 255).buffer)[0];
  });
  colors.fill(paper);
  colors.fill(line, top * width, (top + 1) * width);
  for (let place = left; place < colors.length; place += width) colors[place] = line;
}

function fit() {
  ratio = devicePixelRatio || 1;
  for (const { canvas } of pens) {
    canvas.width = Math.max(1, Math.round(plot.clientWidth * ratio));
    canvas.height = Math.max(1, Math.round(plot.clientHeight * ratio));
  }
  image = new ImageData(pens[0].canvas.width, pens[0].canvas.height);
  draw();
  point(chosen);
}

function draw() {
  const width = image.width / ratio, height = image.height / ratio, margin = 44;
  const [left, right, bottom, top] = at.box;
  const scale = Math.min((width - margin) / Math.max(right - left, 0.2), (height - margin) / Math.max(top - bottom, 0.2));
  const zero = [(width - (left + right) * scale) / 2, (height + (top + bottom) * scale) / 2];
  for (let i = 0; i < x.length; i++) {
    x[i] = zero[0] + at.x[i] * scale;
    y[i] = zero[1] - at.y[i] * scale;
  }
  paintAxes(Math.round(zero[0] * ratio), Math.round(zero[1] * ratio));
  paintDots();
  pens[0].putImageData(image, 0, 0);
  drawRings();
}

// Rings have a canvas of their own, so that pointing at a dot draws no other dot.
function drawRings() {
  const pen = pens[1];
  pen.clearRect(0, 0, pen.canvas.width, pen.canvas.height);
  pen.strokeStyle = color("--ink");
  for (const i of new Set([...pinned, chosen, here])) {
    if (i < 0 || state[i] === HIDDEN) continue;
    pen.fillStyle = data.labels[items[i][3]].color;
    pen.beginPath();
    pen.arc(x[i] * ratio, y[i] * ratio, radius * ratio, 0, 7);
    pen.fill();
    pen.beginPath();
    pen.arc(x[i] * ratio, y[i] * ratio, (radius + (i === here || i === chosen ? 3.5 : 1)) * ratio, 0, 7);
    pen.lineWidth = (i === here || i === chosen ? 2.4 : 2) * ratio;
    pen.stroke();
  }
}

function move() {  // from where the dots are to where the layer has them
  const from = copy(at), to = layers[layer], began = performance.now(), mine = ++turn;
  const time = matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 650;
  plot.dataset.moving = "yes";
  point(-1);
  requestAnimationFrame(function step(now) {
    if (mine !== turn) return;
    const t = time ? Math.max(0, Math.min(1, (now - began) / time)) : 1, ease = t * t * (3 - 2 * t);
    for (const axis of ["x", "y", "box"])
      for (let i = 0; i < to[axis].length; i++)
        at[axis][i] = t < 1 ? from[axis][i] + (to[axis][i] - from[axis][i]) * ease : to[axis][i];
    draw();
    if (t < 1) { requestAnimationFrame(step); return; }
    delete plot.dataset.moving;
    point(chosen);
  });
}

function describe() {
  const { name, explained } = layers[layer], [first, second] = explained.map(percent);
  find("#right").textContent = `First principal component, ${first} of the variance of this layer`;
  find("#up").textContent = `Second principal component, ${second} of the variance`;
  [...find("#ticks").children].forEach((tick, i) => tick.classList.toggle("now", i === layer));
  find("#note").textContent = !layer ? "The token layer knows a word's spelling, not its sentence: equal spellings fall together."
    : explained[0] > 0 ? "Similar vectors lie near each other. Each layer has axes of its own." : "Here all vectors are the same.";
  slider.setAttribute("aria-valuetext", `${name}, the axes show ${first} and ${second} of its variance`);
}
