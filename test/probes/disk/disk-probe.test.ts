import { chmodSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { Container, injectFromBase } from 'inversify';
import { ConfigurationError, discoverProbes, LivenessProbe, type ProbeRegistry } from 'koa-probes';
import { checkDisk, DISK_PATH, DiskProbe, type DiskTarget } from 'koa-probes/disk';
import { stageFault } from '../../support/faults.js';
import { canMount, mountExt4, mountTmpfs, type Mount } from '../../support/mounts.js';
import { run, until } from '../../support/processes.js';
import { MemoryLogger } from '../../support/probes.js';

const program = fileURLToPath(new URL('../../support/disk-child.js', import.meta.url));
const context = { signal: new AbortController().signal };

describe('koa-probes/disk', () => {
  let folder: string;
  const registries: ProbeRegistry[] = [];
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'koa-probes-disk-'))));
  afterEach(() => {
    for (const registry of registries.splice(0)) registry.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const discover = async (...targets: DiskTarget[]) => {
    const container = new Container();
    for (const target of targets) container.bind(DISK_PATH).toConstantValue(target);
    const registry = await discoverProbes(container, { classes: [DiskProbe], logger: false });
    registries.push(registry);
    return registry;
  };
  const diskOf = async (registry: ProbeRegistry) => (await registry.run('readiness', { only: 'disk' })).results[0];
  const problemOf = (promise: Promise<unknown>): Promise<unknown> => promise.then(() => undefined).catch((error: unknown) => error);

  describe('DiskProbe', () => {
    it('passes for a folder with enough free space, returns the free space, and leaves no file behind', async () => {
      const registry = await discover({ path: folder, minFreeRatio: 0 });
      const result = await diskOf(registry);
      expect(result?.status).to.equal('pass');
      expect(result?.data?.['freeBytes']).to.be.above(0);
      expect(result?.data).to.have.property('freeInodes');
      await Promise.all(Array.from({ length: 20 }, () => diskOf(registry)));
      expect(readdirSync(folder)).to.deep.equal([]);
    });

    it('checks every folder that is bound', async () => {
      const registry = await discover({ path: folder, minFreeRatio: 0 }, { path: join(folder, 'missing') });
      expect(String((await diskOf(registry))?.error)).to.include(`${join(folder, 'missing')} does not exist`);
    });

    it('fails while the folder is missing, and passes again when it is back', async () => {
      const path = join(folder, 'data');
      mkdirSync(path);
      await stageFault({
        registry: await discover({ path, minFreeRatio: 0 }),
        probe: 'disk',
        fault: 'the folder is missing',
        begin: () => renameSync(path, `${path}-away`),
        end: () => renameSync(`${path}-away`, path),
        reason: /data does not exist/,
      });
    });

    it('fails the start if nothing is bound to DISK_PATH, and says what to bind', async () => {
      const problem = await problemOf(discover());
      expect(problem).to.satisfy(ConfigurationError.is);
      expect(String(problem)).to.match(
        /could not create DiskProbe\. .*nothing is bound to DISK_PATH\. Bind a target, `container\.bind\(DISK_PATH\)/,
      );
    });

    it('warns if it is decorated or registered as a liveness probe, unless `restartOnOutage` is set', async () => {
      @LivenessProbe({ name: 'disk' })
      @injectFromBase({ extendConstructorArguments: true })
      class LiveDiskProbe extends DiskProbe {}
      @LivenessProbe({ name: 'wanted', restartOnOutage: true })
      @injectFromBase({ extendConstructorArguments: true })
      class WantedDiskProbe extends DiskProbe {}
      const warned =
        /^warn koa-probes: liveness probe (disk|registered) checks a disk, which is outside this process: an outage would restart every pod/;
      const logger = new MemoryLogger();
      const container = new Container();
      container.bind(DISK_PATH).toConstantValue({ path: folder, minFreeRatio: 0 });
      const registry = await discoverProbes(container, { classes: [LiveDiskProbe, WantedDiskProbe], logger });
      registries.push(registry);
      expect(logger.lines.filter((line) => warned.test(line))).to.have.length(1);
      registry.register({ name: 'registered', kinds: ['liveness'], check: (one) => checkDisk({ path: folder }, one) });
      await registry.run('liveness');
      await registry.run('liveness');
      expect(logger.lines.filter((line) => warned.test(line))).to.have.length(2);
    });

    const invalid: [DiskTarget, RegExp][] = [
      [{ path: '' }, /`path` of DISK_PATH to be the path of a folder, got ""/],
      [{ path: '/', minFreeBytes: -1 }, /`minFreeBytes` of DISK_PATH to be a number from 0 .* got `-1`/],
      [{ path: '/', minFreeRatio: 5 }, /`minFreeRatio` of DISK_PATH to be a number from 0 to 1, got `5`/],
      [{ path: '/', minFreeInodesRatio: 5 }, /`minFreeInodesRatio` of DISK_PATH/],
      [{ path: '/', isWritable: 'no' as never }, /`isWritable` of DISK_PATH to be true or false, got "no"/],
      [{ path: '/', free: 1 } as DiskTarget, /Unknown option `free` of DISK_PATH/],
    ];
    for (const [target, message] of invalid) {
      it(`fails the start for ${JSON.stringify(target)}`, async () => {
        const problem = await problemOf(discover(target));
        expect(problem).to.satisfy(ConfigurationError.is);
        expect(String(problem)).to.match(message);
      });
    }
  });

  if (canMount) {
    describe('DiskProbe on a separate file system', () => {
      let mount: Mount;
      afterEach(() => mount.remove());

      it('fails while there is not enough free space', async () => {
        mount = await mountTmpfs('size=1m');
        await stageFault({
          registry: await discover({ path: mount.path }),
          probe: 'disk',
          fault: 'the disk is full',
          begin: () => writeFileSync(join(mount.path, 'large'), Buffer.alloc(1_000 * 1_024)),
          end: () => rmSync(join(mount.path, 'large')),
          reason: /is full: 0\.0 MiB of 1\.0 MiB are free, less than 0\.1 MiB/,
        });
      });

      it('fails while there are no free inodes', async () => {
        mount = await mountTmpfs('size=1m,nr_inodes=20');
        const files = Array.from({ length: 19 }, (_, index) => join(mount.path, String(index)));
        await stageFault({
          registry: await discover({ path: mount.path }),
          probe: 'disk',
          fault: 'the disk is out of inodes',
          begin: () => files.forEach((file) => writeFileSync(file, '')),
          end: () => files.forEach((file) => rmSync(file)),
          reason: /is out of inodes: 0 of 20 are free, less than 1/,
        });
      });

      it('fails while the file system is mounted read-only, unless `isWritable` is false', async () => {
        mount = await mountTmpfs('size=1m');
        const { path } = mount;
        await stageFault({
          registry: await discover({ path }),
          probe: 'disk',
          fault: 'the disk is mounted read-only',
          begin: async () => {
            await mount.remount('ro');
            await checkDisk({ path, isWritable: false }, context);
          },
          end: () => mount.remount('rw'),
          reason: /is mounted read-only/,
        });
      });

      it('detects that nothing can be written, even if the limits allow it', async () => {
        mount = await mountTmpfs('size=1m');
        writeFileSync(join(mount.path, 'large'), Buffer.alloc(1_024 * 1_024));
        const problem = await problemOf(checkDisk({ path: mount.path, minFreeRatio: 0 }, context));
        expect(String(problem)).to.match(/is full: a file cannot be written/);
        expect(readdirSync(mount.path)).to.deep.equal(['large']);
      });

      it('fails in time while the file system is frozen, with one call in flight no matter how often it is checked, and leaves nothing behind', async () => {
        const disk = await mountExt4();
        mount = disk;
        const registry = await discover({ path: disk.path });
        let isFrozen = false;
        const thaw = async () => {
          if (isFrozen) await disk.thaw();
          isFrozen = false;
        };
        try {
          await stageFault({
            registry,
            probe: 'disk',
            fault: 'the file system is frozen',
            async begin() {
              await disk.freeze();
              isFrozen = true;
              // More rounds than Node has threads for files: were each to take one, none would be left to read this file.
              const probe = new DiskProbe([{ path: disk.path }]);
              for (let round = 0; round < 6; round += 1) {
                const signal = AbortSignal.timeout(50);
                expect(String(await problemOf(probe.check({ kind: 'readiness', signal })))).to.match(
                  new RegExp(`^Error: the file system of ${disk.path} has not answered for \\d+ ms$`),
                );
              }
              let isRead = false;
              void readFile(program).then(() => (isRead = true));
              await until(() => isRead, 5_000);
            },
            end: thaw,
            reason: /^timed out after 800 ms: the file system of \S+ has not answered for \d+ ms$/,
          });
        } finally {
          await thaw();
        }
        expect(readdirSync(disk.path)).to.deep.equal(['lost+found']);
      });
    });
  }

  describe('checkDisk(target, context)', () => {
    it('rejects a file', async () => {
      const path = join(folder, 'file');
      writeFileSync(path, '');
      expect(String(await problemOf(checkDisk({ path }, context)))).to.include(`${path} is not a folder`);
      expect(String(await problemOf(checkDisk({ path: join(path, 'below') }, context)))).to.include('is not a folder');
    });

    it('rejects if `minFreeBytes` is more than the free space', async () => {
      const problem = await problemOf(checkDisk({ path: folder, minFreeBytes: Number.MAX_SAFE_INTEGER }, context));
      expect(String(problem)).to.match(/is full: \d+ MiB of \d+ MiB are free, less than 8589934592 MiB/);
    });

    it('rejects a folder that this user may not write', async () => {
      chmodSync(folder, 0o555);
      expect(await run(process.execPath, [program, folder], { env: { ...process.env, NODE_V8_COVERAGE: undefined } })).to.match(
        / is not accessible for user \d+/,
      );
      expect(readdirSync(folder)).to.deep.equal([]);
    });

    it('rejects when the signal is aborted', async () => {
      const problem = await problemOf(checkDisk({ path: folder }, { signal: AbortSignal.abort(new Error('enough')) }));
      expect(String(problem)).to.include('enough');
    });
  });
});
