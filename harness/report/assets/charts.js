/* The overview, the time axis, throughput and latency: what the clients saw, with the faults shaded. */

/** A track: a canvas as wide as the instrument, ``height()`` high, painted by ``draw(pen, width, height)``. */
function track(title, note, height, draw, label) {
  const canvas = element('canvas', { role: 'img', 'aria-label': label || title });
  const box = element('section.track', {}, title ? element('h3', {}, title, note ? element('small', {}, ...[note].flat()) : '') : '', canvas);
  const paint = () => {
    const width = box.clientWidth;
    const tall = height();
    const scale = window.devicePixelRatio || 1;
    if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(tall * scale)) {
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(tall * scale);
      canvas.style.height = `${tall}px`;
    }
    const pen = canvas.getContext('2d');
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, width, tall);
    pen.font = `11px ${colour.font}`;
    pen.textBaseline = 'middle';
    draw(pen, width, tall);
  };
  return { box, canvas, paint };
}

/** Everything inside is cut off at the ends of the time axis. */
function within(pen, height, paint) {
  pen.save();
  pen.beginPath();
  pen.rect(view.left, 0, view.width, height);
  pen.clip();
  paint();
  pen.restore();
}

function gutter(pen, text, y, ink = colour['ink-2']) {
  pen.fillStyle = ink;
  pen.textAlign = 'right';
  pen.fillText(text, view.left - 10, y);
  pen.textAlign = 'left';
}

const healed = (fault) => fault.healed_s ?? RUN_END;

function shadeFaults(pen, height) {
  pen.fillStyle = colour.fault;
  for (const fault of told.faults) {
    if (healed(fault) < view.begin || fault.began_s > view.end) continue;
    const x = xOf(fault.began_s);
    pen.globalAlpha = 0.09;
    pen.fillRect(x, 0, Math.max(1, xOf(healed(fault)) - x), height);
    pen.globalAlpha = 0.45;
    pen.fillRect(x, 0, 1, height);
  }
  pen.globalAlpha = 1;
}

function ticks() {
  const step = round125((view.end - view.begin) / Math.max(2, view.width / 96));
  const found = [];
  for (let k = Math.ceil(view.begin / step); k * step <= view.end; k++) found.push(k * step);
  return { step, at: found };
}

function gridLines(pen, height) {
  pen.fillStyle = colour.line;
  for (const time of ticks().at) pen.fillRect(Math.round(xOf(time)), 0, 1, height);
}

function drawAxis(pen, width, height) {
  const { step, at } = ticks();
  pen.textAlign = 'center';
  for (const time of at) {
    const x = Math.round(xOf(time));
    pen.fillStyle = colour['ink-3'];
    pen.fillRect(x, height - 5, 1, 5);
    pen.fillStyle = colour['ink-2'];
    if (x > view.left + 8 && x < view.left + view.width - 14) pen.fillText(moment(time + 0, step), x, height / 2 - 2);
  }
  pen.textAlign = 'left';
}

/** Operations that ended in each slice of [begin, end): counts by outcome and ascending latencies of the ok ones. */
function slices(begin, end, length) {
  const first = Math.floor(begin / length);
  const found = Array.from({ length: Math.max(1, Math.ceil(end / length) - first) }, (_, k) => (
    { begin: (first + k) * length, all: 0, ok: 0, mismatch: 0, fail: 0, info: 0, took: [] }));
  for (let k = lowerBound(ops.endTimes, first * length); k < ops.byEnd.length; k++) {
    const i = ops.byEnd[k];
    const slice = found[Math.floor(ops.ended[i] / length) - first];
    if (!slice) break;
    slice.all++;
    slice[ops.outcome(i)]++;
    if (ops.type(i) === 'ok') slice.took.push(ops.ended[i] - ops.began[i]);
  }
  for (const slice of found) slice.took.sort((a, b) => a - b);
  return found;
}

const rank = (ascending, share) => ascending[Math.ceil(share * ascending.length) - 1];

/** Wide enough to be seen, and to hold several operations on the average. */
function sliceLength(pixels = 7, operations = 6) {
  const average = RUN_END / Math.max(1, ops.count);
  return round125(Math.max(((view.end - view.begin) / view.width) * pixels, Math.min(average * operations, 1)));
}

function drawThroughput(pen, width, height) {
  const length = sliceLength();
  const found = slices(view.begin, view.end, length);
  const most = Math.max(1, ...found.map((slice) => slice.all / length));
  const step = round125(most / 3);
  const top = Math.ceil(most / step) * step;
  const y = (rate) => height - 1 - (rate / top) * (height - 10);
  for (let rate = step; rate <= top * 1.001; rate += step) {
    pen.fillStyle = colour.line;
    pen.fillRect(view.left, Math.round(y(rate)), view.width, 1);
    gutter(pen, rate < 10 ? String(+rate.toFixed(1)) : grouped(rate), y(rate));
  }
  within(pen, height, () => {
    shadeFaults(pen, height);
    for (const slice of found) {
      const x = xOf(slice.begin);
      const wide = Math.max(1, xOf(slice.begin + length) - x - (view.width / found.length > 5 ? 1 : 0));
      let from = 0;
      for (const [outcome, ink] of Object.entries({ ok: 'write', mismatch: 'read', info: 'info', fail: 'fail' })) {
        if (!slice[outcome]) continue;
        const rate = slice[outcome] / length;
        const tall = Math.max(y(from) - y(from + rate), outcome === 'ok' ? 0 : 2);
        pen.fillStyle = colour[ink];
        pen.fillRect(x, y(from) - tall, wide, tall);
        from += rate;
      }
    }
  });
  pen.fillStyle = colour['line-2'];
  pen.fillRect(view.left, height - 1, view.width, 1);
}

const LATENCY_DOTS_MAX = 600;

function drawLatency(pen, width, height) {
  const length = sliceLength(10, 24);
  const found = slices(view.begin - length, view.end + length, length).filter((slice) => slice.took.length);
  const low = Math.log10(Math.max(1e-5, Math.min(...found.map((slice) => slice.took[0]), 1e-3)));
  const high = Math.log10(Math.max(...found.map((slice) => slice.took.at(-1)), 1e-2)) + 0.1;
  const y = (took) => height - 6 - ((Math.log10(Math.max(took, 1e-6)) - low) / (high - low)) * (height - 14);
  for (let power = Math.ceil(low); power <= high; power++) {
    pen.fillStyle = colour.line;
    pen.fillRect(view.left, Math.round(y(10 ** power)), view.width, 1);
    gutter(pen, power >= 0 ? `${10 ** power} s` : power >= -3 ? `${10 ** (power + 3)} ms` : `${10 ** (power + 6)} µs`, y(10 ** power));
  }
  within(pen, height, () => {
    shadeFaults(pen, height);
    drawDots(pen, y);
    for (const [share, ink, dash] of [[0.99, colour.p99, [5, 3]], [0.5, colour.p50, []]]) {
      pen.strokeStyle = ink;
      pen.lineWidth = 1.6;
      pen.setLineDash(dash);
      pen.lineJoin = 'round';
      pen.beginPath();
      let before = -Infinity;
      for (const slice of found) {
        const x = xOf(slice.begin + length / 2);
        const at = y(rank(slice.took, share));
        // A line across a time without an answer would claim that there was one.
        if (slice.begin - before > length * 1.5) pen.moveTo(x - 2, at), pen.lineTo(x, at);
        else pen.lineTo(x, at);
        before = slice.begin;
      }
      pen.stroke();
      pen.setLineDash([]);
    }
  });
  pen.fillStyle = colour['line-2'];
  pen.fillRect(view.left, height - 1, view.width, 1);
}

function drawDots(pen, y) {
  const from = lowerBound(ops.endTimes, view.begin);
  const to = lowerBound(ops.endTimes, view.end);
  if (to - from > LATENCY_DOTS_MAX) return;
  for (let k = from; k < to; k++) {
    const i = ops.byEnd[k];
    if (ops.type(i) !== 'ok') continue;
    pen.globalAlpha = passes(i) ? 0.55 : 0.12;
    pen.fillStyle = colour.write;
    pen.fillRect(xOf(ops.ended[i]) - 1.5, y(ops.ended[i] - ops.began[i]) - 1.5, 3, 3);
  }
  pen.globalAlpha = 1;
}

/* ---- the overview: the whole run, and which part of it the rest shows */

const overviewX = (time) => view.left + ((time + MARGIN) / (RUN_END + 2 * MARGIN)) * view.width;
const overviewTime = (x) => ((x - view.left) / view.width) * (RUN_END + 2 * MARGIN) - MARGIN;
let overviewSlices = null;

function drawOverview(pen, width, height) {
  const bars = Math.min(160, Math.max(20, Math.floor(view.width / 5)));
  if (overviewSlices?.length !== bars) {
    overviewSlices = slices(0, RUN_END, RUN_END / bars).slice(0, bars);
  }
  const top = Math.max(1, ...overviewSlices.map((slice) => slice.all));
  pen.fillStyle = colour.fault;
  pen.globalAlpha = 0.16;
  for (const fault of told.faults) {
    const x = overviewX(fault.began_s);
    pen.fillRect(x, 0, Math.max(1, overviewX(healed(fault)) - x), height);
  }
  pen.globalAlpha = 1;
  for (const slice of overviewSlices) {
    const x = overviewX(slice.begin);
    const wide = Math.max(1, overviewX(slice.begin + RUN_END / bars) - x - 1);
    const tall = ((slice.ok + slice.mismatch) / top) * (height - 8);
    pen.fillStyle = colour.read;
    pen.fillRect(x, height - tall, wide, tall);
    pen.fillStyle = colour.info;
    if (slice.info + slice.fail) pen.fillRect(x, height - tall - 2, wide, 2);
  }
  drawOverviewWindow(pen, height);
  for (const time of violations()) {
    const x = overviewX(time);
    pen.fillStyle = colour.bad;
    pen.fillRect(x - 1, 0, 2, height);
    pen.beginPath();
    pen.moveTo(x - 5, 0), pen.lineTo(x + 5, 0), pen.lineTo(x, 7);
    pen.fill();
  }
}

function drawOverviewWindow(pen, height) {
  const [from, to] = [overviewX(view.begin), Math.max(overviewX(view.end), overviewX(view.begin) + 4)];
  if (isWhole()) return;
  pen.fillStyle = colour.panel;
  pen.globalAlpha = 0.66;
  pen.fillRect(view.left, 0, from - view.left, height);
  pen.fillRect(to, 0, view.left + view.width - to, height);
  pen.globalAlpha = 1;
  pen.strokeStyle = colour.ink;
  pen.lineWidth = 1;
  pen.strokeRect(Math.round(from) + 0.5, 0.5, Math.max(3, Math.round(to - from) - 1), height - 1);
}

/** Moments of failed checks that name one. */
function violations() {
  return told.answer.checks.filter((check) => check.validity === 'invalid' && check.time_s !== null).map((check) => check.time_s);
}

/** Drag inside the window moves it; anywhere else chooses a new one; a click centres it. */
function takeOverview(canvas) {
  let from = null;
  let moving = false;
  const offset = (event) => event.clientX - canvas.getBoundingClientRect().left;
  canvas.addEventListener('pointerdown', (event) => {
    event.stopPropagation();
    from = offset(event);
    moving = !isWhole() && Math.abs(from - overviewX((view.begin + view.end) / 2)) < Math.max(8, (overviewX(view.end) - overviewX(view.begin)) / 2);
    canvas.setPointerCapture(event.pointerId);
    flight++;
  });
  canvas.addEventListener('pointermove', (event) => {
    if (from === null || Math.abs(offset(event) - from) < 3) return;
    if (moving) {
      const by = overviewTime(offset(event)) - overviewTime(from);
      setWindow(view.begin + by, view.end + by);
      from = offset(event);
    } else setWindow(...[overviewTime(from), overviewTime(offset(event))].sort((a, b) => a - b));
  });
  canvas.addEventListener('pointerup', (event) => {
    if (from !== null && !moving && Math.abs(offset(event) - from) < 3 && !isWhole()) {
      const half = (view.end - view.begin) / 2;
      travel(overviewTime(from) - half, overviewTime(from) + half);
    }
    from = null;
  });
}
