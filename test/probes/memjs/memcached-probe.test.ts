import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { expect } from 'chai';
import { Container } from 'inversify';
import { ConfigurationError, discoverProbes, type ProbeRegistry } from 'koa-probes';
import { checkMemjs, MEMCACHED, MEMCACHED_OPTIONS, MemcachedProbe } from 'koa-probes/memjs';
import memjs from 'memjs';
import { stageFault, type Fault } from '../../support/faults.js';
import { FaultyMemcached, SASL_USER, startMemcachedOnIpv6, startSaslMemcached, type MemcachedFault } from '../../support/memcached.js';
import { canMount } from '../../support/mounts.js';
import { runWithOwnResolver } from '../../support/names.js';
import { freePort, until } from '../../support/processes.js';
import { startMemcached, type Service } from '../../support/services.js';

const context = () => ({ signal: AbortSignal.timeout(10_000) });

describe('koa-probes/memjs', () => {
  let servers: Service[];
  before(async () => (servers = [await startMemcached(), await startMemcached()]));
  after(() => Promise.all(servers.map((server) => server.stop())));

  const clients: memjs.Client[] = [];
  const fakes: Server[] = [];
  afterEach(() => {
    for (const client of clients.splice(0)) client.close();
    for (const fake of fakes.splice(0)) fake.close();
  });

  const clientOf = (...ports: number[]) => {
    const client = memjs.Client.create(ports.map((port) => `127.0.0.1:${String(port)}`).join(','), { logger: { log() {} } });
    clients.push(client);
    return client;
  };
  const portsOf = () => servers.map(({ port }) => port);
  const discover = (bound: memjs.Client[], options: object = {}) => {
    const container = new Container();
    for (const client of bound) container.bind(MEMCACHED).toConstantValue(client);
    return discoverProbes(container, { classes: [MemcachedProbe], logger: false, ...options });
  };
  const memcachedOf = async (registry: ProbeRegistry) => {
    const { results } = await registry.run('readiness');
    return results.find(({ name }) => name === 'memcached');
  };
  /** A server with a fault: memcached itself has none to order. */
  const startFaulty = async (onSocket: (socket: Socket) => void) => {
    const server = createServer((socket) => {
      socket.on('error', () => {});
      onSocket(socket);
    }).listen(0, '127.0.0.1');
    fakes.push(server);
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  };
  const problemOf = (promise: Promise<unknown>): Promise<unknown> => promise.then(() => undefined).catch((error: unknown) => error);

  describe('MemcachedProbe', () => {
    it('passes while every server answers, fails while one is stopped, and passes again when it is back', async () => {
      const registry = await discover([clientOf(...portsOf())]);
      expect((await memcachedOf(registry))?.status).to.equal('pass');
      await servers[1]?.halt();
      const result = await memcachedOf(registry);
      expect(result?.status).to.equal('fail');
      expect(String(result?.error)).to.match(/1 of 2 memcached servers failed, 2 must answer: 127\.0\.0\.1:\d+: .*ECONNREFUSED/);
      await servers[1]?.start();
      expect((await memcachedOf(registry))?.status).to.equal('pass');
      registry.close();
    });

    it('fails at its timeout while a server is frozen, and passes again when the server continues', async () => {
      const registry = await discover([clientOf(...portsOf())], { settings: { memcached: { timeoutMs: 150 } } });
      servers[0]?.freeze();
      try {
        expect(String((await memcachedOf(registry))?.error)).to.include('timed out after 150 ms');
      } finally {
        servers[0]?.thaw();
      }
      await until(async () => (await memcachedOf(registry))?.status === 'pass');
      registry.close();
    });

    it('checks every client that is bound', async () => {
      const closed = await freePort();
      const registry = await discover([clientOf(...portsOf()), clientOf(closed)]);
      expect(String((await memcachedOf(registry))?.error)).to.include(`127.0.0.1:${String(closed)}`);
    });

    it('closes the connection to a server without an answer when another client has failed, and does not wait for the timeout', async () => {
      const silent = new Set<Socket>();
      const port = await startFaulty((socket) => silent.add(socket.resume()).size && socket.once('close', () => silent.delete(socket)));
      const failing = await startFaulty((socket) => void until(() => silent.size > 0).then(() => socket.destroy()));
      const registry = await discover([clientOf(port), clientOf(failing)], { settings: { memcached: { timeoutMs: 10_000 } } });
      for (let round = 0; round < 10; round += 1) {
        const result = await memcachedOf(registry);
        expect(String(result?.error)).to.match(new RegExp(`127\\.0\\.0\\.1:${String(failing)}: the server closed the connection`));
        await until(() => silent.size === 0);
      }
    });

    it('passes with as many servers of each client as MEMCACHED_OPTIONS requires', async () => {
      const container = new Container();
      container.bind(MEMCACHED).toConstantValue(clientOf(...portsOf(), await freePort()));
      container.bind(MEMCACHED_OPTIONS).toConstantValue({ require: 2 });
      const registry = await discoverProbes(container, { classes: [MemcachedProbe], logger: false });
      expect((await memcachedOf(registry))?.status).to.equal('pass');
      registry.close();
    });

    it('fails the start if MEMCACHED_OPTIONS requires more servers than a client has', async () => {
      const container = new Container();
      container.bind(MEMCACHED).toConstantValue(clientOf(...portsOf()));
      container.bind(MEMCACHED_OPTIONS).toConstantValue({ require: 3 });
      const starting = discoverProbes(container, { classes: [MemcachedProbe], logger: false });
      expect(String(await problemOf(starting))).to.match(/`require` of MEMCACHED_OPTIONS to be "all", "any" or a whole number from 1 to 2/);
    });

    it('fails the start if nothing is bound to MEMCACHED, and says what to bind', async () => {
      const problem = await problemOf(discover([]));
      expect(problem).to.satisfy(ConfigurationError.is);
      expect(String(problem)).to.match(
        /could not create MemcachedProbe\. .*nothing is bound to MEMCACHED\. Bind a target, `container\.bind\(MEMCACHED\)/,
      );
    });
  });

  describe('MemcachedProbe with a faulty server', () => {
    let server: FaultyMemcached;
    let client: memjs.Client;
    let registry: ProbeRegistry;
    beforeEach(async () => {
      server = await new FaultyMemcached(portsOf()[0] ?? 0).start();
      client = memjs.Client.create(`127.0.0.1:${String(server.port)}`, { timeout: 10, logger: { log() {} } });
      clients.push(client);
      registry = await discover([client]);
    });
    afterEach(() => {
      registry.close();
      server.stop();
    });

    const stage = (fault: Pick<Fault, 'fault' | 'begin' | 'end' | 'reason'>) =>
      stageFault({ registry, probe: 'memcached', recoversWithinMs: 5_000, ...fault });

    const faults: [string, MemcachedFault, RegExp][] = [
      [
        'does not respond',
        () => {},
        /^timed out after 800 ms: 1 of \d memcached servers failed, \d must answer: \S+: no complete answer for \d+ ms$/,
      ],
      [
        'sends bytes without end',
        (socket) => trickle(socket, Buffer.from([0x81, 0x10, 0, 0])),
        /^timed out after 800 ms: 1 of \d memcached servers failed, \d must answer: \S+: no complete answer for \d+ ms$/,
      ],
      [
        'sends statistics without end',
        (socket) => trickle(socket, responseOf(0x10, 0, 'pid')),
        /^timed out after 800 ms: 1 of \d memcached servers failed, \d must answer: \S+: no complete answer for \d+ ms$/,
      ],
      [
        'sends too much data',
        (socket) => flood(socket, responseOf(0x10, 0, 'x'.repeat(60_000))),
        /the answer of the server is longer than 1 MiB/,
      ],
      [
        'sends part of an answer and resets the connection',
        (socket) => socket.write(responseOf(0x10, 0, 'pid').subarray(0, 20), () => socket.resetAndDestroy()),
        /ECONNRESET|closed the connection before it answered/,
      ],
      ['closes the connection during a request', (socket) => socket.end(), /closed the connection before it answered/],
    ];
    for (const [name, fault, reason] of faults) {
      it(`fails in time when it ${name}, recovers, and does not affect requests of the application`, async () => {
        await client.set('key', 'before', {});
        const underWay: Promise<unknown>[] = [];
        let gate: ReturnType<FaultyMemcached['hold']> | undefined;
        await stage({
          fault: `the server ${name}`,
          async begin() {
            gate = server.hold();
            underWay.push(client.get('key'), client.set('other', 'value', {}));
            await until(() => gate?.held);
            server.fault = fault;
          },
          end() {
            server.fault = undefined;
            gate?.release();
          },
          reason,
        });
        const [got, isSet] = (await Promise.all(underWay)) as [{ value: Buffer }, boolean];
        expect([String(got.value), isSet]).to.deep.equal(['before', true]);
        expect(String((await client.get('other')).value)).to.equal('value');
        // The application's own connection, and nothing of the probe's.
        await until(() => server.open === 1);
        // One is opened while the one before it is closed.
        expect(server.mostOpen).to.be.at.most(5);
      });
    }

    it('opens one connection for a hundred concurrent requests, and closes it', async () => {
      server.fault = () => {};
      await Promise.all(Array.from({ length: 100 }, () => memcachedOf(registry)));
      expect(server.met).to.equal(1);
      await until(() => server.open === 0);
    });

    it('has no more connections after a hundred runs than after one', async () => {
      server.fault = () => {};
      for (let round = 1; round <= 100; round += 1) {
        const controller = new AbortController();
        const checking = problemOf(checkMemjs(client, controller));
        await until(() => server.met === round);
        controller.abort(new Error('enough'));
        expect(String(await checking)).to.match(/: no complete answer for \d+ ms$/);
      }
      // One is opened while the one before it is closed.
      expect(server.mostOpen).to.be.at.most(5);
      await until(() => server.open === 0);
    });
  });

  describe('MemcachedProbe with a real memcached', () => {
    const stage = async (fault: Pick<Fault, 'fault' | 'begin' | 'end' | 'reason'>) => {
      const registry = await discover([clientOf(...portsOf())]);
      try {
        await stageFault({ registry, probe: 'memcached', recoversWithinMs: 5_000, ...fault });
      } finally {
        registry.close();
      }
    };

    it('fails while it is stopped', () =>
      stage({
        fault: 'the server is stopped: connection refused',
        begin: () => servers[1]?.halt(),
        end: () => servers[1]?.start(),
        reason: /1 of 2 memcached servers failed, 2 must answer: 127\.0\.0\.1:\d+: .*ECONNREFUSED/,
      }));

    it("passes within 5 s after the server returns, although the application's client avoids the server for a minute", async () => {
      const [port = 0] = portsOf();
      const client = memjs.Client.create(`127.0.0.1:${String(port)}`, {
        failover: true,
        failoverTime: 60,
        retries: 1,
        logger: { log() {} },
      });
      clients.push(client);
      const registry = await discover([client]);
      await stageFault({
        registry,
        probe: 'memcached',
        fault: "the server is stopped, and the application's client fails over",
        async begin() {
          await servers[0]?.halt();
          await client.get('key').catch(() => {});
        },
        end: () => servers[0]?.start(),
        reason: /1 of 1 memcached servers failed, 1 must answer: 127\.0\.0\.1:\d+: .*ECONNREFUSED/,
        recoversWithinMs: 5_000,
      });
      registry.close();
    });

    it('does not affect the recovery of a client of the application', async () => {
      const client = clientOf(...portsOf());
      const registry = await discover([client]);
      await servers[0]?.halt();
      for (let round = 0; round < 20; round += 1) expect((await memcachedOf(registry))?.status).to.equal('fail');
      await servers[0]?.start();
      await until(async () => (await memcachedOf(registry))?.status === 'pass', 5_000);
      for (const key of ['a', 'b', 'c', 'd']) {
        await until(() => client.set(key, key, {}));
        expect(String((await client.get(key)).value)).to.equal(key);
      }
      registry.close();
    });

    it('fails while the server accepts no more connections, reports its message, and leaves the number of connections unchanged', async () => {
      const full = await startMemcached('-c', '24', '-t', '1');
      const others: Socket[] = [];
      const connectOne = async () => {
        const socket = connect(full.port, '127.0.0.1').on('error', () => {});
        others.push(socket);
        socket.write('version\r\n');
        const [answer] = (await once(socket, 'data')) as [Buffer];
        return String(answer).startsWith('VERSION');
      };
      const registry = await discover([clientOf(full.port)]);
      await stageFault({
        registry,
        probe: 'memcached',
        fault: 'the server accepts no more connections (its limit `-c` is reached)',
        begin: async () => {
          while (await connectOne());
          for (let round = 0; round < 200; round += 1) await problemOf(checkMemjs(clientOf(full.port), context()));
        },
        end: async () => {
          for (const socket of others.splice(0)) socket.destroy();
          await until(connectOne);
          for (const socket of others.splice(0)) socket.destroy();
          await until(() => checkMemjs(clientOf(full.port), context()).then(() => true));
        },
        reason: /^1 of 1 memcached servers failed, 1 must answer: 127\.0\.0\.1:\d+: the server answered "ERROR Too many open connections"$/,
      });
      registry.close();
      await full.stop();
    });

    it('fails while it is frozen', () =>
      stage({
        fault: 'the server is frozen',
        begin: () => servers[1]?.freeze(),
        end: () => servers[1]?.thaw(),
        reason: /^timed out after 800 ms: 1 of \d memcached servers failed, \d must answer: \S+: no complete answer for \d+ ms$/,
      }));
  });

  if (canMount) {
    describe('checkMemjs(), checkTcp() and checkHttp() with a resolver that does not respond', () => {
      it('fail in time with one lookup in flight, no matter how often they are called, and pass again', async () => {
        const output = await runWithOwnResolver(portsOf()[0] ?? 0);
        expect(output).to.match(/^tcp is bounded\nhttp is bounded\nmemcached is bounded$/m);
      }).timeout(60_000);
    });
  }

  describe('MemcachedProbe with a memcached that requires SASL', () => {
    let server: Service;
    before(async () => (server = await startSaslMemcached()));
    after(() => server.stop());

    const clientAs = (username: string, password: string) => {
      const client = memjs.Client.create(`127.0.0.1:${String(server.port)}`, { username, password, logger: { log() {} } });
      clients.push(client);
      return client;
    };

    it('passes with the user and the password of the client', async () => {
      const registry = await discover([clientAs(SASL_USER.username, SASL_USER.password)]);
      expect((await memcachedOf(registry))?.status).to.equal('pass');
      registry.close();
    });

    for (const [name, username, password] of [
      ['with a wrong password', SASL_USER.username, 'wrong'],
      ['without a user', '', ''],
    ] as const) {
      it(`fails ${name}, and reports it`, async () => {
        expect(String(await problemOf(checkMemjs(clientAs(username, password), context())))).to.match(/returned status 32: Auth failure/);
      });
    }
  });

  describe('MemcachedProbe with a memcached on IPv6', () => {
    const clientOfIpv6 = (port: number) => {
      const client = new memjs.Client([new memjs.Server('::1', port)], { logger: { log() {} } });
      clients.push(client);
      return client;
    };

    it('passes, and names the address when it is stopped', async () => {
      const server = await startMemcachedOnIpv6();
      const registry = await discover([clientOfIpv6(server.port)]);
      try {
        expect((await memcachedOf(registry))?.status).to.equal('pass');
      } finally {
        await server.stop();
      }
      expect(String((await memcachedOf(registry))?.error)).to.match(/: \[::1\]:\d+: .*ECONNREFUSED/);
      registry.close();
    });
  });

  describe('checkMemjs(client, context, options)', () => {
    it('does not affect requests of the application, and leaves no connection behind', async () => {
      const client = clientOf(...portsOf());
      await client.set('key', 'value', {});
      const connections = async () => {
        const { curr_connections: current } = await new Promise<Record<string, string>>((resolve, reject) => {
          clientOf(portsOf()[0] ?? 0).stats((error, _server, stats) => (stats ? resolve(stats) : reject(error ?? new Error('no stats'))));
        });
        return Number(current);
      };
      const before = await connections();
      for (let round = 0; round < 20; round += 1) await checkMemjs(client, context());
      // Each count opens one connection of its own, which stays.
      await until(async () => (await connections()) <= before + clients.length);
      expect(String((await client.get('key')).value)).to.equal('value');
    });

    it('passes with `any` or a number as soon as enough servers have answered, even if another one does not respond', async () => {
      const silent = await startFaulty(() => {});
      const client = clientOf(...portsOf(), silent);
      await checkMemjs(client, context(), { require: 'any' });
      await checkMemjs(client, context(), { require: 2 });
    });

    for (const client of [undefined, {}, 'me:hunter2@localhost:11211']) {
      it(`rejects ${JSON.stringify(client) ?? 'undefined'} as a client, and fails the start`, async () => {
        const message = /Expected a client of memjs, got (?!.*hunter2).*\. Bind the result of `Client\.create\(\)`\./;
        const problem = await problemOf(checkMemjs(client as never, context()));
        expect(problem).to.satisfy(ConfigurationError.is);
        expect(String(problem)).to.match(message);
        expect(String(await problemOf(discover([client as never])))).to.match(message);
      });
    }

    it('rejects an unknown option', async () => {
      const problem = await problemOf(checkMemjs(clientOf(...portsOf()), context(), { requires: 'any' } as object));
      expect(problem).to.satisfy(ConfigurationError.is);
      expect(String(problem)).to.include('Unknown option `requires` of checkMemjs(). Known options: `require`.');
    });

    it('fails if a port is invalid, and still checks the other servers', async () => {
      const misread = new memjs.Server('127.0.0.1', NaN);
      expect(String(await problemOf(checkMemjs({ servers: [misread] }, context())))).to.match(/127\.0\.0\.1:NaN: .*port/i);
      await checkMemjs({ servers: [misread, ...clientOf(...portsOf()).servers] }, context(), { require: 'any' });
    });

    it('fails as soon as too many servers have failed, even if another one does not respond', async () => {
      const client = clientOf(await startFaulty(() => {}), await freePort());
      expect(String(await problemOf(checkMemjs(client, context())))).to.include('1 of 2 memcached servers failed, 2 must answer');
    });

    const faults: [string, (socket: Socket) => void, RegExp][] = [
      [
        'closes the connection during a request',
        (socket) => socket.once('data', () => socket.end()),
        /closed the connection before it answered/,
      ],
      ['resets the connection', (socket) => socket.once('data', () => socket.resetAndDestroy()), /ECONNRESET/],
      [
        'sends part of an answer and closes the connection',
        (socket) => socket.once('data', () => socket.end(Buffer.from([0x81, 0x10, 0, 4]))),
        /closed the connection before/,
      ],
      [
        'speaks another protocol',
        (socket) => socket.once('data', () => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n')),
        /: the server answered "HTTP\/1\.1 400 Bad Request": it does not speak the binary protocol of memcached$/,
      ],
      [
        'accepts no more connections and says so at once',
        (socket) => socket.end('ERROR Too many open connections\r\n'),
        /: the server answered "ERROR Too many open connections"$/,
      ],
      [
        'says what it lacks, and resets the connection',
        (socket) =>
          socket.write('SERVER_ERROR out of memory reading request\r\n', () => socket.once('data', () => socket.resetAndDestroy())),
        /: the server answered "SERVER_ERROR out of memory reading request"$/,
      ],
      [
        'refuses in text, in several pieces',
        (socket) => {
          socket.setNoDelay(true).write('CLIENT_');
          setTimeout(() => socket.end('ERROR bad data chunk\r\nERROR'), 10);
        },
        /: the server answered "CLIENT_ERROR bad data chunk"$/,
      ],
      ['only says ERROR', (socket) => socket.end('ERROR\r\n'), /: the server answered "ERROR": it does not speak the binary protocol/],
      [
        'starts a line and sends no more',
        (socket) => socket.write('-ERR'),
        /: the server answered "-ERR": it does not speak the binary protocol/,
      ],
      [
        'sends a line that would forge a log line',
        (socket) => socket.end('\r\n\u001b[31mup\u0000 \u202e\nERROR'),
        /: the server answered "\\x1b\[31mup\\x00 \\xe2\\x80\\xae": it does not/,
      ],
      ['sends endless text', (socket) => flood(socket, Buffer.from('x'.repeat(60_000))), /: the server answered "x{120}…": it does not/],
      ['closes the connection after an empty line', (socket) => socket.end('\r\n'), /: the server answered "": it does not/],
      [
        'answers another command',
        (socket) => socket.once('data', () => socket.write(responseOf(0x0a, 0, ''))),
        /does not speak the binary protocol/,
      ],
      [
        'rejects the request',
        (socket) => socket.once('data', () => socket.write(responseOf(0x10, 0x20, 'Auth failure'))),
        /returned status 32: Auth failure/,
      ],
    ];
    for (const [name, onSocket, message] of faults) {
      it(`fails if a server ${name}`, async () => {
        expect(String(await problemOf(checkMemjs(clientOf(await startFaulty(onSocket)), context())))).to.match(message);
      });
    }

    it('reads an answer that arrives byte by byte', async () => {
      const answer = Buffer.concat([responseOf(0x10, 0, 'pid'), responseOf(0x10, 0, '')]);
      const port = await startFaulty((socket) => {
        const sendFrom = (index: number) => {
          if (index < answer.length) socket.write(answer.subarray(index, index + 1), () => setImmediate(sendFrom, index + 1));
        };
        socket.setNoDelay(true).once('data', () => sendFrom(0));
      });
      await checkMemjs(clientOf(port), context());
    });

    it('sends the user and the password of the client first', async () => {
      const received: string[] = [];
      const port = await startFaulty((socket) => {
        socket.on('data', (request) => {
          received.push(`${String(request[1])} ${request.subarray(24).toString()}`);
          socket.write(responseOf(request[1] ?? 0, 0, ''));
        });
      });
      const client = memjs.Client.create(`user:pass@127.0.0.1:${String(port)}`);
      clients.push(client);
      await checkMemjs(client, context());
      expect(received).to.deep.equal(['33 PLAIN\0user\0pass', '16 ']);
    });

    it('names the server without an answer when the signal is aborted, and closes the connection', async () => {
      let hungUp: Promise<unknown> | undefined;
      const controller = new AbortController();
      const port = await startFaulty((socket) => {
        hungUp = once(socket.resume(), 'close');
        controller.abort(new Error('enough'));
      });
      const problem = await problemOf(checkMemjs(clientOf(port), controller));
      expect(String(problem)).to.include(`127.0.0.1:${String(port)}: no complete answer for `);
      expect((problem as Error).cause).to.equal(controller.signal.reason);
      await hungUp;
      expect(String(await problemOf(checkMemjs(clientOf(port), controller)))).to.include('enough');
    });

    for (const required of [0, 3, 1.5, 'most']) {
      it(`rejects \`require: ${String(required)}\` for two servers`, async () => {
        const problem = await problemOf(checkMemjs(clientOf(...portsOf()), context(), { require: required as 1 }));
        expect(problem).to.satisfy(ConfigurationError.is);
        expect(String(problem)).to.match(/`require` of checkMemjs\(\) to be "all", "any" or a whole number from 1 to 2/);
      });
    }
  });
});

/** A response of the binary protocol, whose body stands for a value. */
function responseOf(opcode: number, status: number, value: string): Buffer {
  const header = memjs.Header.toBuffer({ magic: 0x81, opcode, keyLength: 0, extrasLength: 0, status, totalBodyLength: value.length });
  return Buffer.concat([header, Buffer.from(value)]);
}

/** One byte after the other, without an end. */
function trickle(socket: Socket, bytes: Buffer): void {
  socket.setNoDelay(true);
  const sendFrom = (index: number) => {
    if (!socket.destroyed) socket.write(bytes.subarray(index, index + 1), () => setTimeout(sendFrom, 5, (index + 1) % bytes.length));
  };
  sendFrom(0);
}

function flood(socket: Socket, bytes: Buffer): void {
  if (!socket.destroyed) socket.write(bytes, () => setImmediate(flood, socket, bytes));
}
