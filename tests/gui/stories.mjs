// What people do, from the first click to the packet.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { PICTURES, expect, logIn, window } from './browser.mjs';
import {
  blockFromLog, capturePing, forgetNeighbour, killState, liveStates, whyBlocked,
} from './diagnostics.mjs';
import { until } from './networks.mjs';
import { look } from './walk.mjs';

const main = (page) => page.locator('main');

/** Puts the draft in force without a trial. */
async function apply(page) {
  await page.getByRole('button', { name: 'Apply', exact: true }).click();
  expect(!(await main(page).innerText()).includes('not in force yet'), 'the changes are not in force');
}

async function save(page, name = 'Save') {
  await page.getByRole('button', { name, exact: true }).click();
  const wrong = page.locator('.alarm[role=alert]', { hasText: 'Not saved' });
  if (await wrong.count()) throw new Error(`not saved: ${await main(page).innerText()}`);
}

/** From a bare machine to working internet on LAN. */
async function wizard(one) {
  const { context, page } = await window(await one.chromium());
  one.serve('wan', 8000);
  await page.goto(`${one.origin}/login`);
  await page.getByLabel('Name').fill('admin');
  await page.getByLabel('Password').fill(one.code());
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.waitForURL('**/wizard/system');
  await page.getByLabel('Hostname').fill('fw.example');
  await save(page, 'Save and continue');
  await page.waitForURL('**/wizard/wan');
  await page.getByLabel('Addresses').fill('203.0.113.2/24');
  await page.getByLabel('Gateway').fill('203.0.113.1');
  await page.getByLabel('Drop what comes in here from private networks').uncheck();
  await page.getByLabel('Drop what comes in here from reserved and unassigned networks').uncheck();
  await page.screenshot({ path: `${PICTURES}story-wizard-wan.png`, fullPage: true });
  await save(page, 'Save and continue');
  await page.waitForURL('**/wizard/lan');
  await save(page, 'Save and continue');
  await page.waitForURL('**/wizard/dmz');
  await page.getByRole('link', { name: 'Skip this step' }).click();
  const [name, password] = one.user;
  await page.getByLabel('Name').fill(name);
  await page.locator('input[type=password]').nth(0).fill(password);
  await page.locator('input[type=password]').nth(1).fill(password);
  await save(page, 'Save and continue');
  await page.waitForURL('**/wizard/finish');
  await page.screenshot({ path: `${PICTURES}story-wizard-finish.png`, fullPage: true });
  await page.locator('section').getByRole('button', { name: 'Apply with confirm' }).last().click();
  // The account of the first start has ended with that.
  await logIn(page, one.origin, one.user, '/');
  // The page confirms by itself, since it has got in.
  await page.locator('[data-trial]').waitFor({ state: 'detached', timeout: 20_000 });
  expect(one.fetch('lan', '203.0.113.1', 8000) === 'wan', 'LAN does not reach the internet');
  await context.close();
}

/** A port forward is added, and reached from outside. */
async function portForward(one) {
  const { context, page } = await window(await one.chromium());
  one.serve('dmz', 8080);
  await logIn(page, one.origin, one.user, '/firewall/nat/port-forward/new');
  await page.getByLabel('Interface').selectOption('wan');
  await page.getByLabel('Address family').selectOption('inet');
  await page.getByLabel('Protocol').fill('tcp');
  await page.getByLabel('Destination', { exact: false }).first().fill('wan address');
  await page.getByLabel('Destination port').fill('8443');
  await page.getByLabel('Redirect target', { exact: true }).fill('10.20.0.10');
  await page.getByLabel('Redirect target port').fill('8080');
  await page.getByLabel('Filter rule').selectOption('rule');
  await save(page);
  expect((await main(page).innerText()).includes('10.20.0.10'), 'it is not in the list');
  await apply(page);
  const answer = await until('the way in', () => one.fetch('wan', '203.0.113.2', 8443) || null);
  expect(answer === 'dmz', `from outside: ${answer}`);
  await page.goto(`${one.origin}/firewall/rules?tab=wan`);
  expect((await main(page).innerText()).includes('NAT'), 'the rule of the forward is not shown');
  await context.close();
}

/** Somebody locks himself out, and everything goes back by itself. */
async function lockout(one) {
  const { context, page } = await window(await one.chromium());
  await logIn(page, one.origin, one.user, '/system/advanced');
  await page.getByLabel('Keep these pages reachable from LAN, whatever the rules say').uncheck();
  await save(page);
  await page.goto(`${one.origin}/firewall/rules/new?tab=lan&top=true`);
  await page.getByLabel('Action').selectOption('block');
  await page.getByLabel('Destination', { exact: false }).first().fill('this firewall');
  await save(page);
  await page.goto(`${one.origin}/changes`);
  await page.getByLabel('Go back by itself unless confirmed within').fill('20');
  const begin = Date.now();
  await page.locator('section').getByRole('button', { name: 'Apply with confirm' }).last().click({ noWaitAfter: true });
  await until('the trial', () => one.koi('config', 'status').includes('goes back by itself'));
  const { context: other, page: fresh } = await window(await one.chromium());
  fresh.setDefaultTimeout(4000);
  const reached = await fresh.goto(`${one.origin}/login`, { timeout: 4000 }).then(() => true, () => false);
  expect(!reached, 'a new connection gets in');
  await until('the way back', () => fresh.goto(`${one.origin}/login`, { timeout: 3000 }).then(() => true), 40_000);
  expect(Date.now() - begin > 15_000, 'it went back too soon');
  await other.close();
  await context.close();
}

/** A file of pfSense is imported. */
async function importing(one) {
  const { context, page } = await window(await one.chromium());
  await logIn(page, one.origin, one.user, '/diagnostics/import');
  const file = new URL('../pfsense/pair-first.xml', import.meta.url).pathname;
  await page.getByLabel('config.xml or koi.toml').setInputFiles(file);
  await page.getByRole('button', { name: 'Upload' }).click();
  await page.getByRole('heading', { name: 'Which port takes whose place' }).waitFor();
  await page.screenshot({ path: `${PICTURES}story-import.png`, fullPage: true });
  await page.getByRole('button', { name: 'Read the report again' }).click();
  await page.getByRole('button', { name: 'Take over as draft' }).click();
  await page.waitForURL('**/changes');
  expect((await page.locator('ul.changes li').count()) > 10, 'there is little to be changed');
  await page.screenshot({ path: `${PICTURES}story-import-changes.png`, fullPage: true });
  await context.close();
}

/** Hours of a schedule are painted into its week. */
async function paintWeek(one) {
  const { context, page } = await window(await one.chromium());
  await logIn(page, one.origin, one.user, '/firewall/schedules/new');
  await page.getByLabel('Name').fill('office');
  await page.getByLabel('Hours', { exact: true }).fill('12-13');
  await save(page);
  const week = '/firewall/schedules/week/office';
  const found = [];
  await look(page, one.origin, week, found);
  expect(found.length === 0, found.join('\n'));
  await page.setViewportSize({ width: 1280, height: 1400 });
  await page.goto(`${one.origin}/firewall/schedules`);
  await page.getByRole('link', { name: 'Week of schedule office' }).click();
  await page.waitForURL(`**${week}`);
  await page.waitForLoadState('load');
  const cell = (day, hour) => page.locator(`input[name=${day}][value="${hour}"]`);
  const middle = async (day, hour) => {
    const { x, y, width, height } = await cell(day, hour).boundingBox();
    return [x + width / 2, y + height / 2];
  };
  // Noon is taken out of every day by the head of the hour, and put in by the hand that paints.
  await page.getByRole('button', { name: '12:00', exact: true }).click();
  await page.mouse.move(...(await middle('mon', 8)));
  await page.mouse.down();
  await page.mouse.move(...(await middle('mon', 16)), { steps: 30 });
  await page.mouse.up();
  await cell('tue', 8).click();
  await cell('wed', 8).press('Space');
  await page.getByRole('button', { name: 'Sun' }).click();
  await page.screenshot({ path: `${PICTURES}story-week.png`, fullPage: true });
  await save(page);
  const list = await main(page).innerText();
  for (const hours of ['mon 8:00-17:00', 'tue wed 8:00-9:00', 'sun 0:00-24:00']) {
    expect(list.includes(hours), `no ${hours}: ${list}`);
  }
  await context.close();
}

/** An alias in use gets another name, and everything follows. */
async function renameAlias(lab) {
  const { context, page } = await window(await lab.chromium());
  await logIn(page, lab.origin, lab.user, '/firewall/aliases/new');
  await page.getByLabel('Name').fill('servers');
  await page.getByLabel('Entries').fill('10.20.0.10 the web server\n10.20.0.11');
  await save(page);
  await page.goto(`${lab.origin}/firewall/rules/new?tab=lan`);
  await page.getByLabel('Destination', { exact: false }).first().fill('servers');
  await page.getByLabel('Description').fill('to all of them');
  await save(page);
  await page.goto(`${lab.origin}/firewall/aliases/edit/servers`);
  expect((await main(page).innerText()).includes('to all of them'), 'it is not said where it is used');
  await page.getByLabel('Name').fill('machines');
  await save(page);
  await page.goto(`${lab.origin}/firewall/rules?tab=lan`);
  const rules = await main(page).innerText();
  expect(rules.includes('machines') && !rules.includes('servers\n'), 'the rule does not follow');
  await page.getByRole('button', { name: 'Discard' }).click();
  await context.close();
}

/** Rules are moved with the keyboard alone, and copied to another interface. */
async function keyboard(lab) {
  const { context, page } = await window(await lab.chromium());
  await logIn(page, lab.origin, lab.user, '/firewall/rules?tab=dmz');
  const rows = () => page.locator('tr[data-key]').evaluateAll((all) => all.map((row) => row.dataset.key));
  // What the page's script does, it does once the page is there.
  await page.waitForLoadState('load');
  const [first, second, third] = await rows();
  const down = `Move ${first} down`;
  await page.getByRole('button', { name: down }).press('Enter');
  await until('the move', async () => (await rows())[1] === first);
  expect((await rows())[0] === second, 'the second one is not the first now');
  const focused = () => page.evaluate(() => document.activeElement?.getAttribute('aria-label'));
  await until('the same key under the finger', async () => (await focused()) === down);
  await page.getByLabel(`Tick rule ${third}`).check();
  await page.getByLabel('Copy to').selectOption('lan');
  await page.getByRole('button', { name: 'Copy', exact: true }).press('Enter');
  await page.waitForURL('**/firewall/rules?tab=lan');
  const row = page.getByRole('row', { name: 'DMZ may go anywhere else' });
  expect((await row.innerText()).includes('lan net'), 'the copy is not about that interface');
  await page.getByRole('button', { name: 'Discard' }).click();
  await context.close();
}

/** Two tabs edit the same thing: the second one is told, and nothing is lost. */
async function twoTabs(lab) {
  const { context, page } = await window(await lab.chromium());
  await logIn(page, lab.origin, lab.user, '/system/general');
  const other = await context.newPage();
  await other.goto(`${lab.origin}/system/general`);
  await page.getByLabel('Hostname').fill('first.example');
  await save(page);
  await other.getByLabel('Hostname').fill('second.example');
  await other.getByRole('button', { name: 'Save' }).click();
  expect((await main(other).innerText()).includes('Somebody has changed'), 'the second one is not told');
  await page.goto(`${lab.origin}/system/general`);
  expect((await page.getByLabel('Hostname').inputValue()) === 'first.example', 'the first one is lost');
  await page.getByRole('button', { name: 'Discard' }).click();
  await context.close();
}

/** The node that serves dies between login and apply; the browser on the shared address goes on. */
async function failover(lab) {
  const { context, page } = await window(await lab.chromium());
  await logIn(page, lab.origin, lab.user, '/system/general');
  await page.getByLabel('Hostname').fill('survivor.example');
  await save(page);
  const leads = (node) => JSON.parse(lab.koi(node, 'show', 'pair', '--json')).leads;
  const [serving, standing] = leads('alpha') ? ['alpha', 'beta'] : ['beta', 'alpha'];
  await until('a pair that can fail over', () => JSON.parse(lab.koi(serving, 'show', 'pair', '--json')).redundant, 60_000);
  process.kill(JSON.parse(lab.koi(serving, 'show', 'status', '--json')).router, 'SIGKILL');
  await until('the takeover', () => leads(standing));
  await until('the pages', () => page.goto(`${lab.origin}/changes`, { timeout: 5000 }));
  expect(new URL(page.url()).pathname === '/changes', `a new login is asked for: ${page.url()}`);
  await page.screenshot({ path: `${PICTURES}story-failover.png`, fullPage: true });
  const text = await main(page).innerText();
  expect(text.includes('survivor.example'), `the draft is gone: ${text}`);
  await apply(page);
  const shown = () => lab.koi(standing, 'config', 'show').includes('survivor.example');
  await until('the new name', shown);
  await context.close();
}

/** Two people see the dashboard each in their own way; without a script the same facts stand there. */
async function dashboards(lab) {
  const { context, page } = await window(await lab.chromium());
  await logIn(page, lab.origin, lab.user, '/?arrange=true');
  await page.getByRole('button', { name: 'As at first' }).click();
  await page.getByLabel('Widget').selectOption('log');
  await page.getByRole('button', { name: 'Add' }).click();
  // Both are in view, as for a person who drags: when a page scrolls under a held button, something else is held.
  await page.waitForLoadState('load');
  const height = await page.evaluate(() => document.documentElement.scrollHeight);
  await page.setViewportSize({ width: 1280, height: height + 400 });
  await page.locator('[data-widget=log] .handles b').dragTo(page.locator('[data-widget=system] .handles b'));
  const first = (where) => where.locator('[data-widget]').first().getAttribute('data-widget');
  await until('the new order', async () => (await first(page)) === 'log');
  await page.setViewportSize({ width: 1280, height: 900 });
  await page.getByRole('button', { name: 'Firewall log: wider' }).press('Enter');
  await until('the new width', () => page.locator('[data-widget=log].w2').count());
  const password = 'another horse battery';
  lab.addUser('otto', password);
  const other = await window(await lab.chromium(), { javaScriptEnabled: false });
  await logIn(other.page, lab.origin, ['otto', password], '/');
  expect((await first(other.page)) === 'system', 'the other one sees what the first has arranged');
  await page.goto(`${lab.origin}/`);
  await page.getByText('live', { exact: true }).waitFor();
  const before = await page.locator('[data-live=system]').innerText();
  await until('a dashboard that moves', async () => (await page.locator('[data-live=system]').innerText()) !== before);
  await page.locator('.graph canvas').first().waitFor();
  await page.screenshot({ path: `${PICTURES}story-dashboard.png`, fullPage: true });
  const facts = async (where, widget) => (await where.locator(`[data-widget=${widget}] tbody th`).allInnerTexts())
    .map((text) => text.trim());
  await other.page.goto(`${lab.origin}/`);
  expect(String(await facts(page, 'interfaces')) === String(await facts(other.page, 'interfaces')), 'not the same facts');
  await other.context.close();
  await context.close();
}

/** The node that serves loses its power while somebody looks at the CARP page, which goes on by the shared address. */
async function powerOff(lab) {
  const { context, page } = await window(await lab.chromium());
  await logIn(page, lab.origin, lab.user, '/status/carp');
  const leads = (node) => JSON.parse(lab.koi(node, 'show', 'pair', '--json')).leads;
  const serving = leads('alpha') ? 'alpha' : 'beta';
  await until('a pair that can fail over', () => JSON.parse(lab.koi(serving, 'show', 'pair', '--json')).redundant, 60_000);
  await page.getByText('live', { exact: true }).waitFor();
  const status = JSON.parse(lab.koi(serving, 'show', 'status', '--json'));
  // Both at once, as a power cut does it: nobody says goodbye.
  process.kill(status.parent, 'SIGSTOP');
  process.kill(status.router, 'SIGSTOP');
  try {
    const alarm = page.locator('[data-live=banner] .alarm');
    await alarm.waitFor({ timeout: 30_000 });
    const other = serving === 'alpha' ? 'beta' : 'alpha';
    await until('the other node on the page', async () => (
      (await page.locator('[data-live=carp]').innerText()).includes(`${other}: role active`)), 30_000);
    expect((await page.locator('[data-live=carp]').innerText()).includes('silent'), 'the page does not say why');
    await page.screenshot({ path: `${PICTURES}story-power-off.png`, fullPage: true });
  } finally {
    process.kill(status.router, 'SIGCONT');
    process.kill(status.parent, 'SIGCONT');
  }
  await until('redundancy again, on the same page', async () => (
    (await page.locator('[data-live=banner] .alarm').count()) === 0), 90_000);
  await context.close();
}

/** A drill is run from the page, and its report read. */
async function drill(lab) {
  const { context, page } = await window(await lab.chromium());
  await logIn(page, lab.origin, lab.user, '/status/carp');
  await page.getByLabel('Times').selectOption('2');
  await page.getByRole('button', { name: 'Run a drill' }).click();
  await page.getByText('A drill runs').waitFor();
  await until('the report', async () => {
    await page.goto(`${lab.origin}/status/carp`, { timeout: 5000 });
    return (await page.getByText('A drill runs').count()) === 0 && page.getByRole('link', { name: /Read/ }).count();
  }, 120_000);
  await page.getByRole('link', { name: /Read/ }).first().click();
  await page.waitForURL('**/status/carp/drill/**');
  const report = await main(page).innerText();
  expect(/as it should be/.test(report), `the drill is broken: ${report}`);
  expect(/served after \d+ ms/.test(report) && (await main(page).locator('section').count()) === 3, `no measure: ${report}`);
  await page.screenshot({ path: `${PICTURES}story-drill.png`, fullPage: true });
  await context.close();
}

/** Both nodes are upgraded from the page, which follows the journal over the move of the shared address. */
async function pairUpgrade(lab) {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'koi-gui-release-'));
  const signed = path.join(directory, 'koi.signed');
  const program = process.env.KOI;
  execFileSync(program, ['release', 'sign', '--key', '/run/koi-lab/release.key', '--version', '0.1.1', '--out', signed, program]);
  const shown = (node, what) => JSON.parse(lab.koi(node, 'show', what, '--json'));
  await until('a pair that can fail over', () => ['alpha', 'beta'].every((node) => shown(node, 'pair').redundant), 60_000);
  const { context, page } = await window(await lab.chromium());
  await logIn(page, lab.origin, lab.user, '/status/carp/upgrade');
  const upload = async (file) => {
    await page.getByLabel('Signed release').setInputFiles(file);
    await page.getByRole('button', { name: 'Upload' }).click();
  };
  await upload({ name: 'koi', mimeType: 'application/octet-stream', buffer: Buffer.from('nonsense') });
  await page.getByText('Not taken: it is not signed').waitFor();
  await upload(signed);
  await page.getByRole('heading', { name: 'Version 0.1.1' }).waitFor({ timeout: 60_000 });
  await page.screenshot({ path: `${PICTURES}story-pair-upgrade-plan.png`, fullPage: true });
  await page.getByLabel('Upgrade both nodes, one after the other').check();
  await page.getByRole('button', { name: 'Upgrade both nodes' }).click();
  await page.locator('[data-live=upgrade]').getByText('tries 0.1.1').first().waitFor({ timeout: 60_000 });
  await page.locator('[data-live=upgrade]').getByText('is done', { exact: true }).waitFor({ timeout: 240_000 });
  await page.screenshot({ path: `${PICTURES}story-pair-upgrade.png`, fullPage: true });
  for (const node of ['alpha', 'beta']) {
    expect(shown(node, 'status').program.version === '0.1.1', `${node} runs another program`);
  }
  await context.close();
  fs.rmSync(directory, { recursive: true });
}

fs.mkdirSync(PICTURES, { recursive: true });

export const ofABareMachine = { wizard };
export const ofOne = {
  portForward, lockout, importing, paintWeek, blockFromLog, killState, liveStates, forgetNeighbour, capturePing, whyBlocked,
};
export const ofThePair = { renameAlias, keyboard, twoTabs, dashboards, drill, pairUpgrade, powerOff, failover };
