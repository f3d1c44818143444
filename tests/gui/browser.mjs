// Debian's Chromium in a network namespace.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { chromium } from 'playwright-core';

/** Where screenshots go. */
export const PICTURES = new URL('../../target/tests/gui/', import.meta.url).pathname;

/** As root, and without anything that asks the internet. */
const ARGUMENTS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
];

/** How long a browser may take to close a window, or itself: now and then it never answers. */
const FAREWELL = 5_000;

/** Waits for that, but no longer; false when it has not come about. */
function within(milliseconds, promise) {
  let timer;
  const late = new Promise((done) => { timer = setTimeout(() => done(false), milliseconds); });
  return Promise.race([promise.then(() => true), late]).finally(() => clearTimeout(timer));
}

/** A browser whose network is that of a namespace. */
export async function open(netns) {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'koi-gui-chromium-'));
  const [program, number] = ['chromium', 'pid'].map((name) => path.join(directory, name));
  const script = `#!/bin/sh\necho $$ > ${number}\nexec ip netns exec ${netns} chromium "$@"\n`;
  fs.writeFileSync(program, script, { mode: 0o755 });
  const browser = await chromium.launch({ executablePath: program, args: ARGUMENTS });
  browser.on('disconnected', () => fs.rmSync(directory, { recursive: true, force: true }));
  const close = browser.close.bind(browser);
  browser.close = async () => {
    const closing = close().catch(() => {});
    if (await within(FAREWELL, closing)) return;
    console.log('        the browser does not close by itself');
    process.kill(Number(fs.readFileSync(number, 'utf8')), 'SIGKILL');
    await closing;
  };
  return browser;
}

/** A window, and everything in it that went wrong. */
export async function window(browser, options = {}) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1280, height: 900 }, ...options });
  context.setDefaultTimeout(15_000);
  const close = context.close.bind(context);
  // What is left open then goes with the browser.
  context.close = async () => {
    if (!(await within(FAREWELL, close().catch(() => {})))) console.log('        a window does not close');
  };
  const page = await context.newPage();
  const wrong = [];
  page.on('pageerror', (error) => wrong.push(`${page.url()}: ${error.message}`));
  page.on('console', (message) => {
    if (message.type() === 'error') wrong.push(`${page.url()}: ${message.text()}`);
  });
  return { context, page, wrong };
}

/** Logs in, and is sent on. */
export async function logIn(page, origin, [name, password], next = '/') {
  await page.goto(`${origin}/login?next=${encodeURIComponent(next)}`);
  await page.getByLabel('Name').fill(name);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Log in' }).click();
  if (new URL(page.url()).pathname === '/login') {
    throw new Error(`not logged in: ${await page.locator('main').innerText()}`);
  }
}

export function expect(condition, why) {
  if (!condition) throw new Error(why);
}
