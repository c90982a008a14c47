'use strict';
const { names, charts } = JSON.parse(document.getElementById('data').textContent);
const figures = document.querySelectorAll('.charts figure');
const controls = document.getElementById('controls');
const checked = name => [...controls.querySelectorAll(`[name=${name}]`)].map(box => box.checked);
const color = name => getComputedStyle(document.documentElement).getPropertyValue(name);
const short = value => {
  const rounded = Number(value.toPrecision(5));
  return Math.abs(rounded) >= 1e6 ? rounded.toExponential() : String(rounded);
};
const WHOLE = [...Array(9).keys()].flatMap(power => [1, 2, 5].map(k => k * 10 ** power));

charts.forEach((chart, number) => {
  const figure = figures[number], place = figure.querySelector('.plot');
  // "NaN" and "Infinity" are texts in the data
  const curves = chart.curves.map(([steps, values]) => new Map(
    steps.map((step, k) => [step, Number(values[k])])));
  const data = uPlot.join(curves.map(curve => [
    [...curve.keys()], [...curve.values()].map(value => Number.isFinite(value) ? value : null)]));
  const steps = data[0], last = steps.length - 1;
  const positive = data.slice(1).flat().every(value => value == null || value > 0);
  let plot;

  function showValues({ cursor }) {
    const step = steps[cursor.idx] ?? '–';
    const values = curves.map((curve, k) => {
      const nearest = steps[cursor.idxs?.[k + 1]];  // where this run has a value
      if (nearest === undefined) return '–';
      return short(curve.get(nearest)) + (nearest === step ? '' : ` at ${nearest}`);
    });
    figure.querySelector('output').textContent = step;
    figure.querySelectorAll('.value').forEach((cell, k) => { cell.textContent = values[k]; });
    place.ariaValueNow = steps[cursor.idx ?? last];
    place.ariaValueText = `${chart.axis} ${step}: ${names.map((name, k) => `${name} ${values[k]}`).join(', ')}`;
  }

  function markNotFinite({ ctx, bbox, series, valToPos }) {
    ctx.font = `${16 * devicePixelRatio}px sans-serif`;
    ctx.textAlign = 'center';
    ctx.textBaseline = 'top';
    curves.forEach((curve, k) => {
      ctx.fillStyle = color(`--c${k % 8}`);
      for (const [step, value] of curve) {
        const x = valToPos(step, 'x', true);
        if (!Number.isFinite(value) && series[k + 1].show && x >= bbox.left && x <= bbox.left + bbox.width)
          ctx.fillText('×', x, bbox.top);
      }
    });
  }

  function draw() {
    plot?.destroy();
    const line = { stroke: color('--line'), width: 1 };
    const axis = { stroke: color('--faint'), grid: line, ticks: line };
    plot = new uPlot({
      width: place.clientWidth, height: place.clientHeight, legend: { show: false },
      cursor: { y: false, sync: { key: chart.section, scales: ['x', null] } },
      scales: { x: { time: false }, y: { distr: chart.is_loss && positive && checked('log')[0] ? 3 : 1 } },
      axes: [{ ...axis, incrs: WHOLE },
        { ...axis, size: 64, values: (_, ticks) => ticks.map(tick => tick === null ? '' : short(tick)) }],
      series: [{}, ...checked('run').map((show, k) => ({
        show, stroke: color(`--c${k % 8}`), width: 1.5, dash: k > 7 ? [6, 4] : [] }))],
      hooks: { setCursor: [showValues], draw: [markNotFinite] },
    }, data, place);
  }

  place.ariaValueMin = steps[0];
  place.ariaValueMax = place.ariaValueNow = steps[last];
  place.addEventListener('keydown', event => {
    const now = plot.cursor.idx;
    const to = { ArrowLeft: (now ?? last + 1) - 1, ArrowRight: (now ?? -1) + 1, Home: 0, End: last }[event.key];
    if (event.key === 'Escape') controls.dispatchEvent(new Event('change'));
    if (to === undefined) return;
    event.preventDefault();
    const step = steps[Math.min(Math.max(to, 0), last)];
    plot.setCursor({ left: plot.valToPos(step, 'x'), top: plot.over.clientHeight / 2 }, true, true);
  });
  draw();
  controls.addEventListener('change', draw);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
  new ResizeObserver(() => plot.setSize({ width: place.clientWidth, height: place.clientHeight })).observe(place);
});
