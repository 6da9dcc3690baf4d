/* Lanes of the clients: an operation is a box from its invoke to its end. */

const CLIENT_ROW = [[12, 20], [24, 17], [48, 12]].find(([lanes]) => ops.lanes.length <= lanes)?.[1] ?? 8;
const WORDS_MIN = 9; // of height, for a word in a box
const OPEN_TAIL = 8;
const starred = new Map(); // operation → its number in a sub-history

function box(i) {
  const x = xOf(ops.began[i]);
  const right = xOf(Math.min(ops.ended[i], RUN_END));
  return { x, wide: Math.max(ops.type(i) === 'ok' ? 1 : 2, right - x) };
}

function drawClients(pen, width, height) {
  within(pen, height, () => gridLines(pen, height));
  ops.lanes.forEach((indexes, lane) => {
    const y = lane * CLIENT_ROW;
    if (CLIENT_ROW >= 12 || lane % 5 === 0) gutter(pen, `client ${lane}`, y + CLIENT_ROW / 2);
    within(pen, height, () => drawLane(pen, indexes, y));
  });
  within(pen, height, () => {
    for (const [i, number] of starred) drawStar(pen, i, number);
    if (view.selected >= 0) outline(pen, view.selected, colour.ink, 2);
  });
}

/** Right answers first, then the rest over them, so that what went wrong is never hidden. */
function drawLane(pen, indexes, y) {
  // In a lane one thing is done at a time, so ends ascend as beginnings do.
  let from = lowerBoundBy(indexes, (i) => ops.ended[i], view.begin);
  const seen = [];
  for (; from < indexes.length && ops.began[indexes[from]] <= view.end; from++) seen.push(indexes[from]);
  for (const passing of view.keys ? [false, true] : [true]) {
    pen.globalAlpha = passing ? 1 : 0.13;
    for (const type of ['ok', 'fail', 'info']) {
      let painted = [-Infinity, -Infinity];
      for (const i of seen) {
        if (ops.type(i) !== type || passes(i) !== passing) continue;
        const { x, wide } = box(i);
        const reads = READS.has(ops.f(i)) ? 1 : 0;
        if (wide < 2 && x < painted[reads] + 0.7) continue;
        painted[reads] = x;
        drawBox(pen, i, type, reads, x, wide, y);
      }
    }
  }
  pen.globalAlpha = 1;
}

function lowerBoundBy(indexes, key, limit) {
  let low = 0;
  let high = indexes.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (key(indexes[middle]) < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

function drawBox(pen, i, type, reads, x, wide, y) {
  const inset = CLIENT_ROW >= 17 ? 2 : 1;
  const top = y + inset + (reads ? CLIENT_ROW * 0.16 : 0);
  const tall = CLIENT_ROW - 2 * inset - (reads ? CLIENT_ROW * 0.32 : 0);
  if (type === 'info') return drawUnknown(pen, x, wide, top, tall, i);
  pen.fillStyle = type === 'fail' ? colour.fail : reads ? colour.read : colour.write;
  if (wide > 9) {
    pen.beginPath();
    pen.roundRect(x, top, wide - 1, tall, 2); // a client begins the next thing at once: the two must not look like one
    pen.fill();
  } else pen.fillRect(x, top, wide, tall);
  if (type === 'fail' && wide >= 7) {
    pen.strokeStyle = colour['on-colour'];
    pen.lineWidth = 1.2;
    pen.beginPath();
    pen.moveTo(x + 2, top + 2), pen.lineTo(x + Math.min(wide, tall) - 2, top + tall - 2);
    pen.moveTo(x + 2, top + tall - 2), pen.lineTo(x + Math.min(wide, tall) - 2, top + 2);
    pen.stroke();
  }
  if (wide > 34 && tall >= WORDS_MIN && passes(i)) {
    const ink = reads && type === 'ok' ? colour.ink : colour['on-colour'];
    boxText(pen, i, x + (type === 'fail' ? tall + 2 : 5), x + wide, top + tall / 2 + 0.5, ink);
  }
}

/** Open to the right: whether and when it ended, nobody knows. */
function drawUnknown(pen, x, wide, top, tall, i) {
  pen.fillStyle = colour.panel;
  pen.fillRect(x, top, wide, tall);
  pen.fillStyle = hatch(pen, 'rise', colour.info);
  pen.fillRect(x, top, wide, tall);
  pen.strokeStyle = colour.info;
  pen.lineWidth = 1.5;
  pen.beginPath();
  pen.moveTo(x + wide, top), pen.lineTo(x + 0.75, top), pen.lineTo(x + 0.75, top + tall), pen.lineTo(x + wide, top + tall);
  if (wide > 14) pen.moveTo(x + wide, top), pen.lineTo(x + wide + OPEN_TAIL, top + tall / 2), pen.lineTo(x + wide, top + tall);
  pen.stroke();
  if (wide > 60 && tall >= WORDS_MIN && passes(i)) {
    const text = clipped(describe(i), 28);
    const long = pen.measureText(text).width;
    if (long + 10 > wide) return;
    const from = Math.max(x + 5, view.left + 4);
    pen.fillStyle = colour.panel;
    pen.fillRect(from - 2, top + 1.5, long + 4, tall - 3);
    pen.fillStyle = colour.ink;
    pen.fillText(text, from, top + tall / 2 + 0.5);
  }
}

function boxText(pen, i, x, right, y, ink) {
  const from = Math.max(x, view.left + 4);
  const room = right - from - 3;
  const keyed = ops.key(i) === null ? '' : ` · ${ops.key(i)}`;
  const text = [describe(i) + keyed, describe(i)].map((one) => clipped(one, 48)).find((one) => pen.measureText(one).width <= room);
  if (!text) return;
  pen.fillStyle = ink;
  pen.fillText(text, from, y);
}

function outline(pen, i, ink, wide) {
  const at = box(i);
  pen.strokeStyle = ink;
  pen.lineWidth = wide;
  pen.strokeRect(at.x - 1.5, ops.lane[i] * CLIENT_ROW + 0.5, at.wide + 3, CLIENT_ROW - 1);
}

function drawStar(pen, i, number) {
  outline(pen, i, colour.bad, 2);
  const { x } = box(i);
  const y = ops.lane[i] * CLIENT_ROW + CLIENT_ROW / 2;
  pen.fillStyle = colour.bad;
  pen.beginPath();
  pen.arc(x - 10, y, 7.5, 0, 7);
  pen.fill();
  pen.fillStyle = colour['on-colour'];
  pen.textAlign = 'center';
  pen.fillText(String(number), x - 10, y + 0.5);
  pen.textAlign = 'left';
}
