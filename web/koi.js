// What is nicer with a script: the pages are complete without it. It may come from this file alone, and whatever it
// changes goes through the same forms as without it.
'use strict';

const post = (path, fields) => {
  const form = document.createElement('form');
  form.method = 'post';
  form.action = path;
  for (const [name, value] of Object.entries(fields)) {
    const input = document.createElement('input');
    input.type = 'hidden';
    input.name = name;
    input.value = value;
    form.append(input);
  }
  document.body.append(form);
  form.submit();
};

// Time that is left, counted down beside the moment itself.
const left = (seconds) => {
  const parts = [[86400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']];
  const at = Math.max(parts.findIndex(([size]) => seconds >= size), 0);
  const shown = seconds < 60 ? [[1, 's']] : parts.slice(at, at + 2);
  let rest = seconds;
  return shown.map(([size, unit]) => {
    const count = Math.floor(rest / size);
    rest -= count * size;
    return `${count} ${unit}`;
  }).join(' ');
};
const moments = [...document.querySelectorAll('time[data-until]')];
if (moments.length) {
  const tick = () => moments.forEach((moment) => {
    const seconds = Math.floor(Number(moment.dataset.until) - Date.now() / 1000);
    moment.textContent = seconds > 0 ? `${moment.dateTime} (${left(seconds)} left)` : `${moment.dateTime} (over)`;
  });
  tick();
  setInterval(tick, 1000);
}

// A key opens the search.
document.addEventListener('keydown', (event) => {
  const writes = event.target.closest?.('input, textarea, select, [contenteditable]');
  if (event.key === '/' && !writes && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    document.getElementById('search')?.focus();
  }
  if (event.key === 'Escape') {
    document.querySelectorAll('details.menu[open]').forEach((menu) => {
      menu.open = false;
      if (menu.contains(document.activeElement)) menu.querySelector('summary').focus();
    });
  }
});

// A menu closes when something else is meant.
document.addEventListener('click', (event) => {
  document.querySelectorAll('details.menu[open]').forEach((menu) => {
    if (!menu.contains(event.target)) menu.open = false;
  });
});

// Ticks: all at once, and from one to another with shift.
const ticks = [...document.querySelectorAll('input[form="bulk"][name="key"]')];
if (ticks.length > 1) {
  const head = document.querySelector('table[data-list] thead th');
  const all = document.createElement('input');
  all.type = 'checkbox';
  all.setAttribute('aria-label', 'Tick all on this page');
  all.addEventListener('change', () => ticks.forEach((tick) => { tick.checked = all.checked; }));
  head.append(all);
  let last = null;
  ticks.forEach((tick, at) => tick.addEventListener('click', (event) => {
    if (event.shiftKey && last !== null) {
      const [from, to] = last < at ? [last, at] : [at, last];
      ticks.slice(from, to + 1).forEach((other) => { other.checked = tick.checked; });
    }
    last = at;
  }));
}
// Nothing is done with what nobody has ticked.
document.getElementById('bulk')?.addEventListener('submit', (event) => {
  if (!ticks.some((tick) => tick.checked)) event.preventDefault();
});

// Rows are dragged to another place.
const table = document.querySelector('table[data-ordered]');
if (table) {
  const slug = table.dataset.list;
  const rows = [...table.querySelectorAll('tr[data-key]')];
  const fields = Object.fromEntries(['token', 'edition', 'tab'].map((name) => [
    name, document.querySelector(`#bulk input[name="${name}"]`)?.value ?? '',
  ]));
  let held = null;
  rows.forEach((row) => {
    row.draggable = true;
    row.addEventListener('dragstart', (event) => {
      held = row;
      event.dataTransfer.effectAllowed = 'move';
      event.dataTransfer.setData('text/plain', row.dataset.key);
    });
    row.addEventListener('dragend', () => {
      held = null;
      rows.forEach((other) => other.classList.remove('above', 'below'));
    });
    const lower = (event) => event.clientY > row.getBoundingClientRect().top + row.offsetHeight / 2;
    row.addEventListener('dragover', (event) => {
      if (!held || held === row) return;
      event.preventDefault();
      rows.forEach((other) => other.classList.remove('above', 'below'));
      row.classList.add(lower(event) ? 'below' : 'above');
    });
    row.addEventListener('drop', (event) => {
      if (!held || held === row) return;
      event.preventDefault();
      const target = lower(event) ? rows[rows.indexOf(row) + 1] : row;
      if (target === held) return;
      const where = target ? { before: target.dataset.key } : { to: 'bottom' };
      post(`${slug}/move/${encodeURIComponent(held.dataset.key)}`, { ...fields, ...where });
    });
  });
}

// Hours of a week are painted: one takes the state of the first over all that the pointer passes; the head of a day or of an
// hour is about all of it.
const week = document.querySelector('table.week');
if (week && !week.closest('fieldset').disabled) {
  let paint = null;
  let painted = false;
  const tick = (event) => event.target.closest?.('td')?.querySelector('input');
  week.addEventListener('pointerdown', (event) => {
    const first = tick(event);
    painted = Boolean(first) && event.button === 0 && event.pointerType !== 'touch';
    if (!painted) return;
    paint = !first.checked;
    first.checked = paint;
  });
  week.addEventListener('pointerover', (event) => {
    const passed = tick(event);
    if (passed && paint !== null) passed.checked = paint;
  });
  for (const end of ['pointerup', 'pointercancel']) document.addEventListener(end, () => { paint = null; });
  week.addEventListener('dragstart', (event) => event.preventDefault());
  // What the pointer has painted is not turned back by its click; a key's click has no count.
  week.addEventListener('click', (event) => {
    if (tick(event) && painted && event.detail > 0) event.preventDefault();
  });
  const whole = (head, ticks) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'link';
    button.append(...head.childNodes);
    button.addEventListener('click', () => {
      const all = ticks.every((one) => one.checked);
      ticks.forEach((one) => { one.checked = !all; });
    });
    head.append(button);
  };
  const rows = [...week.tBodies[0].rows];
  [...week.tHead.rows[0].cells].slice(1).forEach((head, day) => {
    whole(head, rows.map((row) => row.cells[day + 1].querySelector('input')));
  });
  rows.forEach((row) => whole(row.cells[0], [...row.querySelectorAll('input')]));
}

// Whoever moves a row with a key finds the key under the finger again.
const MOVED = 'koi-moved';
document.addEventListener('submit', (event) => {
  const button = event.submitter;
  const key = button?.closest('tr[data-key]')?.dataset.key;
  if (key && button.name === 'to') sessionStorage.setItem(MOVED, JSON.stringify([key, button.value]));
});
const moved = JSON.parse(sessionStorage.getItem(MOVED) ?? 'null');
sessionStorage.removeItem(MOVED);
if (moved) {
  const [key, to] = moved.map((word) => CSS.escape(word));
  document.querySelector(`tr[data-key="${key}"] button[name="to"][value="${to}"]`)?.focus();
}

// Search as one types.
const box = document.getElementById('search');
if (box) {
  const list = document.createElement('div');
  list.className = 'found';
  list.hidden = true;
  list.setAttribute('aria-live', 'polite');
  box.parentElement.append(list);
  let asked = 0;
  let timer = 0;
  box.addEventListener('input', () => {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      const words = box.value.trim();
      asked += 1;
      const mine = asked;
      if (words.length < 2) {
        list.hidden = true;
        return;
      }
      const answer = await fetch(`/search?part=1&q=${encodeURIComponent(words)}`).catch(() => null);
      if (!answer?.ok || answer.redirected || mine !== asked) return;
      list.innerHTML = await answer.text();
      list.hidden = false;
    }, 150);
  });
  box.parentElement.addEventListener('keydown', (event) => {
    const links = [...list.querySelectorAll('a')];
    const at = links.indexOf(document.activeElement);
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === 'Escape') {
      list.hidden = true;
      box.focus();
    } else if (step && !list.hidden && links.length > 0) {
      event.preventDefault();
      (links[at + step] ?? (step < 0 ? box : links[0])).focus();
    }
  });
  document.addEventListener('click', (event) => {
    if (!box.parentElement.contains(event.target)) list.hidden = true;
  });
}

// What is on trial counts down in every tab. The tab that has put it in force confirms it by itself, over a connection
// that is made for that: so it has reached the router under the new rules.
const trial = document.querySelector('[data-trial]');
document.querySelectorAll('form[action="/changes/apply"]').forEach((form) => {
  form.addEventListener('submit', () => sessionStorage.setItem('koi-applied', String(Date.now())));
});
if (trial) {
  const end = Date.now() + Number(trial.dataset.trial) * 1000;
  const shown = trial.querySelector('b');
  setInterval(() => {
    const left = Math.max(0, Math.round((end - Date.now()) / 1000));
    shown.textContent = `${left} s`;
    if (left === 0) location.reload();
  }, 1000);
  const applied = Number(sessionStorage.getItem('koi-applied'));
  const confirm = trial.querySelector('form[action="/changes/confirm"]');
  const wants = trial.querySelector('input[name="itself"]');
  if (confirm && applied && Date.now() - applied < Number(trial.dataset.trial) * 1000 + 5000) {
    const reach = async () => {
      if (wants && !wants.checked) return;
      const body = new URLSearchParams({ token: confirm.elements.token.value, by: 'page' });
      const answer = await fetch('/changes/confirm', { method: 'POST', body }).catch(() => null);
      if (answer?.status === 204) {
        sessionStorage.removeItem('koi-applied');
        location.reload();
      } else {
        setTimeout(reach, 2000);
      }
    };
    setTimeout(reach, 3000);
  }
} else {
  sessionStorage.removeItem('koi-applied');
}
