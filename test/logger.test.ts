import { Writable } from 'node:stream';
import { expect } from 'chai';
import { NotReady, ProbeRegistry, type ProbeLogger } from 'koa-probes';
import { pino } from 'pino';
import winston from 'winston';

type Entry = Readonly<Record<string, unknown>> & {
  readonly err?: {
    readonly type: string;
    readonly message: string;
    readonly stack: string;
    readonly code?: string;
    readonly cause?: Entry['err'];
  };
};

/** Keeps what a logger writes, a line of JSON at a time. */
class Lines extends Writable {
  readonly entries: Entry[] = [];
  override _write(chunk: Buffer, _: string, done: () => void) {
    for (const line of chunk.toString().trim().split('\n')) this.entries.push(JSON.parse(line) as Entry);
    done();
  }
}

const failWith = (error: unknown) => {
  throw error;
};

/** A pass, two failures for two reasons, and a pass. */
async function tellOutage(logger: ProbeLogger, thrown: readonly unknown[]): Promise<void> {
  const registry = new ProbeRegistry({ logger });
  let error: unknown;
  registry.register({
    name: 'db',
    kinds: ['liveness', 'readiness'],
    restartOnOutage: true,
    check: () => error === undefined || failWith(error),
  });
  for (error of [undefined, ...thrown, undefined]) await registry.run('readiness', { only: 'db' });
  registry.close();
}

const refused = () =>
  Object.assign(new Error('no connection', { cause: new Error('connect ECONNREFUSED 10.0.3.7:5432') }), { code: 'E100%d' });

const loggers: Readonly<Record<string, (lines: Lines) => ProbeLogger>> = {
  pino: (lines) => pino({ level: 'info' }, lines),
  'a child of pino': (lines) => pino(lines).child({ component: 'probes' }),
  'pino with another key for errors': (lines) => pino({ errorKey: 'error' }, lines),
  winston: (lines) => winston.createLogger({ transports: [new winston.transports.Stream({ stream: lines })] }),
  'a child of winston': (lines) =>
    winston.createLogger({ transports: [new winston.transports.Stream({ stream: lines })] }).child({ component: 'probes' }),
  'winston with format.splat() and format.errors()': (lines) =>
    winston.createLogger({
      format: winston.format.combine(winston.format.errors({ stack: true }), winston.format.splat(), winston.format.json()),
      transports: [new winston.transports.Stream({ stream: lines })],
    }),
  'winston with the levels of syslog': (lines) =>
    winston.createLogger({ levels: winston.config.syslog.levels, transports: [new winston.transports.Stream({ stream: lines })] }),
};

describe('log lines', () => {
  for (const [name, create] of Object.entries(loggers)) {
    describe(`for ${name}`, () => {
      let lines: Lines;
      const messages = () => lines.entries.map((entry) => String(entry['msg'] ?? entry['message']).replace(/\d+ ms/, 'N ms'));
      beforeEach(() => (lines = new Lines()));

      it('have fields and the complete error with its cause and its stack', async () => {
        await tellOutage(create(lines), [refused(), new NotReady('asked for 100 %s and %d')]);
        expect(messages()).to.deep.equal([
          'koa-probes: liveness and readiness probe db failed: no connection: connect ECONNREFUSED 10.0.3.7:5432',
          'koa-probes: liveness and readiness probe db still fails: asked for 100 %s and %d',
          'koa-probes: liveness and readiness probe db passes again after N ms, 2 runs failed',
        ]);
        const [failed, still, again] = lines.entries;
        const kinds = ['liveness', 'readiness'];
        expect(failed).to.deep.include({ probe: 'db', kinds, status: 'fail', previous: 'pass' });
        expect(failed?.['reason']).to.equal('no connection: connect ECONNREFUSED 10.0.3.7:5432');
        expect(failed?.['durationMs']).to.be.a('number');
        expect(failed?.err).to.deep.include({ type: 'Error', code: 'E100%d' });
        expect(failed?.err?.stack).to.include('at refused');
        expect(JSON.stringify(failed?.err)).to.include('no connection').and.to.include('connect ECONNREFUSED 10.0.3.7:5432');
        expect(still).to.deep.include({ status: 'fail', previous: 'fail', reason: 'asked for 100 %s and %d', failedRuns: 2 });
        expect(again).to.deep.include({ status: 'pass', previous: 'fail', failedRuns: 2 });
        expect(again?.['downMs']).to.be.a('number');
        expect(again).not.to.have.any.keys('err', 'reason');
      });

      it('are written for any thrown value', async () => {
        const frozen = Object.freeze(new Error('frozen'));
        const unreadable = Object.defineProperty(new Error('unreadable'), 'detail', {
          enumerable: true,
          get: () => failWith(new Error('no')),
        });
        const circular: Error & { self?: unknown } = new Error('circular');
        circular.self = circular;
        circular.cause = circular;
        const odd = { message: 'odd', code: 7, password: { deep: true } };
        for (const thrown of [frozen, unreadable, circular, odd, 'a string', null, Array.from({ length: 100_000 }, String)]) {
          lines.entries.length = 0;
          await tellOutage(create(lines), [thrown]);
          expect(lines.entries).to.have.length(2);
          expect(lines.entries[0]).to.deep.include({ probe: 'db', status: 'fail' });
          expect(JSON.stringify(lines.entries).length).to.be.below(20_000);
        }
      });

      it('have fields if they are not about a result', async () => {
        const registry = new ProbeRegistry({ logger: create(lines) });
        registry.on('close', () => failWith(new Error('listener')));
        registry.close();
        expect(messages()).to.deep.equal(['koa-probes: a listener for "close" failed: listener']);
        expect(lines.entries[0]?.err?.stack).to.include('listener');
      });
    });
  }

  it('are passed as a single string to the console and to a logger with only three methods', async () => {
    const calls: unknown[][] = [];
    const keep = (...values: unknown[]) => void calls.push(values);
    await tellOutage({ ...console, log: keep, info: keep, warn: keep, error: keep } as ProbeLogger, [refused()]);
    await tellOutage({ info: keep, warn: keep, error: keep }, [refused()]);
    expect(calls).to.have.length(4);
    for (const call of calls) expect(call.map((value) => typeof value)).to.deep.equal(['string']);
  });

  it('are passed to the logger as calls of its own methods', async () => {
    class Logger {
      readonly #lines: string[] = [];
      info(message: string) {
        this.#lines.push(message);
      }
      warn(message: string) {
        this.#lines.push(message);
      }
      error(message: string) {
        this.#lines.push(message);
      }
      get lines() {
        return this.#lines;
      }
    }
    const logger = new Logger();
    await tellOutage(logger, [refused()]);
    expect(logger.lines).to.have.length(2);
  });

  it('have the level of the called method in pino and winston', async () => {
    const [ofPino, ofWinston] = [new Lines(), new Lines()];
    await tellOutage(pino(ofPino), [refused()]);
    await tellOutage(winston.createLogger({ transports: [new winston.transports.Stream({ stream: ofWinston })] }), [refused()]);
    expect(ofPino.entries.map(({ level }) => level)).to.deep.equal([40, 30]);
    expect(ofWinston.entries.map(({ level }) => level)).to.deep.equal(['warn', 'info']);
  });

  it('require a logger with all three methods', () => {
    const logger = { info() {}, error() {} } as unknown as ProbeLogger;
    expect(() => new ProbeRegistry({ logger })).to.throw(
      /`logger` of the registry to have the methods `info`, `warn`, `error`, but it has no `warn`/,
    );
  });
});
