// See it, understand it, act on it: what the pages of Diagnostics do to packets.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

import { PICTURES, expect, logIn, window } from './browser.mjs';
import { sleep, until } from './networks.mjs';

const main = (page) => page.locator('main');
const OUTSIDE = '203.0.113.1';

async function apply(page) {
  await page.getByRole('button', { name: 'Apply', exact: true }).click();
  expect(!(await main(page).innerText()).includes('not in force yet'), 'the changes are not in force');
}

/** A connection from LAN to outside over which a letter comes now and then. */
async function stream(one, port) {
  const server = `require('net').createServer((s) => { s.on('error', () => {}); setInterval(() => s.write('x'), 100); }).listen(${port}, '0.0.0.0', () => console.log('listens'))`;
  const client = `require('net').connect(${port}, '${OUTSIDE}').on('error', () => {}).pipe(process.stdout)`;
  const serving = one.run('wan', server);
  await until('the server', () => serving.text.includes('listens'));
  const flow = one.run('lan', client);
  await until('the first letters', () => flow.text.includes('xxx'));
  return flow;
}

async function isDead(flow) {
  await sleep(500);
  const before = flow.text.length;
  await sleep(2000);
  return flow.text.length === before;
}

/** A line of the log becomes a rule, and the connection dies. */
export async function blockFromLog(one) {
  const { context, page } = await window(await one.chromium());
  await logIn(page, one.origin, one.user, '/firewall/rules/edit/1000000');
  await page.getByLabel('Log packets that this rule handles').check();
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  await apply(page);
  const flow = await stream(one, 8001);
  const records = () => JSON.parse(one.koi('show', 'log', '--json')).filter((row) => row.dport === 8001);
  const record = await until('the line of the log', () => records()[0]);
  await page.goto(`${one.origin}/firewall/easy-rule?action=block&log=${record.id}`);
  await page.getByLabel('How long').selectOption('1h');
  await page.getByRole('button', { name: 'Preview' }).click();
  const shown = await main(page).innerText();
  expect(shown.includes('with the rule block'), `the preview: ${shown}`);
  await page.screenshot({ path: `${PICTURES}story-easy-rule.png`, fullPage: true });
  expect(!(await isDead(flow)), 'it died before anything was in force');
  await page.getByRole('button', { name: 'Add to the draft' }).click();
  await page.waitForURL('**/changes');
  await apply(page);
  expect(await isDead(flow), 'the connection goes on');
  await page.goto(`${one.origin}/firewall/rules?tab=lan`);
  expect((await main(page).innerText()).includes('ends in '), 'the list does not count down');
  await context.close();
}

/** A state is found, and ends. */
export async function killState(one) {
  const { context, page } = await window(await one.chromium());
  const flow = await stream(one, 8002);
  await logIn(page, one.origin, one.user, `/diagnostics/states?address=${OUTSIDE}&port=8002`);
  const row = page.locator('tbody tr', { hasText: ':8002' });
  expect((await row.count()) === 1, `one state, not ${await row.count()}`);
  await page.screenshot({ path: `${PICTURES}story-states.png`, fullPage: true });
  await page.getByRole('link', { name: /^Kill states with/ }).click();
  expect((await main(page).innerText()).includes('1 state would end'), 'no preview');
  await page.getByRole('button', { name: 'Kill 1 state' }).click();
  expect((await main(page).innerText()).includes('1 state has ended'), 'it is not said that it has ended');
  expect(await isDead(flow), 'the connection goes on');
  await context.close();
}

/** States come and move on the page by themselves, and hold still when somebody wants that. */
export async function liveStates(one) {
  const { context, page } = await window(await one.chromium());
  const question = '/diagnostics/states?port=8003';
  await logIn(page, one.origin, one.user, question);
  await page.getByText('No state fits.').waitFor();
  await stream(one, 8003);
  const row = page.locator('tbody tr', { hasText: ':8003' });
  await row.waitFor();
  const bytes = () => row.locator('[data-label=Bytes]').innerText();
  const first = await bytes();
  await until('bytes that grow', async () => (await bytes()) !== first);
  await page.getByRole('button', { name: 'Pause' }).click();
  const held = await bytes();
  await page.evaluate(() => new Promise((done) => {
    let ticks = 0;
    document.addEventListener('koi:tick', () => {
      ticks += 1;
      if (ticks === 4) done();
    });
  }));
  expect((await bytes()) === held, 'it moves though it is paused');
  await page.screenshot({ path: `${PICTURES}story-live-states.png`, fullPage: true });
  await page.getByRole('button', { name: 'Go on' }).click();
  await until('bytes that grow again', async () => (await bytes()) !== held);
  const plain = await window(await one.chromium(), { javaScriptEnabled: false });
  await logIn(plain.page, one.origin, one.user, question);
  expect((await plain.page.locator('tbody tr', { hasText: ':8003' }).count()) === 1, 'without a script it is not there');
  await plain.context.close();
  await context.close();
}

/** Whoever is deleted from the ARP table is gone, and is met again when somebody needs it. */
export async function forgetNeighbour(one) {
  const { context, page } = await window(await one.chromium());
  const meet = async () => {
    await page.goto(`${one.origin}/diagnostics/ping`);
    await page.getByLabel('Host').fill('10.20.0.10');
    await page.getByRole('button', { name: 'Ping' }).click();
    await page.goto(`${one.origin}/diagnostics/arp`);
  };
  const row = page.getByRole('row', { name: /10\.20\.0\.10/ });
  await logIn(page, one.origin, one.user);
  await meet();
  expect((await row.count()) === 1, 'the host on DMZ was not met');
  await row.getByRole('button', { name: 'Delete 10.20.0.10 on dmz' }).click();
  await page.waitForURL('**/diagnostics/arp');
  expect((await row.count()) === 0, `it is there still: ${await main(page).innerText()}`);
  await meet();
  expect((await row.count()) === 1, 'it is not met again');
  await page.goto(`${one.origin}/status/audit`);
  expect((await main(page).innerText()).includes('made fw forget the neighbour 10.20.0.10 on dmz'), 'nobody has written it down');
  await context.close();
}

/** A ping from the firewall, captured on its way and read by tcpdump. */
export async function capturePing(one) {
  const { context, page } = await window(await one.chromium());
  await logIn(page, one.origin, one.user, '/diagnostics/capture');
  await page.getByLabel('Interface').selectOption('wan');
  await page.getByLabel('Protocol').fill('icmp');
  await page.getByLabel('Hosts or networks').fill(OUTSIDE);
  await page.getByRole('button', { name: 'Start' }).click();
  await page.waitForURL('**/diagnostics/capture/*');
  const capture = page.url();
  await page.goto(`${one.origin}/diagnostics/ping`);
  await page.getByLabel('Host').fill(OUTSIDE);
  await page.getByLabel('Source address').selectOption('203.0.113.2');
  await page.getByRole('button', { name: 'Ping' }).click();
  const told = await main(page).innerText();
  expect(told.includes('3 sent, 3 answered, 0 lost'), `the ping: ${told}`);
  await page.screenshot({ path: `${PICTURES}story-ping.png`, fullPage: true });
  await page.goto(capture);
  await page.getByRole('button', { name: 'Stop' }).click();
  await until('the end of the capture', async () => {
    await page.goto(capture);
    return (await main(page).innerText()).includes('It has ended');
  });
  await page.screenshot({ path: `${PICTURES}story-capture.png`, fullPage: true });
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('link', { name: 'Download pcap' }).click(),
  ]);
  const file = path.join(one.directory, 'ping.pcap');
  await download.saveAs(file);
  const read = execFileSync('tcpdump', ['-nr', file], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  // The watch over the gateway asks as well, with other lengths.
  const ours = (word) => (read.match(new RegExp(`ICMP echo ${word}, id \\d+, seq [123], length 64`, 'g')) ?? []).length;
  expect(ours('request') === 3 && ours('reply') === 3, `tcpdump reads: ${read}`);
  fs.rmSync(file);
  await context.close();
}

/** The rule that blocks a packet is found by describing it. */
export async function whyBlocked(one) {
  const { context, page } = await window(await one.chromium());
  await logIn(page, one.origin, one.user, '/firewall/rules/new?tab=lan&top=true');
  await page.getByLabel('Action').selectOption('block');
  await page.getByLabel('Protocol').fill('tcp');
  await page.getByLabel('Destination port').fill('25');
  await page.getByLabel('Description').fill('no mail from here');
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  const ask = async (under) => {
    await page.goto(`${one.origin}/diagnostics/why`);
    await page.getByLabel('Comes in by').selectOption('lan');
    await page.getByLabel('Source', { exact: true }).fill('192.168.1.10');
    await page.getByLabel('Destination', { exact: true }).fill(OUTSIDE);
    await page.getByLabel('Destination port').fill('25');
    await page.getByLabel('Under').selectOption(under);
    await page.getByRole('button', { name: 'Ask' }).click();
    return main(page).innerText();
  };
  expect((await ask('')).includes('Leaves by wan'), 'it is blocked before the rule is in force');
  expect((await ask('candidate')).includes('no mail from here'), 'the draft does not block it');
  await apply(page);
  const told = await ask('');
  expect(told.includes('no mail from here') && told.includes('Goes no further'), `the answer: ${told}`);
  await page.screenshot({ path: `${PICTURES}story-why.png`, fullPage: true });
  await page.locator('tbody a', { hasText: /^rule 1000/ }).click();
  expect((await page.getByLabel('Description').inputValue()) === 'no mail from here', 'the link leads elsewhere');
  await context.close();
}
