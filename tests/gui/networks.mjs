// Where the pages are: the lab's pair, or one node between two namespaces of its own.

import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { open } from './browser.mjs';

const KOI = process.env.KOI;
const PATIENCE = 90_000;

export const sleep = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

function command(...words) {
  return execFileSync(words[0], words.slice(1), { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Asks until the answer is true. */
export async function until(what, ask, patience = 20_000) {
  const deadline = Date.now() + patience;
  for (;;) {
    let why = '';
    try {
      const answer = await ask();
      if (answer) return answer;
    } catch (error) {
      why = `: ${error.message}`;
    }
    if (why.length > 300 || Date.now() > deadline) throw new Error(`${what} does not come about${why}`);
    await sleep(200);
  }
}

/** A program that runs, and what it has said. */
class Running {
  constructor(words) {
    this.text = '';
    this.process = spawn(words[0], words.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] });
    this.over = new Promise((done) => this.process.on('exit', done));
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream.on('data', (data) => { this.text = (this.text + data).slice(-200_000); });
    }
  }

  async end(signal = 'SIGTERM') {
    if (this.process.exitCode === null) this.process.kill(signal);
    const late = setTimeout(() => this.process.kill('SIGKILL'), 15_000);
    await this.over;
    clearTimeout(late);
  }
}

const NODES = ['alpha', 'beta'];

/** `koi lab`: one for all parts that need it, since it takes its time. */
export class Lab {
  static lab = null;

  static async shared() {
    if (Lab.lab === null) {
      const lab = new Lab();
      await until('the lab', () => {
        if (lab.running.process.exitCode !== null) throw new Error('it has ended');
        return lab.running.text.includes('Serving until Ctrl-C');
      }, PATIENCE);
      Lab.lab = lab;
      await until('a pair', () => NODES.every((node) => lab.pair(node).redundant));
      await lab.makeUser();
    }
    return Lab.lab;
  }

  static async end() {
    if (Lab.lab === null) return;
    await Lab.lab.closeBrowser();
    await Lab.lab.running.end('SIGINT');
    Lab.lab = null;
  }

  constructor() {
    this.running = new Running([KOI, 'lab', '--serve']);
    this.client = 'koi-lab-client';
    this.origin = 'https://192.168.1.1';
    this.user = ['ada', 'correct horse battery'];
  }

  /** Whoever leads, by its control socket; one that is dead does not answer. */
  control(node) {
    return `/run/koi-lab/${node}.sock`;
  }

  koi(node, ...words) {
    return command(KOI, ...words, '--control', this.control(node));
  }

  /** What a node says of the pair. */
  pair(node) {
    return JSON.parse(this.koi(node, 'show', 'pair', '--json'));
  }

  async makeUser() {
    const [name, password] = this.user;
    execFileSync(KOI, ['user', 'password', name, '--stdin', '--control', this.control('alpha')], { input: password });
    const status = () => this.koi('alpha', 'config', 'status');
    if (/candidate/.test(status())) this.koi('alpha', 'config', 'apply');
  }

  /** One more user, in force. */
  addUser(name, password) {
    const node = NODES.find((one) => this.pair(one).leads);
    execFileSync(KOI, ['user', 'password', name, '--stdin', '--control', this.control(node)], { input: password });
    if (/candidate/.test(this.koi(node, 'config', 'status'))) this.koi(node, 'config', 'apply');
  }

  /** A browser on the desk of the office. */
  async chromium() {
    this.browser ??= await open(this.client);
    return this.browser;
  }

  /** Whoever comes next has a browser of their own: one that has seen every page is large and slow. */
  async closeBrowser() {
    await this.browser?.close();
    this.browser = null;
  }

  lastWords() {
    return this.running.text.slice(-2000);
  }
}

const PREFIX = 'koi-gui-';

/** What an earlier run has left behind. */
export function sweep() {
  for (const line of command('ip', 'netns', 'list').split('\n')) {
    const name = line.split(' ')[0];
    if (name.startsWith(PREFIX)) command('ip', 'netns', 'delete', name);
  }
}

/** One node: a desk on LAN, and a host outside that is the internet. */
export class Single {
  static count = 0;

  /** Bare as it comes, or set up with a user. */
  static async start(isSetUp) {
    sweep();
    const single = new Single();
    single.cable('lan', 'tap-lan', '192.168.1.10/24', '192.168.1.1');
    single.cable('wan', 'tap-wan', '203.0.113.1/24', null);
    single.cable('dmz', 'tap-dmz', '10.20.0.10/24', '10.20.0.1');
    fs.writeFileSync(single.config, single.document(isSetUp));
    if (isSetUp) {
      const [name, password] = single.user;
      execFileSync(KOI, ['user', 'password', name, '--stdin', '--config', single.config], { input: password });
    }
    const words = ['run', '--config', single.config, '--state', single.state, '--control', single.socket];
    single.running = new Running([KOI, ...words]);
    await until('the node', () => {
      if (single.running.process.exitCode !== null) throw new Error(single.running.text.slice(-2000));
      return single.running.text.includes('the router is ready');
    }, 30_000);
    for (const name of ['lan', 'wan', 'dmz']) single.plug(name);
    return single;
  }

  constructor() {
    this.directory = fs.mkdtempSync(path.join(os.tmpdir(), 'koi-gui-'));
    this.config = path.join(this.directory, 'koi.toml');
    this.state = path.join(this.directory, 'state');
    this.socket = path.join(this.directory, 'control');
    this.origin = 'https://192.168.1.1';
    this.client = `${PREFIX}lan`;
    this.outside = `${PREFIX}wan`;
    this.started = [];
    this.user = ['ada', 'correct horse battery'];
  }

  /** What a machine has: its ports, and an address on LAN; or what the wizard would make of it. */
  document(isSetUp) {
    const port = (name) => `[[node.port]]\nname = "${name}"\ntap = "tap-${name}"\nnetns = "${PREFIX}${name}"\n\n`;
    const part = ([name, address]) => `[[node.interface]]\nname = "${name}"\n${address && `addresses = ["${address}"]\n`}\n`;
    const zone = ([name]) => `[[interface]]\nname = "${name}"\nzone = "${name}"\nport = "${name}"\n\n`;
    const all = [['lan', '192.168.1.1/24'], ['wan', '203.0.113.2/24'], ['dmz', '10.20.0.1/24']];
    const has = isSetUp ? all : [all[0], ['wan', ''], ['dmz', '']];
    const rest = '[[gateway]]\nname = "WANGW"\ninterface = "wan"\naddress = "203.0.113.1"\ndefault = true\n\n'
      + '[[rule]]\nid = 1000000\ninterface = "lan"\naction = "pass"\nsource = "lan net"\ndescription = "LAN may go anywhere"\n';
    return 'schema = 1\nrevision = 1\n\n[[node]]\nname = "fw"\n\n'
      + ['lan', 'wan', 'dmz'].map(port).join('') + has.map(part).join('') + has.map(zone).join('')
      + (isSetUp ? rest : '[outbound]\nmode = "disabled"\n');
  }

  /** A namespace with a host that has an address; its device is a bridge that the TAP will be plugged into. */
  cable(name, tap, address, gateway) {
    const netns = `${PREFIX}${name}`;
    command('ip', 'netns', 'add', netns);
    const inside = (...words) => command('ip', '-n', netns, ...words);
    // A browser takes addresses that come later for another network, and begins anew.
    command('ip', 'netns', 'exec', netns, 'sysctl', '-qw', 'net.ipv6.conf.all.disable_ipv6=1', 'net.ipv6.conf.default.disable_ipv6=1');
    inside('link', 'set', 'lo', 'up');
    inside('link', 'add', 'br0', 'type', 'bridge');
    inside('addr', 'add', address, 'dev', 'br0');
    inside('link', 'set', 'br0', 'up');
    if (gateway) inside('route', 'add', 'default', 'via', gateway);
  }

  plug(name) {
    command('ip', '-n', `${PREFIX}${name}`, 'link', 'set', `tap-${name}`, 'master', 'br0');
    command('ip', '-n', `${PREFIX}${name}`, 'link', 'set', `tap-${name}`, 'up');
  }

  koi(...words) {
    return command(KOI, ...words, '--control', this.socket);
  }

  /** What the first start has made for whoever sets the machine up. */
  code() {
    return fs.readFileSync(path.join(this.state, 'web-password'), 'utf8').trim();
  }

  /** A host of that name answers with its name on this port. */
  serve(name, port) {
    const script = `require('net').createServer((s) => s.end(${JSON.stringify(name)})).listen(${port}, '0.0.0.0')`;
    this.started.push(new Running(['ip', 'netns', 'exec', `${PREFIX}${name}`, process.execPath, '-e', script]));
  }

  /** A script that runs on that host; what it says is its text. */
  run(name, script) {
    const running = new Running(['ip', 'netns', 'exec', `${PREFIX}${name}`, process.execPath, '-e', script]);
    this.started.push(running);
    return running;
  }

  /** What a connection from that host says. */
  fetch(name, address, port) {
    const script = `const s = require('net').connect(${port}, ${JSON.stringify(address)}); s.setTimeout(2000, () => process.exit(1));`
      + `s.on('error', () => process.exit(1)); s.pipe(process.stdout)`;
    return command('ip', 'netns', 'exec', `${PREFIX}${name}`, process.execPath, '-e', script);
  }

  async chromium() {
    this.browser ??= await open(this.client);
    return this.browser;
  }

  async end() {
    await this.browser?.close();
    for (const running of this.started) await running.end('SIGKILL');
    await this.running.end();
    sweep();
    fs.rmSync(this.directory, { recursive: true, force: true });
  }

  lastWords() {
    return this.running.text.slice(-3000);
  }
}
