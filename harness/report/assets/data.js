/* The run, unpacked from its columns (harness/report/columns.py packs them): typed arrays by operation, seconds. */

const told = JSON.parse(document.getElementById('run').textContent);
const name = (number) => told.names[number];

function running(deltas, scale) {
  const sums = new Float64Array(deltas.length);
  let sum = 0;
  for (let i = 0; i < deltas.length; i++) {
    sum += deltas[i];
    sums[i] = sum * scale;
  }
  return sums;
}

const ops = (() => {
  const packed = told.operations;
  const count = packed.f.length;
  const began = running(packed.began, 1e-6);
  const ended = Float64Array.from(packed.took, (took, i) => (took < 0 ? Infinity : began[i] + took * 1e-6));
  const lane = Int32Array.from(packed.process, (process) => packed.lanes[process]);
  const outcomes = Array.from(packed.type, (type, i) => (
    name(type) === 'fail' && name(packed.error[i]) === 'CAS_MISMATCH' ? 'mismatch' : name(type)));
  const lanes = [];
  for (let i = 0; i < count; i++) (lanes[lane[i]] ||= []).push(i);
  const byEnd = Array.from({ length: count }, (_, i) => i).filter((i) => ended[i] < Infinity);
  byEnd.sort((a, b) => ended[a] - ended[b]);
  return {
    count, began, ended, lane, lanes, byEnd,
    endTimes: Float64Array.from(byEnd, (i) => ended[i]),
    process: (i) => packed.processes[packed.process[i]],
    type: (i) => name(packed.type[i]),
    f: (i) => name(packed.f[i]),
    key: (i) => name(packed.key[i]),
    node: (i) => name(packed.node[i]),
    error: (i) => name(packed.error[i]),
    value: (i) => value(packed.value[i]),
    result: (i) => value(packed.result[i] < 0 ? packed.value[i] : packed.result[i]),
    keyNumber: packed.key,
    /** ok, fail, info, or mismatch: a cas was told that the expected value was not there, which is an answer. */
    outcome: (i) => outcomes[i],
    mismatches: outcomes.filter((outcome) => outcome === 'mismatch').length,
  };
})();

/** A row of the table of values; a splice is undone from the first list on that it rests on. */
function value(number) {
  const values = told.operations.values;
  const chain = [];
  for (; isSplice(values[number]); number = values[number].splice[0]) chain.push(values[number].splice);
  if (!chain.length) return values[number];
  let list = values[number] || [];
  for (const [, prefix, suffix, ...middle] of chain.reverse()) {
    list = [...list.slice(0, prefix), ...middle, ...(suffix ? list.slice(-suffix) : [])];
  }
  return list;
}

function isSplice(row) {
  return row !== null && typeof row === 'object' && Object.hasOwn(row, 'splice');
}

/** Of each node: its samples in order, and stretches in which process, role and term stay the same. */
const nodes = (() => {
  const packed = told.samples;
  const time = running(packed.time, 1e-6);
  const of = new Map(told.nodes.map((node) => [node, { samples: [], stretches: [] }]));
  for (let i = 0; i < time.length; i++) {
    const { samples, stretches } = of.get(name(packed.node[i]));
    const before = samples.at(-1) || { commit: 0, applied: 0, last: 0 };
    const sample = {
      time: time[i], process: name(packed.process[i]), role: name(packed.role[i]) || '', term: packed.term[i],
      leader: name(packed.leader[i]), voters: name(packed.voters[i]),
      commit: before.commit + packed.commit[i], applied: before.applied + packed.applied[i],
      last: before.last + packed.last[i],
    };
    samples.push(sample);
    const open = stretches.at(-1);
    if (open) open.end = sample.time;
    if (!open || open.process !== sample.process || open.role !== sample.role || open.term !== sample.term) {
      stretches.push({ begin: sample.time, end: sample.time, ...sample });
    }
  }
  for (const [node, { samples, stretches }] of of) {
    if (stretches.length) stretches.at(-1).end = told.removed[node] ?? Math.max(stretches.at(-1).end, told.duration_s);
    // A node that does not answer has not lost its log: its index stays where it was last heard of.
    let held = { commit: 0, applied: 0, last: 0 };
    for (const sample of samples) {
      if (sample.role) held = sample;
      else Object.assign(sample, { commit: held.commit, applied: held.applied, last: held.last });
    }
  }
  return of;
})();

/** Index of the first of ``sorted`` that is not below ``limit``. */
function lowerBound(sorted, limit) {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}
