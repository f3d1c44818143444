// What moves: one event stream for the whole page. Each part of a page that names its topic (data-live) is replaced by what
// the router renders of it, node by node, so that nothing flickers and nothing loses the focus. The pages are complete
// without it: it shows the same facts, only later ones.
'use strict';

(() => {
  // A stream that says nothing for so long is dead: a node that loses its power says no goodbye.
  const SILENCE = 5000;
  const LONGEST = 30000;

  const parts = new Map();
  document.querySelectorAll('[data-live]').forEach((part) => {
    parts.set(part.dataset.live, [...(parts.get(part.dataset.live) ?? []), part]);
  });
  const topics = new Set(parts.keys());
  document.querySelectorAll('[data-topic]').forEach((part) => topics.add(part.dataset.topic));
  if (document.querySelector('[data-log]')) topics.add('log');
  if (document.querySelector('[data-graph]')) topics.add('rates');
  if (topics.size === 0) return;

  /** Makes `old` like `fresh`, and touches only what is different. */
  const morph = (old, fresh) => {
    const mine = [...old.childNodes];
    const theirs = [...fresh.childNodes];
    const alike = mine.length === theirs.length && mine.every((node, at) => node.nodeName === theirs[at].nodeName);
    if (!alike) {
      old.replaceChildren(...theirs);
      return;
    }
    mine.forEach((node, at) => {
      const other = theirs[at];
      if (node.nodeType !== Node.ELEMENT_NODE) {
        if (node.nodeValue !== other.nodeValue) node.nodeValue = other.nodeValue;
        return;
      }
      [...node.attributes].forEach(({ name }) => {
        if (!other.hasAttribute(name)) node.removeAttribute(name);
      });
      [...other.attributes].forEach(({ name, value }) => {
        if (node.getAttribute(name) !== value) node.setAttribute(name, value);
      });
      morph(node, other);
    });
  };

  const parse = (html) => {
    const template = document.createElement('template');
    template.innerHTML = html;
    return template.content;
  };

  const shown = document.querySelector('[data-stream]');
  const say = (words) => {
    if (shown && shown.textContent !== words) shown.textContent = words;
  };

  let source = null;
  let timer = 0;
  let watch = 0;
  let wait = 1000;

  const alive = () => {
    wait = 1000;
    say('live');
    clearTimeout(watch);
    watch = setTimeout(() => again('silent'), SILENCE);
  };

  const stop = () => {
    source?.close();
    source = null;
    clearTimeout(timer);
    clearTimeout(watch);
  };

  // Who finds no place waits longer and longer, and never all at once.
  const again = (why) => {
    stop();
    say(`not live (${why}), next try soon`);
    timer = setTimeout(open, wait * (0.75 + Math.random() / 2));
    wait = Math.min(wait * 2, LONGEST);
  };

  /** The session is over when the router asks to log in. */
  const fail = async () => {
    stop();
    const answer = await fetch('/help', { redirect: 'manual' }).catch(() => null);
    if (answer?.type === 'opaqueredirect') {
      say('not live: the session is over, log in again');
      return;
    }
    again(answer ? 'refused' : 'out of reach');
  };

  const open = () => {
    stop();
    if (document.hidden) return;
    const stream = new EventSource(`/events?topics=${[...topics].join(',')}`);
    source = stream;
    clearTimeout(watch);
    watch = setTimeout(() => again('silent'), SILENCE * 2);
    stream.addEventListener('tick', (event) => {
      alive();
      document.dispatchEvent(new CustomEvent('koi:tick', { detail: JSON.parse(event.data) }));
    });
    stream.addEventListener('error', () => {
      if (stream !== source) return;
      if (stream.readyState === EventSource.CLOSED) fail();
      else say('not live (out of reach), next try soon');
    });
    topics.forEach((topic) => stream.addEventListener(topic, (event) => {
      if (parts.has(topic)) {
        parts.get(topic).forEach((part) => morph(part, parse(event.data)));
        document.dispatchEvent(new CustomEvent('koi:moved', { detail: topic }));
        return;
      }
      const detail = topic === 'log' ? event.data : JSON.parse(event.data);
      document.dispatchEvent(new CustomEvent(`koi:${topic}`, { detail }));
    }));
  };

  // Nobody looks at a hidden tab.
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) {
      stop();
      say('paused');
    } else {
      wait = 1000;
      open();
    }
  });
  window.addEventListener('pagehide', stop);
  open();

  /** A button that holds on to what is shown. */
  const pausable = (place, say) => {
    let paused = false;
    const button = document.createElement('button');
    button.className = 'plain';
    button.type = 'button';
    button.textContent = 'Pause';
    button.setAttribute('aria-pressed', 'false');
    button.addEventListener('click', () => {
      paused = !paused;
      button.textContent = paused ? 'Go on' : 'Pause';
      button.setAttribute('aria-pressed', String(paused));
      say(paused);
    });
    place.append(button);
  };

  // What depends on the question that this page asks is not told to everybody: the page asks for it again every few seconds,
  // as long as the stream says that the router is there. Nothing moves under a hand that is about to click.
  const piece = document.querySelector('[data-again]');
  if (piece) {
    let paused = false;
    let ticks = 0;
    let waiting = false;
    const held = () => piece.contains(document.activeElement) || piece.querySelector('.do:hover') !== null;
    const ask = async () => {
      if (paused || waiting || held()) return;
      waiting = true;
      const url = new URL(location.href);
      url.searchParams.set('part', '1');
      const answer = await fetch(url).catch(() => null);
      const html = answer?.ok && !answer.redirected ? await answer.text().catch(() => null) : null;
      waiting = false;
      if (html !== null && !paused && !held()) morph(piece, parse(html.trim()));
    };
    document.addEventListener('koi:tick', () => {
      ticks += 1;
      if (ticks % Number(piece.dataset.again) === 0) ask();
    });
    const place = document.querySelector('[data-again-state]');
    if (place) {
      pausable(place, (now) => {
        paused = now;
        ask();
      });
    }
  }

  // The firewall log: new rows come on top. Under a filter the router says which.
  const table = document.querySelector('[data-log]');
  if (table) {
    const body = table.tBodies[0];
    const limit = Number(table.dataset.log);
    const state = document.querySelector('[data-log-state]');
    let paused = false;
    let asked = 0;
    const filtered = async () => {
      const url = new URL(location.href);
      url.searchParams.set('part', '1');
      const answer = await fetch(url).catch(() => null);
      if (answer?.ok && !answer.redirected && !paused) {
        const rows = parse(`<table><tbody>${await answer.text()}</tbody></table>`).querySelector('tbody');
        morph(body, rows);
      }
    };
    if (state) {
      pausable(state, (now) => {
        paused = now;
        if (!paused) filtered();
      });
    }
    document.addEventListener('koi:log', (event) => {
      if (paused) return;
      if ('filtered' in table.dataset) {
        clearTimeout(asked);
        asked = setTimeout(filtered, 500);
        return;
      }
      const id = (row) => Number(row.dataset.id);
      const known = new Set([...body.rows].map(id));
      const newest = Math.max(0, ...known);
      const rows = [...parse(`<table><tbody>${event.detail}</tbody></table>`).querySelectorAll('tr')];
      // Another node counts its own records: what it has said is all there is.
      if (rows.length > 0 && rows.every((row) => id(row) < newest && !known.has(id(row)))) body.replaceChildren(...rows);
      else body.prepend(...rows.filter((row) => id(row) > newest));
      while (body.rows.length > limit) body.lastElementChild.remove();
      if (body.rows.length > 0) table.parentElement.querySelector('.empty')?.remove();
    });
  }

  // Counters of rules, with what they have done since the page was opened.
  const rules = new Map([...document.querySelectorAll('[data-rule]')].map((cell) => [cell.dataset.rule, cell]));
  if (rules.size > 0) {
    const seen = new Map();
    const POINTS = 30;
    document.addEventListener('koi:rules', (event) => {
      const now = Date.now();
      Object.entries(event.detail).forEach(([id, [[evaluations, packets, bytes, states], last]]) => {
        const cell = rules.get(id);
        if (!cell) return;
        const put = (name, text) => {
          const place = cell.querySelector(`[data-n="${name}"]`);
          if (place) place.textContent = text;
        };
        const number = (value) => value.toLocaleString('en').replaceAll(',', '\u202f');
        put('e', number(evaluations));
        put('p', number(packets));
        put('s', number(states));
        put('l', last === null ? 'never' : `${last} s ago`);
        const before = seen.get(id);
        const points = before?.points ?? [];
        if (before) points.push([now, Math.max(0, bytes - before.bytes)]);
        while (points.length > POINTS) points.shift();
        seen.set(id, { bytes, points });
        spark(cell, points);
      });
    });
  }

  /** A line as small as a word. */
  const spark = (cell, points) => {
    if (points.length < 2) return;
    const most = Math.max(1, ...points.map(([, value]) => value));
    const first = points[0][0];
    const span = Math.max(1, points.at(-1)[0] - first);
    const line = points.map(([at, value]) => `${((at - first) * 80) / span},${18 - (value * 16) / most}`).join(' ');
    const SVG = 'http://www.w3.org/2000/svg';
    let svg = cell.querySelector('svg');
    if (!svg) {
      svg = document.createElementNS(SVG, 'svg');
      svg.setAttribute('viewBox', '0 0 80 20');
      svg.setAttribute('aria-hidden', 'true');
      svg.append(document.createElementNS(SVG, 'polyline'));
      cell.append(svg);
    }
    svg.firstElementChild.setAttribute('points', line);
  };

  // Graphs: the last ten minutes from the router's memory, then what the stream says.
  const graphs = [...document.querySelectorAll('[data-graph]')];
  if (graphs.length > 0 && window.uPlot) {
    const SAMPLES = 600;
    const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    const colour = (name) => {
      const probe = document.createElement('span');
      probe.className = `ink-${name}`;
      document.body.append(probe);
      const found = getComputedStyle(probe).color;
      probe.remove();
      return found || style(`--${name}`);
    };
    const bits = (value) => {
      if (value === null || value === undefined) return '';
      const units = ['b/s', 'kb/s', 'Mb/s', 'Gb/s'];
      let at = 0;
      let left = value;
      while (left >= 1000 && at < 3) {
        left /= 1000;
        at += 1;
      }
      return `${left.toFixed(left < 10 && at > 0 ? 1 : 0)} ${units[at]}`;
    };
    const kinds = {
      traffic: {
        lines: [['In', 'good'], ['Out', 'accent']],
        value: bits,
        read: (sample, name) => {
          if (name) return sample.interfaces[name] ?? [null, null];
          return Object.values(sample.interfaces).reduce(([a, b], [c, d]) => [a + c, b + d], [0, 0]);
        },
      },
      delay: {
        lines: [['Delay (ms)', 'accent'], ['Loss (%)', 'bad']],
        value: (value) => (value === null || value === undefined ? '' : value.toFixed(1)),
        read: (sample, name) => sample.gateways[name] ?? [null, null],
      },
      states: {
        lines: [['States', 'accent']],
        value: (value) => (value === null || value === undefined ? '' : String(value)),
        read: (sample) => [sample.states],
      },
    };
    const draw = (place, samples) => {
      const kind = kinds[place.dataset.graph];
      const columns = () => {
        const rows = samples.map((sample) => kind.read(sample, place.dataset.name));
        return [samples.map((sample) => sample.at / 1000), ...kind.lines.map((_, at) => rows.map((row) => row[at]))];
      };
      const axis = { stroke: colour('soft'), grid: { stroke: colour('line'), width: 1 }, ticks: { stroke: colour('line'), width: 1 }, font: '12px system-ui' };
      place.setAttribute('role', 'img');
      place.setAttribute('aria-label', place.dataset.label ?? 'A graph');
      place.closest('[data-needs-script]')?.removeAttribute('hidden');
      const size = () => ({ width: Math.max(200, place.clientWidth - 8), height: 180 });
      const plot = new window.uPlot({
        ...size(),
        legend: { live: false },
        cursor: { show: false },
        scales: { y: { range: (_, __, most) => [0, Math.max(1, most ?? 1)] } },
        axes: [axis, { ...axis, size: 76, values: (_, ticks) => ticks.map((value) => kind.value(value)) }],
        series: [{}, ...kind.lines.map(([label, name]) => ({ label, stroke: colour(name), width: 1.5, spanGaps: false, points: { show: false } }))],
      }, columns(), place);
      document.addEventListener('koi:sample', () => plot.setData(columns()));
      window.addEventListener('resize', () => plot.setSize(size()));
    };
    (async () => {
      const answer = await fetch('/status/traffic.json').catch(() => null);
      const samples = answer?.ok && !answer.redirected ? await answer.json() : [];
      graphs.forEach((place) => draw(place, samples));
      document.addEventListener('koi:rates', (event) => {
        const last = samples.at(-1)?.at ?? 0;
        if (event.detail.at <= last) return;
        samples.push(event.detail);
        while (samples.length > SAMPLES) samples.shift();
        document.dispatchEvent(new CustomEvent('koi:sample'));
      });
    })();
  }

  // The dashboard is arranged by dragging, too; the buttons do the same.
  const board = document.querySelector('[data-board]');
  if (board) {
    const tiles = [...board.querySelectorAll('[data-widget]')];
    const token = board.querySelector('input[name="token"]')?.value ?? '';
    let held = null;
    tiles.forEach((tile) => {
      const handle = tile.querySelector('.handles');
      handle.draggable = true;
      handle.addEventListener('dragstart', (event) => {
        held = tile;
        event.dataTransfer.effectAllowed = 'move';
        event.dataTransfer.setData('text/plain', tile.dataset.widget);
      });
      handle.addEventListener('dragend', () => {
        held = null;
        tiles.forEach((other) => other.classList.remove('above'));
      });
      tile.addEventListener('dragover', (event) => {
        if (!held || held === tile) return;
        event.preventDefault();
        tiles.forEach((other) => other.classList.toggle('above', other === tile));
      });
      tile.addEventListener('drop', (event) => {
        if (!held || held === tile) return;
        event.preventDefault();
        post('/dashboard', { token, do: 'before', widget: held.dataset.widget, rest: tile.dataset.widget });
      });
    });
  }
})();
