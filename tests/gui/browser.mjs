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

/** A browser whose network is that of a namespace. */
export async function open(netns) {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'koi-gui-chromium-'));
  const program = path.join(directory, 'chromium');
  fs.writeFileSync(program, `#!/bin/sh\nexec ip netns exec ${netns} chromium "$@"\n`, { mode: 0o755 });
  const browser = await chromium.launch({ executablePath: program, args: ARGUMENTS });
  browser.on('disconnected', () => fs.rmSync(directory, { recursive: true, force: true }));
  return browser;
}

/** A window, and everything in it that went wrong. */
export async function window(browser, options = {}) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1280, height: 900 }, ...options });
  context.setDefaultTimeout(15_000);
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
