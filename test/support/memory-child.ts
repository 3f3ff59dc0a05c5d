// Fills its heap until the probe says so, which must be before V8 ends the process.
import { checkMemory } from 'koa-probes/memory';

interface Link {
  readonly before: Link | undefined;
  readonly padding: readonly number[];
}

let last: Link | undefined;
try {
  for (;;) {
    for (let links = 0; links < 500; links += 1) last = { before: last, padding: [links, links, links, links] };
    checkMemory();
  }
} catch (error) {
  console.log(String(error), last?.padding.length);
}
