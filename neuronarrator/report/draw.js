/* Draws one segment as a page of EEG: negative up, one-second grid, calibration bar, artifacts and annotations. */
const COLOURS = { left: "#1d4f9f", right: "#b3261e", midline: "#161616", other: "#4a4a4a" };
const MARGIN = { left: 46, right: 48, top: 26, bottom: 28 };
const CHAIN_GAP_PX = 7;
const PX_PER_MM = 96 / 25.4;
const BAD_CONTACT = ["electrode", "flat", "missing"];
const FONT = "11px system-ui, 'Segoe UI', 'Liberation Sans', sans-serif";

function clock(seconds) {
  const tenths = Math.round(seconds * 10);
  const hours = Math.floor(tenths / 36000);
  const minutes = Math.floor(tenths / 600) % 60;
  const rest = (tenths % 600) / 10;
  const second = (rest < 10 ? "0" : "") + (Number.isInteger(rest) ? rest : rest.toFixed(1));
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${second}` : `${minutes}:${second}`;
}

/* Vertical centre of each row and the height of the whole picture. */
function layoutRows(page) {
  const centres = [];
  let y = MARGIN.top;
  for (const row of page.rows) {
    if (row.gap) y += CHAIN_GAP_PX;
    centres.push(y + page.row_px / 2);
    y += page.row_px;
  }
  return { centres, bottom: y, height: y + MARGIN.bottom };
}

/* Subtracts the mean of the rows without a bad contact; tells how many took part. */
function averageReference(traces, segment) {
  const bad = new Set(segment.artifacts.filter((a) => BAD_CONTACT.includes(a.kind)).flatMap((a) => a.rows));
  const used = traces.filter((_, row) => !bad.has(row));
  if (!used.length) return { traces, used: 0 };
  const mean = new Float32Array(segment.samples);
  for (const trace of used) for (let i = 0; i < mean.length; i++) mean[i] += trace[i] / used.length;
  return { traces: traces.map((trace) => trace.map((value, i) => value - mean[i])), used: used.length };
}

function drawSegment(canvas, page, segment, traces, uvPerMm, scale) {
  const width = canvas.parentElement.clientWidth;
  const rows = layoutRows(page);
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(rows.height * scale);
  canvas.style.height = `${rows.height}px`;
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  pen.font = FONT;
  const plot = { left: MARGIN.left, right: width - MARGIN.right, top: MARGIN.top, bottom: rows.bottom };
  const xOf = (seconds) => plot.left + ((seconds - segment.start_s) / segment.duration_s) * (plot.right - plot.left);
  drawGrid(pen, plot, segment, xOf);
  const brief = segment.artifacts.filter((a) => a.duration_s < segment.duration_s && a.rows.length);
  pen.save();
  pen.beginPath();
  pen.rect(plot.left, 0, plot.right - plot.left, plot.bottom + 10);
  pen.clip();
  shadeArtifacts(pen, page, rows, brief, xOf);
  drawAnnotations(pen, plot, segment, xOf);
  drawTraces(pen, page, plot, rows, segment, traces, uvPerMm);
  nameArtifacts(pen, page, rows, brief, xOf);
  pen.restore();
  drawNames(pen, page, rows, segment);
  drawCalibration(pen, page, plot, uvPerMm, width);
  return (plot.right - plot.left) / PX_PER_MM / segment.duration_s;
}

function line(pen, colour, x0, y0, x1, y1) {
  pen.strokeStyle = colour;
  pen.beginPath();
  pen.moveTo(x0, y0);
  pen.lineTo(x1, y1);
  pen.stroke();
}

function drawGrid(pen, plot, segment, xOf) {
  pen.lineWidth = 1;
  pen.textAlign = "center";
  pen.fillStyle = "#5c6470";
  const end = segment.start_s + segment.duration_s;
  for (let fifth = Math.ceil(segment.start_s * 5 - 1e-6); fifth / 5 <= end + 1e-6; fifth++) {
    const x = Math.round(xOf(fifth / 5)) + 0.5;
    const whole = fifth % 5 === 0;
    line(pen, whole ? "#bcc4cf" : "#eef0f4", x, plot.top - 4, x, plot.bottom + 8);
    if (whole) pen.fillText(clock(fifth / 5), x, plot.bottom + 22);
  }
}

/* Artifacts shorter than the segment are shaded where they are; lasting ones are told by their channel names. */
function shadeArtifacts(pen, page, rows, brief, xOf) {
  pen.fillStyle = "rgba(217, 160, 20, 0.22)";
  for (const artifact of brief) {
    const left = xOf(artifact.start_s);
    const wide = Math.max(xOf(artifact.start_s + artifact.duration_s) - left, 2);
    for (const row of artifact.rows) pen.fillRect(left, rows.centres[row] - page.row_px / 2, wide, page.row_px);
  }
}

function nameArtifacts(pen, page, rows, brief, xOf) {
  pen.textAlign = "left";
  pen.lineWidth = 3;
  pen.strokeStyle = "rgba(255, 255, 255, 0.85)";
  pen.fillStyle = "#7a5600";
  let free = 0;
  for (const artifact of brief) {
    const x = xOf(artifact.start_s);
    if (x < free) continue;
    const y = rows.centres[Math.min(...artifact.rows)] - page.row_px / 2;
    pen.strokeText(artifact.kind, x, y);
    pen.fillText(artifact.kind, x, y);
    free = x + pen.measureText(artifact.kind).width + 4;
  }
}

function drawAnnotations(pen, plot, segment, xOf) {
  pen.textAlign = "left";
  pen.fillStyle = "#5b2b82";
  let free = 0;
  for (const note of segment.annotations) {
    const x = Math.round(xOf(note.start_s)) + 0.5;
    pen.setLineDash([3, 3]);
    line(pen, "#8a5fb0", x, plot.top - 22, x, plot.bottom + 8);
    pen.setLineDash([]);
    if (x < free) continue;
    const text = note.text.length > 40 ? `${note.text.slice(0, 39)}…` : note.text;
    pen.fillText(text, x + 3, plot.top - 14);
    free = x + 10 + pen.measureText(text).width;
  }
}

function drawTraces(pen, page, plot, rows, segment, traces, uvPerMm) {
  const pxPerUv = PX_PER_MM / uvPerMm;
  const pxPerSample = (plot.right - plot.left) / (segment.duration_s * page.rate);
  pen.lineWidth = 0.9;
  pen.lineJoin = "round";
  traces.forEach((trace, row) => {
    pen.strokeStyle = COLOURS[page.rows[row].side];
    pen.beginPath();
    for (let i = 0; i < trace.length; i++) {
      pen.lineTo(plot.left + i * pxPerSample, rows.centres[row] + trace[i] * pxPerUv);
    }
    pen.stroke();
  });
}

function drawNames(pen, page, rows, segment) {
  const lasting = segment.artifacts.filter((a) => a.duration_s >= segment.duration_s);
  const marked = new Set(lasting.flatMap((a) => a.rows));
  pen.textAlign = "right";
  page.rows.forEach((row, index) => {
    const y = rows.centres[index];
    if (marked.has(index)) {
      pen.fillStyle = "#f3dfae";
      pen.fillRect(0, y - 7, MARGIN.left - 4, 14);
    }
    pen.fillStyle = COLOURS[row.side];
    pen.fillText(row.name.length > 7 ? `${row.name.slice(0, 6)}…` : row.name, MARGIN.left - 8, y + 4);
  });
}

/* A bar of a round number of microvolts, 5 to 14 mm tall, in the right margin. */
function drawCalibration(pen, page, plot, uvPerMm, width) {
  const round = [10, 20, 50, 100, 200, 500, 1000, 2000].find((uv) => uv / uvPerMm >= 5) || 5000;
  const tall = (round / uvPerMm) * PX_PER_MM;
  const x = plot.right + 14.5;
  const middle = (plot.top + plot.bottom) / 2;
  pen.lineWidth = 1.5;
  for (const y of [middle - tall / 2, middle + tall / 2]) line(pen, "#161616", x - 4, y, x + 4, y);
  line(pen, "#161616", x, middle - tall / 2, x, middle + tall / 2);
  pen.textAlign = "left";
  pen.fillStyle = "#161616";
  pen.fillText(`${round}`, x + 8, middle);
  pen.fillText("µV", x + 8, middle + 13);
}
