"use strict";

/* One segment of traces: base64 of a header byte per row (bits 0-4 the Rice parameter, 5-6 the order of difference,
   7 set where the row above was subtracted), then Rice codes. Returns one Float32Array of microvolts per row. */
function decodeTraces(text, rows, samples, stepUv) {
  const bytes = atob(text);
  const traces = [];
  let at = rows * 8;
  const bit = () => (bytes.charCodeAt(at >> 3) >> (7 - (at++ & 7))) & 1;
  let above = new Int32Array(samples);
  for (let row = 0; row < rows; row++) {
    const head = bytes.charCodeAt(row);
    const low = head & 31;
    const steps = new Int32Array(samples);
    for (let i = 0; i < samples; i++) {
      let value = 0;
      while (!bit()) value++;
      for (let place = 0; place < low; place++) value = value * 2 + bit();
      steps[i] = value % 2 ? -(value + 1) / 2 : value / 2;
    }
    for (let order = (head >> 5) & 3; order > 0; order--) {
      for (let i = 1; i < samples; i++) steps[i] += steps[i - 1];
    }
    if (head & 128) {
      for (let i = 0; i < samples; i++) steps[i] += above[i];
    }
    traces.push(Float32Array.from(steps, (value) => value * stepUv));
    above = steps;
  }
  return traces;
}
