// Runs what is named on the command line, and says what holds.

import { Lab, Single, sweep } from './networks.mjs';
import { walk } from './walk.mjs';
import * as stories from './stories.mjs';

/** What there is to try, by the network that it needs. */
const PARTS = {
  lab: { walk, ...stories.ofThePair },
  bare: { ...stories.ofABareMachine },
  single: { walkOne: walk, ...stories.ofOne },
};

/** Everything in thirds that take about as long as each other. The lab's walk sees the pages of walkOne, too. */
const THIRDS = {
  pages: ['walk'],
  pair: Object.keys(stories.ofThePair),
  one: [...Object.keys(stories.ofABareMachine), ...Object.keys(stories.ofOne)],
};

const wanted = process.argv.slice(2).flatMap((name) => THIRDS[name] ?? [name]);
const all = Object.values(PARTS).flatMap((parts) => Object.keys(parts));
const unknown = wanted.filter((name) => !all.includes(name));
if (unknown.length > 0 || wanted.length === 0) {
  console.error(`tests/gui: no part ${unknown.join(', ')}; there are ${[...Object.keys(THIRDS), ...all].join(', ')}`);
  process.exit(2);
}

let failed = 0;
for (const [network, parts] of Object.entries(PARTS)) {
  const chosen = Object.entries(parts).filter(([name]) => wanted.includes(name));
  if (chosen.length === 0) continue;
  for (const [name, part] of chosen) {
    const begin = Date.now();
    let place;
    try {
      place = network === 'lab' ? await Lab.shared() : await Single.start(network === 'single');
      await part(place);
      console.log(`ok      ${name} (${((Date.now() - begin) / 1000).toFixed(1)} s)`);
    } catch (error) {
      failed += 1;
      console.log(`FAILED  ${name}: ${error.stack ?? error}`);
      if (place) console.log(place.lastWords());
    }
    if (place) await (network === 'lab' ? place.closeBrowser() : place.end());
  }
  if (network === 'lab') await Lab.end();
}
sweep();
console.log(failed === 0 ? 'all hold' : `${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
