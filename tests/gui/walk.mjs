// Every page that links lead to: how it looks at two widths in two themes, and what axe finds.

import fs from 'node:fs';
import { createRequire } from 'node:module';

import { PICTURES, expect, logIn, window } from './browser.mjs';

const AXE = fs.readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const THEMES = ['light', 'dark'];
const NARROW = { width: 360, height: 740 };
const WIDE = { width: 1280, height: 900 };
/** At most; a page that has more of its kind shows nothing new. */
const PAGES = 120;

/** What makes two addresses the same kind of page. */
function kind(path) {
  return path.replace(/\/edit\/[^/?]+/, '/edit/…').replace(/\/config-history\/.+/, '/config-history/…')
    .replace(/\/rules\/time\/.+/, '/rules/time/…').replace(/\/schedules\/week\/.+/, '/schedules/week/…').replace(/\/capture\/\d+/, '/capture/…')
    .replace(/[?].*/, (question) => /tab=(floating|dmz)|file=koi|by=rule/.exec(question)?.[0] ?? '?')
    .replace(/[?]$/, '');
}

function skipped(path) {
  return /(\.(toml|xml|json|css|js|pem|tar)|\/pcap)$/.test(path.split('?')[0]) || path.startsWith('/logout');
}

const name = (path) => (path === '/' ? 'dashboard' : path.slice(1).replace(/[^a-z0-9]+/gi, '-'));

async function violations(page) {
  await page.evaluate(AXE);
  const found = await page.evaluate(async () => {
    const result = await globalThis.axe.run(document, {
      runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
    });
    return result.violations.map((one) => ({ id: one.id, nodes: one.nodes.map((node) => node.html.slice(0, 160)) }));
  });
  return found.map(({ id, nodes }) => `${id} at ${nodes.length}: ${nodes[0]}`);
}

/** True when nothing sticks out at the side. */
async function fits(page) {
  return page.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth + 1);
}

async function links(page) {
  return page.evaluate(() => [...document.querySelectorAll('a[href]')].map((a) => a.getAttribute('href'))
    .filter((href) => href.startsWith('/')).map((href) => href.split('#')[0]));
}

/** Looks at one page in all ways. */
export async function look(page, origin, path, found) {
  await page.setViewportSize(WIDE);
  const answer = await page.goto(origin + path);
  const say = (what) => found.push(`${path}: ${what}`);
  if (answer.status() !== 200) say(`status ${answer.status()}`);
  for (const theme of THEMES) {
    await page.emulateMedia({ colorScheme: theme });
    for (const violation of await violations(page)) say(`${theme}: ${violation}`);
    for (const [width, size] of [[1280, WIDE], [360, NARROW]]) {
      await page.setViewportSize(size);
      if (!(await fits(page))) say(`does not fit ${width} px`);
      await page.screenshot({ path: `${PICTURES}${name(path)}-${width}-${theme}.png`, fullPage: true });
    }
    await page.setViewportSize(WIDE);
  }
}

async function visit(page, origin, each) {
  const seen = new Map();
  const waiting = ['/'];
  while (waiting.length > 0 && seen.size < PAGES) {
    const path = waiting.shift();
    if (seen.has(kind(path)) || skipped(path)) continue;
    seen.set(kind(path), path);
    await each(path);
    waiting.push(...(await links(page)));
  }
  return [...seen.values()];
}

export async function walk(place) {
  fs.mkdirSync(PICTURES, { recursive: true });
  const browser = await place.chromium();
  const found = [];
  const { context, page, wrong } = await window(browser);
  await page.goto(`${place.origin}/login`);
  await look(page, place.origin, '/login', found);
  await logIn(page, place.origin, place.user);
  const paths = await visit(page, place.origin, (path) => look(page, place.origin, path, found));
  await context.close();
  await withoutScript(browser, place, paths, found);
  console.log(`        ${paths.length} pages, pictures in ${PICTURES}`);
  expect(paths.length > 40, `only ${paths.length} pages: ${paths.join(' ')}`);
  const all = [...found, ...wrong];
  expect(all.length === 0, `${all.length} findings:\n${all.join('\n')}`);
}

/** The same pages where no script runs. */
async function withoutScript(browser, place, paths, found) {
  const { context, page, wrong } = await window(browser, { javaScriptEnabled: false });
  await logIn(page, place.origin, place.user);
  for (const path of paths) {
    const answer = await page.goto(place.origin + path);
    if (answer.status() !== 200) found.push(`${path} without script: status ${answer.status()}`);
    const heading = await page.locator('h1').count();
    if (heading !== 1) found.push(`${path} without script: ${heading} headings`);
  }
  await context.close();
  found.push(...wrong);
}
