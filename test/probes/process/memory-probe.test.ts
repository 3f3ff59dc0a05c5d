import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect } from 'chai';
import { Container } from 'inversify';
import { ConfigurationError, discoverProbes } from 'koa-probes';
import {
  checkMemory,
  judgeMemory,
  MEMORY_LIMITS,
  MemoryProbe,
  readCgroupMemory,
  readMemory,
  type MemoryLimits,
  type MemoryUsage,
} from 'koa-probes/memory';
import { stageFault } from '../../support/faults.js';
import { run } from '../../support/processes.js';

const program = fileURLToPath(new URL('../../support/memory-child.js', import.meta.url));
const MIB = 1_048_576;

/** As V8 does by itself when the application goes on. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc()');
}

describe('koa-probes/memory', () => {
  describe('MemoryProbe', () => {
    const discover = async (limits?: MemoryLimits) => {
      const container = new Container();
      if (limits !== undefined) container.bind(MEMORY_LIMITS).toConstantValue(limits);
      return discoverProbes(container, { classes: [MemoryProbe], logger: false });
    };
    const memoryOf = async (limits?: MemoryLimits) => {
      const { results } = await (await discover(limits)).run('liveness', { only: 'memory' });
      return results[0];
    };

    it('passes for this process on this machine, and returns the memory usage', async () => {
      const result = await memoryOf();
      expect(result?.status).to.equal('pass');
      const { heapBytes, heapLimitBytes, rssBytes } = result?.data ?? {};
      expect(heapBytes).to.be.within(MIB, Number(heapLimitBytes));
      expect(rssBytes).to.be.above(10 * MIB);
    });

    it('fails if this process exceeds the limits', async () => {
      expect(String((await memoryOf({ maxHeapRatio: 0 }))?.error)).to.match(/the heap uses \d+ MiB of V8's limit, \d+ MiB: more than 0 %/);
    });

    it('fails while the heap is nearly full, and passes again when it is not', async () => {
      const { heapBytes, heapLimitBytes } = readMemory();
      const registry = await discover({ maxHeapRatio: (heapBytes + 150 * MIB) / heapLimitBytes });
      const held: (readonly number[])[] = [];
      await stageFault({
        registry,
        probe: 'memory',
        fault: 'the heap is nearly full (the test sets the limit to 150 MiB above the start)',
        // 8 bytes each.
        begin() {
          while (held.length < 40) held.push(Array<number>(MIB).fill(0.5));
        },
        end() {
          held.length = 0;
          collectGarbage();
        },
        reason: /^the heap uses \d+ MiB of V8's limit, \d+ MiB: more than [\d.]+ %$/,
      });
      registry.close();
    });

    for (const limits of [{ maxHeapRatio: 1.1 }, { maxRssRatio: -0.1 }, { maxRssRatio: NaN }, { maxHeapRatio: '0.5' as never }]) {
      it(`fails the start for ${JSON.stringify(limits)}`, async () => {
        const problem: unknown = await discover(limits).catch((error: unknown) => error);
        expect(problem).to.satisfy(ConfigurationError.is);
        expect(String(problem)).to.match(/`max(Heap|Rss)Ratio` of MEMORY_LIMITS to be a number from 0 to 1, got/);
      });
    }
  });

  describe('checkMemory(limits)', () => {
    it('returns data synchronously', () => expect(checkMemory()).to.include.keys('heapBytes', 'rssBytes'));

    for (const flag of ['--max-old-space-size=48', '--max_old_space_size=192']) {
      it(`fails with ${flag} before V8 runs out of memory, which happens far below its total limit`, async () => {
        // What is young grows old at once: with the default of 16 MiB a turn of it would be a third of so small a limit.
        const flags = [flag, '--max-semi-space-size=1'];
        const said = await run(process.execPath, [...flags, program], { env: { ...process.env, NODE_V8_COVERAGE: undefined } });
        expect(said).to.match(/the heap uses (4[5-8]|18[2-9]|19[0-2]) MiB of V8's limit, (48|192) MiB: more than 95 %/);
      });
    }

    it('reads the flag from NODE_OPTIONS', async () => {
      const env = { ...process.env, NODE_OPTIONS: '--max-old-space-size=48', NODE_V8_COVERAGE: undefined };
      const source = `import { checkMemory } from 'koa-probes/memory'; console.log(checkMemory().heapLimitBytes / ${String(MIB)});`;
      expect(await run(process.execPath, ['--input-type=module', '--eval', source], { env })).to.equal('48\n');
    });
  });

  describe('judgeMemory(usage, limits)', () => {
    const calm: MemoryUsage = {
      heapBytes: 100 * MIB,
      heapLimitBytes: 1_000 * MIB,
      rssBytes: 200 * MIB,
      cgroup: { version: 2, limitBytes: 500 * MIB, usedBytes: 250 * MIB },
    };

    it('returns the usage and the limits of the process and its container', () => {
      expect(judgeMemory(calm)).to.deep.equal({
        heapBytes: 100 * MIB,
        heapLimitBytes: 1_000 * MIB,
        rssBytes: 200 * MIB,
        containerBytes: 250 * MIB,
        containerLimitBytes: 500 * MIB,
      });
    });

    it('checks only the heap if the container has no limit', () => {
      expect(judgeMemory({ ...calm, rssBytes: 1e15, cgroup: undefined })).to.have.keys('heapBytes', 'heapLimitBytes', 'rssBytes');
    });

    const tooMuch: [string, Partial<MemoryUsage>, MemoryLimits, string][] = [
      ['heap', { heapBytes: 951 * MIB }, {}, "the heap uses 951 MiB of V8's limit, 1000 MiB: more than 95 %"],
      ['resident memory', { rssBytes: 480 * MIB }, {}, "the process uses 480 MiB of the container's limit, 500 MiB: more than 95 %"],
      [
        'memory of all processes of the container',
        { cgroup: { version: 1, limitBytes: 500 * MIB, usedBytes: 480 * MIB } },
        {},
        "the processes of the container use 480 MiB of the container's limit, 500 MiB: more than 95 %",
      ],
      ['heap for its own limit', {}, { maxHeapRatio: 0.055 }, "the heap uses 100 MiB of V8's limit, 1000 MiB: more than 5.5 %"],
      [
        'resident memory for its own limit',
        {},
        { maxRssRatio: 0.39 },
        "the process uses 200 MiB of the container's limit, 500 MiB: more than 39 %",
      ],
    ];
    for (const [name, usage, limits, message] of tooMuch) {
      it(`fails for too much ${name}`, () => expect(() => judgeMemory({ ...calm, ...usage }, limits)).to.throw(Error, message));
    }

    it('passes exactly at the limit', () => {
      expect(() => judgeMemory({ ...calm, heapBytes: 950 * MIB, rssBytes: 475 * MIB })).not.to.throw();
    });
  });

  describe('readCgroupMemory(root)', () => {
    let root: string;
    beforeEach(() => (root = mkdtempSync(join(tmpdir(), 'koa-probes-cgroup-'))));
    afterEach(() => rmSync(root, { recursive: true, force: true }));

    const layOut = (files: Readonly<Record<string, string>>) => {
      for (const [path, text] of Object.entries(files)) {
        mkdirSync(dirname(join(root, path)), { recursive: true });
        writeFileSync(join(root, path), `${text}\n`);
      }
    };
    const v2 = (folder: string, limit: number | 'max', usage: number, stat = '') => ({
      [`sys/fs/cgroup/${folder}/memory.max`]: String(limit),
      [`sys/fs/cgroup/${folder}/memory.current`]: String(usage),
      [`sys/fs/cgroup/${folder}/memory.stat`]: stat,
    });
    const v1 = (folder: string, limit: string, anonymous: number, stat = '') => ({
      [`sys/fs/cgroup/memory/${folder}/memory.limit_in_bytes`]: limit,
      [`sys/fs/cgroup/memory/${folder}/memory.usage_in_bytes`]: limit,
      [`sys/fs/cgroup/memory/${folder}/memory.stat`]: `cache 9999\ntotal_rss ${String(anonymous)}\n${stat}`,
    });
    const NO_LIMIT = '9223372036854771712';

    it('reads version 2 in a container with its own namespace', () => {
      layOut({ 'proc/self/cgroup': '0::/', ...v2('.', 512 * MIB, 300 * MIB, 'anon 1\nactive_file 1000\ninactive_file 24\nfile 9999') });
      expect(readCgroupMemory(root)).to.deep.equal({ version: 2, limitBytes: 512 * MIB, usedBytes: 300 * MIB - 1_024 });
    });

    it('does not count memory of version 2 that the kernel frees before it kills a process', () => {
      const stat = `anon ${String(50 * MIB)}\ninactive_file ${String(100 * MIB)}\nslab_reclaimable ${String(150 * MIB)}\nslab_unreclaimable 1`;
      layOut({ 'proc/self/cgroup': '0::/', ...v2('.', 512 * MIB, 310 * MIB, stat) });
      expect(readCgroupMemory(root)?.usedBytes).to.equal(60 * MIB);
    });

    it('uses the lowest limit on the way up, with the usage of that group', () => {
      layOut({
        'proc/self/cgroup': '0::/kubepods.slice/pod1.slice/container.scope',
        ...v2('kubepods.slice', 4_096 * MIB, 3_000 * MIB),
        ...v2('kubepods.slice/pod1.slice', 256 * MIB, 200 * MIB),
        ...v2('kubepods.slice/pod1.slice/container.scope', 'max', 50 * MIB),
      });
      expect(readCgroupMemory(root)).to.deep.equal({ version: 2, limitBytes: 256 * MIB, usedBytes: 200 * MIB });
    });

    it('uses the innermost of equal limits', () => {
      layOut({ 'proc/self/cgroup': '0::/pod/container', ...v2('pod', 256 * MIB, 200 * MIB), ...v2('pod/container', 256 * MIB, 50 * MIB) });
      expect(readCgroupMemory(root)?.usedBytes).to.equal(50 * MIB);
    });

    it('reads the root of the mount if the path is a path of the host', () => {
      layOut({ 'proc/self/cgroup': '0::/kubepods.slice/pod1.slice/container.scope', ...v2('.', 128 * MIB, 5) });
      expect(readCgroupMemory(root)).to.deep.equal({ version: 2, limitBytes: 128 * MIB, usedBytes: 5 });
    });

    it('does not leave the mount if a path begins above it', () => {
      layOut({ 'proc/self/cgroup': '0::/../../../proc', 'proc/memory.max': '1', 'proc/memory.current': '1', ...v2('.', 128 * MIB, 5) });
      expect(readCgroupMemory(root)?.limitBytes).to.equal(128 * MIB);
    });

    it('counts the memory of processes in all groups below for version 1, whose own usage includes all caches of the kernel', () => {
      layOut({
        'proc/self/cgroup': '9:name=systemd:/\n4:cpu,cpuacct:/docker/1\n3:memory:/docker/1',
        ...v1('.', NO_LIMIT, 900 * MIB),
        ...v1('docker/1', String(64 * MIB), 20 * MIB, `total_inactive_file 1000\ntotal_shmem ${String(5 * MIB)}`),
      });
      expect(readCgroupMemory(root)).to.deep.equal({ version: 1, limitBytes: 64 * MIB, usedBytes: 25 * MIB });
    });

    it('reads version 1 at the root of the mount if the path is a path of the host', () => {
      layOut({ 'proc/self/cgroup': '3:memory:/kubepods/burstable/pod1/container', ...v1('.', String(64 * MIB), 7) });
      expect(readCgroupMemory(root)).to.deep.equal({ version: 1, limitBytes: 64 * MIB, usedBytes: 7 });
    });

    it('reads version 1 next to a version 2 that does not control memory', () => {
      layOut({
        'proc/self/cgroup': '1:memory:/a\n0::/a',
        'sys/fs/cgroup/unified/a/cgroup.procs': '1',
        ...v1('a', String(64 * MIB), 7),
      });
      expect(readCgroupMemory(root)?.version).to.equal(1);
    });

    const unlimited: [string, Record<string, string>][] = [
      ['version 2 says max', { 'proc/self/cgroup': '0::/a', ...v2('a', 'max', 5) }],
      ['version 1 says its largest number', { 'proc/self/cgroup': '1:memory:/a', ...v1('a', NO_LIMIT, 5) }],
      ['version 1 says it with pages of 64 KiB', { 'proc/self/cgroup': '1:memory:/a', ...v1('a', '9223372036854710272', 5) }],
      ['the host has no limit at its root', { 'proc/self/cgroup': '0::/' }],
      ['the system has no control groups', {}],
      ['a file has no number', { 'proc/self/cgroup': '0::/', ...v2('.', 5, NaN) }],
      ['the file of the limit is empty', { 'proc/self/cgroup': '0::/', ...v2('.', 5, 5), 'sys/fs/cgroup/memory.max': '' }],
      ['version 1 says -1', { 'proc/self/cgroup': '1:memory:/a', ...v1('a', '-1', 5) }],
      [
        'version 1 does not say what its processes hold',
        { 'proc/self/cgroup': '1:memory:/a', ...v1('a', '64', 5), 'sys/fs/cgroup/memory/a/memory.stat': 'cache 1' },
      ],
    ];
    for (const [name, files] of unlimited) {
      it(`returns undefined if ${name}`, () => {
        layOut(files);
        expect(readCgroupMemory(root)).to.equal(undefined);
      });
    }
  });

  describe('readMemory()', () => {
    it('agrees with the limit that Node reads for this process', () => {
      const { cgroup } = readMemory();
      const seenByNode = process.constrainedMemory();
      if (cgroup === undefined) expect(seenByNode).to.satisfy((bytes: number) => bytes === 0 || bytes >= 2 ** 53);
      else expect(cgroup.limitBytes).to.be.at.most(seenByNode);
    });
  });
});
