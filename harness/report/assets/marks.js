/* What things look like: words for times and values, colours of the theme, hatches, small pieces of document. */

const READS = new Set(['read', 'get']);
const TERM_COLOURS = 6;

function shown(value) {
  if (value === null || value === undefined) return '∅';
  if (typeof value === 'object' && Object.hasOwn(value, 'ends')) {
    const [length, ...rest] = value.ends;
    const half = rest.length / 2;
    return `[${rest.slice(0, half).join(' ')} … ${rest.slice(half).join(' ')}] (${length} elements)`;
  }
  if (typeof value === 'string' && value !== '' && !/[\p{C}]/u.test(value)) return value;
  return JSON.stringify(value);
}

function clipped(text, length) {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}

/** Of a list the last elements tell the most. */
function bothEnds(text, length) {
  const half = Math.floor(length / 2);
  return text.length <= length ? text : `${text.slice(0, half - 1)}…${text.slice(-half)}`;
}

/** As one says it: write v21, read → v17, cas v1 → v2. */
function describe(i) {
  const f = ops.f(i);
  const asked = ops.value(i);
  if (READS.has(f)) return `${f} → ${ops.type(i) === 'ok' ? shown(ops.result(i)) : '?'}`;
  if (f === 'cas' && Array.isArray(asked)) return `cas ${shown(asked[0])} → ${shown(asked[1])}`;
  return asked === null ? f : `${f} ${shown(asked)}`;
}

/** A duration with about three digits. */
function span(seconds) {
  if (seconds === 0) return '0';
  if (seconds >= 10) return `${seconds.toFixed(1)} s`;
  if (seconds >= 1) return `${seconds.toFixed(2)} s`;
  const ms = seconds * 1000;
  if (ms >= 1) return `${ms.toFixed(ms >= 100 ? 0 : ms >= 10 ? 1 : 2)} ms`;
  return `${(ms * 1000).toFixed(0)} µs`;
}

/** A moment of the run, with as many decimals as tell it from others ``step`` away. */
function moment(seconds, step) {
  const decimals = Math.max(0, Math.min(6, Math.ceil(-Math.log10(step) - 1e-9)));
  return `${seconds.toFixed(decimals)} s`;
}

/** The least of 1, 2, 5 times a power of ten that is not below ``least``. */
function round125(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= least * 0.999999);
}

function grouped(number) {
  return Math.round(number).toLocaleString('en-US');
}

/** ``element('a.link', {href}, 'text')``; text is text, never markup. */
function element(kind, attributes = {}, ...children) {
  const [tag, ...classes] = kind.split('.');
  const made = document.createElement(tag);
  if (classes.length) made.className = classes.join(' ');
  for (const [key, given] of Object.entries(attributes)) {
    if (key.startsWith('on')) made.addEventListener(key.slice(2), given);
    else if (given !== false && given !== null) made.setAttribute(key, given === true ? '' : given);
  }
  made.append(...children.filter((child) => child !== null && child !== ''));
  return made;
}

function shape(tag, attributes, ...children) {
  const made = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [key, given] of Object.entries(attributes)) made.setAttribute(key, given);
  made.append(...children);
  return made;
}

const COLOURS = ['ink', 'ink-2', 'ink-3', 'line', 'line-2', 'panel', 'write', 'read', 'fail', 'info', 'bad', 'fault',
  'gone', 'p50', 'p99', 'on-colour', 'on-term'];

/** The theme's colours as the canvas takes them: the style sheet is their only home. */
let colour = {};
function readColours() {
  const probe = document.body.appendChild(element('i', { hidden: true }));
  const resolved = (variable) => {
    probe.style.color = `var(--${variable})`;
    return getComputedStyle(probe).color;
  };
  colour = Object.fromEntries(COLOURS.map((key) => [key, resolved(key)]));
  colour.term = Array.from({ length: TERM_COLOURS }, (_, i) => resolved(`term-${i}`));
  colour.font = getComputedStyle(document.body).fontFamily;
  probe.remove();
  hatches.clear();
}

const hatches = new Map();
/** Stripes: 'rise' (unknown, no leader), 'fall' (candidate), 'bars' (paused), 'cross' (dead). */
function hatch(context, kind, ink) {
  const key = `${kind} ${ink}`;
  if (!hatches.has(key)) {
    const size = 6;
    const scale = window.devicePixelRatio || 1;
    const tile = document.createElement('canvas');
    tile.width = tile.height = Math.round(size * scale);
    const pen = tile.getContext('2d');
    pen.scale(tile.width / size, tile.width / size);
    pen.strokeStyle = ink;
    pen.lineWidth = 1.2;
    pen.beginPath();
    for (let k = -size; k <= 2 * size; k += size) {
      if (kind === 'rise' || kind === 'cross') pen.moveTo(k, size), pen.lineTo(k + size, 0);
      if (kind === 'fall' || kind === 'cross') pen.moveTo(k, 0), pen.lineTo(k + size, size);
      if (kind === 'bars') pen.moveTo(k + size / 2, 0), pen.lineTo(k + size / 2, size);
    }
    pen.stroke();
    const pattern = context.createPattern(tile, 'repeat');
    pattern.setTransform(new DOMMatrix().scale(size / tile.width));
    hatches.set(key, pattern);
  }
  return hatches.get(key);
}
