import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { projectPath } from '../support/consumer.js';
import { hasBlock, printManifest, splitFields } from '../support/manifest.js';

/** Each pod spec of the examples that is made by the command, and its module. */
const SPECS: [string, string, readonly string[], Record<string, string>?][] = [
  ['examples/kubernetes/deployment.yaml', 'examples/kubernetes/server.js', ['--container', 'shop']],
  ['examples/kubernetes/worker.yaml', 'examples/kubernetes/worker-app.js', ['--container', 'worker']],
  ['examples/cluster/pod.yaml', 'examples/cluster/primary.js', ['--container', 'shop']],
  ['examples/worker/socket.yaml', 'examples/worker/app.js', ['--container', 'worker']],
  ['examples/worker/heartbeat.yaml', 'examples/worker/app.js', ['--container', 'worker', '--heartbeat', '/run/app']],
  [
    'examples/shutdown/pod.yaml',
    'examples/shutdown/server.js',
    ['--container', 'reports'],
    { DRAIN_DELAY_MS: '5000', SHUTDOWN_TIMEOUT_MS: '25000' },
  ],
];

/** What the documents show of such a spec: the fences of YAML that the words before them introduce. */
const SHOWN: [string, string, string][] = [
  ['README.md', 'Part of it:\n', 'examples/quickstart/server.js'],
  ['docs/kubernetes.md', 'that is:\n', 'examples/kubernetes/server.js'],
  ['docs/exec.md', 'shell.yaml), [app](../examples/worker/app.yaml).\n', 'examples/worker/app.js'],
];

describe('koa-probes manifest', () => {
  for (const [file, module, args, env] of SPECS) {
    it(`prints what stands in ${file}`, async () => {
      const lines = readFileSync(projectPath(file), 'utf8').split('\n');
      const blocks = splitFields(await printManifest(module, args, env));
      expect(blocks.map(([first]) => first?.trim())).to.include.members(['startupProbe:', 'livenessProbe:', 'readinessProbe:']);
      for (const block of blocks) expect(hasBlock(lines, block), `it has\n${block.join('\n')}`).to.equal(true);
      expect(lines.filter((line) => /^\s+(livenessProbe|readinessProbe|startupProbe|lifecycle):/.test(line))).to.have.lengthOf(3);
    });
  }

  for (const [file, before, module] of SHOWN) {
    it(`prints what ${file} shows`, async () => {
      const text = readFileSync(projectPath(file), 'utf8');
      const fence = /^```yaml\n(.*?)^```$/ms.exec(text.slice(text.indexOf(before)))?.[1] ?? '';
      const blocks = splitFields(fence.split('\n'));
      expect(blocks.map(([first]) => first?.trim())).to.include('readinessProbe:');
      const printed = await printManifest(module, []);
      for (const block of blocks) expect(hasBlock(printed, block), `it prints\n${block.join('\n')}`).to.equal(true);
    });
  }
});
