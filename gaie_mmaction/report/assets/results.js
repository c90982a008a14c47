'use strict';
// Texts from the data only ever enter by textContent and title: nothing of them becomes HTML.
const data = JSON.parse(document.getElementById('data').textContent);
const form = document.getElementById('filters');
const matrix = document.getElementById('matrix');
const order = document.getElementById('order');
const list = document.getElementById('list');
const spacer = document.getElementById('spacer');
const labelled = data.labels.some(label => label >= 0);
const percent = value => `${(100 * value).toFixed(1)} %`;

function make(tag, text = '', properties = {}) {
  const element = Object.assign(document.createElement(tag), properties);
  if (text !== '') element.textContent = text;
  return element;
}

// The filters are the part of the address behind #, so a link shows the same clips.
const state = () => Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
const shownNetwork = () => data.networks[state().network] ? Number(state().network) : 0;

function filterClips() {
  const wanted = state();
  const shown = data.networks[shownNetwork()];
  const number = key => wanted[key] ? Number(wanted[key]) : null;
  const [truth, pred, second] = [number('true'), number('pred'), number('second')];
  const [low, high] = [number('min') ?? 0, number('max') ?? 1];
  const text = (wanted.q ?? '').toLowerCase();
  const outcomes = [...(wanted.outcome ?? '').matchAll(/([rw])(\d+)/g)]
    .filter(([, , k]) => data.networks[k])
    .map(([, kind, k]) => [kind === 'r', data.networks[k].best]);
  const found = [];
  for (let k = 0; k < data.ids.length; k++) {
    const label = data.labels[k];
    const confidence = shown.scores[k][0];
    if ((truth === null || label === truth)
        && (pred === null || shown.best[k][0] === pred)
        && (second === null || shown.best[k][1] === second)
        && confidence >= low && confidence <= high
        && (!text || data.ids[k].toLowerCase().includes(text))
        && outcomes.every(([right, best]) => label >= 0 && (best[k][0] === label) === right)) {
      found.push(k);
    }
  }
  const keys = {
    loss: k => -(shown.losses[k] ?? -1), sure: k => -shown.scores[k][0],
    unsure: k => shown.scores[k][0],
  };
  const key = keys[wanted.sort];
  return key ? found.sort((a, b) => key(a) - key(b)) : found;
}

// Only the cards in view exist: thousands of clips stay fast.
const CARD_WIDTH = 230;
const CARD_HEIGHT = 172 + 20 * data.networks.length + (data.previews ? 135 : 0);
let clips = [];
const cards = new Map();

const countColumns = () => Math.max(1, Math.floor(list.clientWidth / CARD_WIDTH));

function drawCards() {
  const columns = countColumns();
  const width = Math.floor(list.clientWidth / columns);
  spacer.style.height = `${CARD_HEIGHT * Math.ceil(clips.length / columns)}px`;
  const first = Math.max(0, Math.floor(list.scrollTop / CARD_HEIGHT) - 1) * columns;
  const rows = Math.ceil(list.clientHeight / CARD_HEIGHT) + 3;
  const visible = new Set();
  for (let place = first; place < Math.min(clips.length, first + rows * columns); place++) {
    visible.add(place);
    if (!cards.has(place)) {
      cards.set(place, list.appendChild(makeCard(clips[place], place)));
    }
    Object.assign(cards.get(place).style, {
      width: `${width}px`, height: `${CARD_HEIGHT}px`,
      left: `${place % columns * width}px`,
      top: `${Math.floor(place / columns) * CARD_HEIGHT}px`,
    });
  }
  for (const [place, card] of cards) {
    if (!visible.has(place) && !card.contains(document.activeElement)) {
      card.remove();
      cards.delete(place);
    }
  }
}

function makeCard(k, place) {
  const card = make('div', '', {className: 'clip', role: 'listitem', tabIndex: -1});
  card.setAttribute('aria-posinset', place + 1);
  card.setAttribute('aria-setsize', clips.length);
  if (data.previews) card.append(makePreview(k));
  const shown = data.networks[shownNetwork()];
  card.append(make('p', data.ids[k], {className: 'id', title: data.ids[k]}));
  const facts = [data.lengths[k] === null ? '' : `${data.lengths[k]} frames`,
    shown.losses[k] === null ? '' : `loss ${shown.losses[k].toFixed(2)}`];
  card.append(make('p', facts.filter(Boolean).join(', '), {className: 'facts'}));
  const label = data.labels[k];
  if (label >= 0) {
    const text = `true: ${data.classes[label]}`;
    card.append(make('p', text, {title: text}));
  }
  for (const network of data.networks) {
    const guess = network.best[k][0];
    const mark = label < 0 ? '' : guess === label ? '✓ ' : '✗ ';
    card.append(make('p', mark + data.classes[guess], {
      className: label < 0 ? '' : guess === label ? 'right' : 'wrong',
      title: `${network.name}: ${data.classes[guess]}, ${percent(network.scores[k][0])}`,
    }));
  }
  const best = make('ol');
  shown.best[k].forEach((guess, rank) => {
    const row = make('li');
    const score = shown.scores[k][rank];
    const line = make('i');
    line.style.width = `${100 * score}%`;
    row.append(make('span', data.classes[guess], {title: data.classes[guess]}),
               make('span', percent(score)), line);
    best.append(row);
  });
  card.append(best);
  if (data.tokens?.[k]) showTokensOf(card, k);
  return card;
}

function makePreview(k) {
  if (!data.previews[k]) return make('p', 'no preview');
  const video = make('video', '', {
    muted: true, loop: true, playsInline: true,
    autoplay: !matchMedia('(prefers-reduced-motion: reduce)').matches,
  });
  play(video, data.previews[k], `Preview of clip ${data.ids[k]}`);
  return video;
}

function play(video, name, label) {
  const time = video.currentTime;
  video.src = `previews/${encodeURIComponent(name)}`;
  video.currentTime = time;
  video.setAttribute('aria-label', label);
}

// The preview goes on with its tokens while the pointer or the focus is on the card.
function showTokensOf(card, k) {
  const video = card.querySelector('video');
  let shown = false;
  const update = () => {
    const wanted = card.matches(':hover, :focus-within');
    if (wanted === shown) return;
    shown = wanted;
    if (shown) play(video, data.tokens[k], `Tokens of clip ${data.ids[k]}`);
    else play(video, data.previews[k], `Preview of clip ${data.ids[k]}`);
  };
  for (const name of ['mouseenter', 'mouseleave', 'focusin', 'focusout']) {
    card.addEventListener(name, update);
  }
}

// Rows are true classes and columns predicted ones; without labels, the best and the second best.
function drawMatrix() {
  const shown = data.networks[shownNetwork()];
  const size = data.classes.length;
  const counts = Array.from({length: size}, () => new Array(size).fill(0));
  shown.best.forEach((best, k) => {
    const row = labelled ? data.labels[k] : best[0];
    const column = labelled ? best[0] : best[1];
    if (row >= 0 && column !== undefined) counts[row][column]++;
  });
  const sums = counts.map(row => row.reduce((sum, value) => sum + value, 0));
  const recall = k => sums[k] ? counts[k][k] / sums[k] : 2;
  const ids = [...counts.keys()].sort({
    id: (a, b) => a - b, name: (a, b) => data.classes[a].localeCompare(data.classes[b]),
    size: (a, b) => sums[b] - sums[a], recall: (a, b) => recall(a) - recall(b),
  }[order.value]);
  const head = make('tr');
  head.append(make('td'), ...ids.map(k => make('th', k, {title: data.classes[k], scope: 'col'})));
  const body = make('tbody');
  body.append(...ids.map(k => {
    const row = make('tr');
    row.append(make('th', `${k} ${data.classes[k]} (${sums[k]})`, {
      scope: 'row', title: data.classes[k],
    }), ...ids.map(j => makeCell(k, j, counts[k][j], sums[k])));
    return row;
  }));
  const top = make('thead');
  top.append(head);
  matrix.replaceChildren(top, body);
  const first = matrix.querySelector('a');
  if (first) first.tabIndex = 0;
}

function makeCell(row, column, count, sum) {
  const cell = make('td', '', {className: labelled && row === column ? 'hit' : ''});
  if (!count) return cell;
  const [one, two] = labelled ? ['true', 'pred'] : ['pred', 'second'];
  const network = shownNetwork() ? `network=${shownNetwork()}&` : '';
  const link = make('a', count, {href: `#${network}${one}=${row}&${two}=${column}`, tabIndex: -1});
  const [first, second] = labelled ? ['true', 'predicted'] : ['predicted', 'second best'];
  link.title = `${count} clips, ${first}: ${data.classes[row]}, ${second}: ${data.classes[column]}`;
  link.setAttribute('aria-label', link.title);
  cell.style.background = `rgb(var(--shade) / ${(.08 + .52 * count / sum).toFixed(2)})`;
  cell.append(link);
  return cell;
}

// One stop of the Tab key for the whole matrix, arrow keys within it.
matrix.addEventListener('keydown', event => {
  const step = {ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0]};
  const move = step[event.key];
  const cell = event.target.closest('td');
  if (!move || !cell) return;
  event.preventDefault();
  let [row, column] = [cell.parentNode.rowIndex + move[0], cell.cellIndex + move[1]];
  while (matrix.rows[row]?.cells[column]) {
    const link = matrix.rows[row].cells[column].querySelector('a');
    if (link) {
      event.target.tabIndex = -1;
      link.tabIndex = 0;
      link.focus();
      return;
    }
    row += move[0];
    column += move[1];
  }
});

// Likewise for the clips; they start at the first one in view.
list.addEventListener('keydown', event => {
  const columns = countColumns();
  const step = {ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns}[event.key];
  if (!step) return;
  event.preventDefault();
  let place = Math.ceil(list.scrollTop / CARD_HEIGHT) * columns;
  if (event.target !== list) {
    place = Number(event.target.getAttribute('aria-posinset')) - 1 + step;
    event.target.scrollIntoView({block: 'nearest'}); // it may have been scrolled away
    drawCards();
  }
  cards.get(place)?.focus();
});

let drawnNetwork = null;

function fillForm() {
  const wanted = {network: '0', ...state()};
  for (const field of form.elements) field.value = wanted[field.name] ?? '';
}

function draw() {
  clips = filterClips();
  document.getElementById('count').textContent = `${clips.length} of ${data.ids.length} clips`;
  for (const card of cards.values()) card.remove();
  cards.clear();
  list.scrollTop = 0;
  drawCards();
  if (drawnNetwork !== shownNetwork()) {
    drawnNetwork = shownNetwork();
    drawMatrix();
  }
}

form.addEventListener('submit', event => event.preventDefault());
form.addEventListener('input', () => {
  const wanted = new URLSearchParams(new FormData(form));
  for (const [key, value] of [...wanted]) {
    if (!value || (key === 'network' && value === '0')) wanted.delete(key);
  }
  history.replaceState(null, '', `#${wanted}`);
  draw();
});
order.addEventListener('change', drawMatrix);
list.addEventListener('scroll', drawCards, {passive: true});
new ResizeObserver(drawCards).observe(list);
addEventListener('hashchange', () => {
  if (location.hash === '#list') return; // the skip link
  fillForm();
  draw();
  document.getElementById('clips').focus();
});
fillForm();
draw();
if (location.hash.includes('=')) document.getElementById('clips').scrollIntoView();
