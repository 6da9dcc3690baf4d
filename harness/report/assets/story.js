/* The minimal sub-history: each operation as an interval, on an axis of moments in their order, not of their lengths. */

const STORY_ROW = 44;
const STORY_TOP = 6;

function storyOf(story) {
  const figure = element('div.diagram');
  const redraw = () => figure.replaceChildren(diagram(story, Math.max(280, figure.clientWidth)));
  new ResizeObserver(redraw).observe(figure);
  const large = story.operations.length > 4 || story.operations.some((op) => op.label.length > 28);
  return element(large ? 'div.story.large' : 'div.story', {}, figure, storyTable(story));
}

function diagram({ operations, key }, width) {
  const moments = [...new Set(operations.flatMap((op) => [op.began_s, endOf(op)]).filter((time) => time !== null))].sort((a, b) => a - b);
  const left = width < 520 ? 30 : 128;
  const unit = (width - left - 16) / Math.max(1, moments.length);
  const x = (time) => left + (moments.indexOf(time) + 0.5) * unit;
  const height = STORY_TOP + operations.length * STORY_ROW + 40;
  const svg = shape('svg', { viewBox: `0 0 ${width} ${height}`, width, height, role: 'img',
    'aria-label': `The ${operations.length} operations on key ${key} that cannot be put into any order` });
  moments.forEach((time) => svg.append(shape('line', { class: 'moment', x1: x(time), x2: x(time), y1: STORY_TOP, y2: height - 34 })));
  operations.forEach((op, k) => svg.append(interval(op, k, STORY_TOP + k * STORY_ROW, { x, left, width, unit })));
  moments.slice(1).forEach((time, k) => svg.append(...distance(moments[k], time, x, unit, height - 34)));
  return svg;
}

/** As its lane is called below. */
const clientOf = (op) => (op.index === null ? `process ${op.process}` : `client ${ops.lane[op.index]}`);

/** Of unknown outcome: no end. */
const endOf = (op) => (op.type === 'info' ? null : op.ended_s);

function interval(op, k, y, { x, left, width, unit }) {
  const begin = x(op.began_s);
  const end = endOf(op) === null ? width - 6 : x(op.ended_s);
  const kind = op.culprit ? 'culprit' : op.type === 'info' ? 'info' : op.type === 'fail' ? 'fail' : READS.has(op.f) ? 'read' : 'write';
  const row = shape('g', { class: `interval ${kind}` });
  row.append(shape('circle', { class: 'number', cx: 13, cy: y + 22, r: 9.5 }));
  row.append(text(String(k + 1), 13, y + 26, 'number', 'middle'));
  if (left > 60) row.append(text(clientOf(op), 32, y + 19, 'who'), text(op.node ? `at ${clipped(op.node, 12)}` : '', 32, y + 33, 'whom'));
  const path = endOf(op) === null
    ? `M${end},${y + 20} H${begin} V${y + 36} H${end}`
    : `M${begin},${y + 20} H${Math.max(end, begin + 4)} V${y + 36} H${begin} Z`;
  row.append(shape('path', { class: 'bar', d: path }));
  const late = begin > left + (width - left) * 0.55;
  const words = `${op.label}${op.type === 'fail' ? ` (${op.error || 'failed'})` : op.type === 'info' ? ' (unknown)' : ''}${op.culprit ? ' ✕' : ''}`;
  const letters = Math.max(12, Math.floor((late ? end - left : width - begin) / 7));
  const at = late ? Math.max(end, begin + 4) : begin;
  row.append(text(bothEnds(words, letters), at, y + 14, 'label', late ? 'end' : 'start'));
  return row;
}

function text(words, x, y, kind, anchor = 'start') {
  return shape('text', { class: kind, x, y, 'text-anchor': anchor }, words);
}

/** How long it really was between two moments that are drawn side by side. */
function distance(from, to, x, unit, y) {
  const line = shape('path', { class: 'distance', d: `M${x(from)},${y} v6 H${x(to)} v-6` });
  return unit < 46 ? [line] : [line, text(span(to - from), (x(from) + x(to)) / 2, y + 20, 'distance', 'middle')];
}

function storyTable({ operations }) {
  const zero = operations[0].began_s;
  const columns = ['', 'client', 'node', 'operation', 'began', 'ended', 'outcome'];
  const rows = operations.map((op, k) => element(op.culprit ? 'tr.culprit' : 'tr', {},
    element('td', {}, String(k + 1)),
    element('td', {}, clientOf(op).replace('client ', '')),
    element('td', {}, op.node || '–'),
    element('td.operation', {}, op.label),
    element('td.number', {}, `+${span(op.began_s - zero)}`),
    element('td.number', {}, op.ended_s === null ? '–' : `+${span(op.ended_s - zero)}`),
    element('td', {}, op.culprit ? 'cannot be explained' : op.type === 'info' ? 'unknown' : op.type === 'fail' ? op.error || 'failed' : 'ok')));
  return element('div.scroll', {}, element('table', {},
    element('thead', {}, element('tr', {}, ...columns.map((column) => element('th', {}, column)))),
    element('tbody', {}, ...rows)));
}
