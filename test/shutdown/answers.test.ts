import { once } from 'node:events';
import { createServer, request, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import * as http2 from 'node:http2';
import type { AddressInfo, Server as NetServer, Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { gracefulShutdown, ProbeRegistry } from 'koa-probes';
import { until } from '../support/processes.js';

/** What `writeHead` is called with: forms that Node takes, and forms that it rejects. */
type Head = readonly unknown[];

const heads: Readonly<Record<string, Head | undefined>> = {
  'no head': undefined,
  'a status': [200],
  'a status with undefined': [200, undefined],
  'a status with a message': [200, 'Fine'],
  'an empty message': [200, '', { 'X-Own': '1' }],
  'an object': [201, { 'X-Own': '1', 'Content-Type': 'text/plain' }],
  'an object with a message': [201, 'Made', { 'X-Own': '1' }],
  'an object with Connection': [200, { connection: 'keep-alive', 'Keep-Alive': 'timeout=9' }],
  'an object with other options of the connection': [200, { Connection: 'Upgrade, keep-alive', Upgrade: 'websocket' }],
  'an object with a list of cookies': [200, { 'Set-Cookie': ['a=1', 'b=2'], 'X-Number': 7 }],
  'an object without a prototype': [200, Object.assign(Object.create(null) as object, { 'X-Own': '1' })],
  'a frozen object': [200, Object.freeze({ 'X-Own': '1', Connection: 'keep-alive' })],
  'an object with a getter': [
    200,
    {
      get 'X-Own'() {
        return '1';
      },
    },
  ],
  'an empty object': [200, {}],
  'null headers': [200, null],
  'a flat list': [200, ['X-Own', '1', 'x-own', '2', 'Connection', 'keep-alive']],
  'a flat list with a message': [200, 'Fine', ['Set-Cookie', 'a=1', 'Set-Cookie', 'b=2']],
  'an empty list': [200, []],
  'a list of pairs': [200, [...new Headers({ 'content-type': 'text/plain', 'x-upstream': '1', connection: 'keep-alive' })]],
  'a list of pairs with a message': [
    200,
    'Fine',
    [
      ['X-Own', '1'],
      ['Set-Cookie', ['a=1', 'b=2']],
    ],
  ],
  'a single pair': [200, [['X-Own', '1']]],
  Headers: [200, new Headers({ 'x-own': '1' })],
  'a Map': [200, new Map([['X-Own', '1']])],
  'an instance with own fields': [
    200,
    new (class {
      'X-Own' = '1';
    })(),
  ],
  'a status as text': ['200'],
  'a length': [200, { 'Content-Length': 4 }],
  'a length and a disposition': [200, { 'Content-Length': '4', 'Content-Disposition': 'attachment; filename="ü.txt"' }],
  chunks: [200, { 'Transfer-Encoding': 'chunked', Trailer: 'X-Sum' }],
  'no content': [204, { 'X-Own': '1' }],
  'not modified': [304, ['ETag', '"1"']],
  'an odd status': [799, { 'X-Own': '1' }],
  'rejected: a list that is not even': [200, ['X-Own']],
  'rejected: a list of nothing': [200, [undefined, undefined]],
  'rejected: a pair that is none': [200, [['X-Own'], ['X-Other']]],
  'rejected: a name that is none': [200, { 'X Own': '1' }],
  'rejected: an empty name': [200, { '': '1' }],
  'rejected: an empty name in a list': [200, ['', '1']],
  'rejected: a value that is undefined': [200, { 'X-Own': undefined }],
  'rejected: a value with a line break': [200, { 'X-Own': 'a\r\nConnection: keep-alive' }],
  'rejected: a message with a line break': [200, 'a\r\nb'],
  'rejected: a symbol in a list': [200, [Symbol('name'), '1']],
  'rejected: a status out of range': [99],
  'rejected: no status': [undefined, { 'X-Own': '1' }],
  'rejected: a getter that throws': [
    200,
    {
      get 'X-Own'() {
        throw new Error('no such header');
      },
    },
  ],
};

/** What is done to the response before its head. */
const preparations: Readonly<Record<string, (response: ServerResponse) => void>> = {
  'as it comes': () => {},
  'after a header was set': (response) => response.setHeader('X-Set', '1'),
  'after Connection was set': (response) => response.setHeader('Connection', 'keep-alive'),
  'after Connection was appended': (response) => response.appendHeader('connection', ['keep-alive', 'X-Hop']),
  'after the headers were set together': (response) => response.setHeaders?.(new Map([['X-Own', '0']])),
  'after all headers were removed': (response) => {
    response.setHeader('X-Set', '1');
    for (const name of ['X-Set', 'Connection', 'Date', 'Transfer-Encoding']) response.removeHeader(name);
  },
  'after a hint': (response) => response.writeEarlyHints({ link: '</style.css>; rel=preload' }),
  'without a date and with a message': (response) => {
    response.sendDate = false;
    response.statusMessage = 'Own';
    response.statusCode = 203;
  },
};

const ends: Readonly<Record<string, (response: ServerResponse) => void>> = {
  'in one': (response) => response.end('body'),
  'in parts': (response) => {
    response.write('bo');
    response.end('dy');
  },
  'without a body': (response) => response.end(),
};

interface Outcome {
  readonly error?: string;
  readonly status?: string;
  readonly headers?: readonly string[];
  readonly connection?: readonly string[];
  readonly body?: string;
}

describe('a response during a shutdown', () => {
  const probes = new ProbeRegistry({ logger: false });
  after(() => {
    probes.close();
    process.exitCode = undefined;
  });

  for (const [prepared, prepare] of Object.entries(preparations)) {
    for (const [ended, end] of Object.entries(ends)) {
      it(`differs from one without a shutdown only in the connection header: ${prepared}, ${ended}`, async () => {
        const respond = (response: ServerResponse, head: Head | undefined) => {
          prepare(response);
          if (head !== undefined) (response.writeHead as (...given: unknown[]) => unknown)(...head);
          end(response);
        };
        const [expected, actual] = await compare((answer) => createServer(answer as RequestListener), respond, ask);
        for (const [name, outcome] of Object.entries(actual)) {
          const { connection, ...others } = outcome;
          const { connection: _, ...othersExpected } = expected[name] ?? {};
          expect(others, name).to.deep.equal(othersExpected);
          if (outcome.error !== undefined) continue;
          expect(connection, name).to.have.lengthOf(1);
          expect(connection?.[0], name)
            .to.match(/(^|, )close$/)
            .and.not.match(/keep-alive/i);
        }
        expect(actual['GET an object with other options of the connection']?.connection?.[0]).to.match(/^(X-Hop, )?Upgrade, close$/);
      });
    }
  }

  it('does not differ from one without a shutdown on HTTP/2', async () => {
    const respond = (response: http2.Http2ServerResponse, head: Head | undefined) => {
      if (head !== undefined) (response.writeHead as (...given: unknown[]) => unknown)(...head);
      response.end('body');
    };
    const [expected, actual] = await compare((answer) => http2.createServer(answer as never), respond, askHttp2);
    expect(actual).to.deep.equal(expected);
  });

  it('is unchanged if it is the 101 of an application', async () => {
    const respond = (response: ServerResponse) => response.writeHead(101, { Connection: 'Upgrade', Upgrade: 'echo' }).end();
    const [expected, actual] = await compare((answer) => createServer(answer as RequestListener), respond, askUpgrade);
    expect(actual).to.deep.equal(expected);
    expect(actual['GET no head']?.connection).to.deep.equal(['Upgrade']);
  });

  type AnyServer = Server | http2.Http2Server;
  type Outcomes = Readonly<Record<string, Outcome>>;

  /** The outcomes of all heads, from a server alone and from one whose shutdown begins while all of these requests are in flight. */
  async function compare<Response extends { destroy(): unknown }>(
    make: (answer: (incoming: { method?: string; url?: string }, response: Response) => void) => AnyServer,
    respond: (response: Response, head: Head | undefined) => void,
    send: (server: AnyServer, name: string, method: string) => Promise<Outcome>,
  ): Promise<[Outcomes, Outcomes]> {
    const outcomesOf = async (begin: (server: AnyServer) => () => Promise<unknown>) => {
      const held: (() => void)[] = [];
      const thrown = new Map<string, string>();
      const server = make(({ method, url }, response) => {
        const name = decodeURIComponent(url?.slice(1) ?? '');
        held.push(() => {
          try {
            respond(response, heads[name]);
          } catch (error) {
            thrown.set(`${method ?? ''} ${name}`, `${String((error as NodeJS.ErrnoException).code)}: ${(error as Error).message}`);
            response.destroy();
          }
        });
      });
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const finish = begin(server);
      const asked = Object.keys(heads).flatMap((name) => ['GET', 'HEAD'].map((method) => [method, name] as const));
      const answers = asked.map(async ([method, name]) => {
        const outcome = await send(server, name, method);
        const error = thrown.get(`${method} ${name}`);
        return [`${method} ${name}`, error === undefined ? outcome : { error }] as const;
      });
      await until(() => held.length === asked.length);
      const finished = finish();
      for (const letGo of held) letGo();
      // Where less comes than the head says, a client waits until the server hangs up.
      const hangingUp = setInterval(() => 'closeIdleConnections' in server && server.closeIdleConnections(), 50);
      const outcomes = Object.fromEntries(await Promise.all(answers));
      clearInterval(hangingUp);
      await finished;
      server.close();
      return outcomes;
    };
    return [
      await outcomesOf(() => () => Promise.resolve()),
      await outcomesOf((server) => {
        const shutdown = gracefulShutdown(server, probes, { drainDelayMs: 0, exit: false, signals: [] });
        return () => shutdown.shutdown();
      }),
    ];
  }
});

function portOf(server: NetServer): number {
  return (server.address() as AddressInfo).port;
}

/** As a client that would come again on its connection. */
async function ask(server: NetServer, name: string, method: string): Promise<Outcome> {
  const path = `/${encodeURIComponent(name)}`;
  const sent = request({ port: portOf(server), host: '127.0.0.1', path, method, agent: false, headers: { connection: 'keep-alive' } });
  sent.end();
  try {
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    const body = await text(response);
    const headers: string[] = [];
    const connection: string[] = [];
    for (let at = 0; at < response.rawHeaders.length; at += 2) {
      const [field = '', value = ''] = response.rawHeaders.slice(at, at + 2);
      if (/^connection$/i.test(field)) connection.push(value);
      // Node tells a client that may come again until when, unless the application says it.
      else if (/^date$/i.test(field)) headers.push(field);
      else if (!/^keep-alive$/i.test(field) || value === 'timeout=9') headers.push(`${field}: ${value}`);
    }
    return { status: `${String(response.statusCode)} ${response.statusMessage ?? ''}`, headers, connection, body };
  } catch (error) {
    return { error: String((error as NodeJS.ErrnoException).code) };
  } finally {
    sent.destroy();
  }
}

async function askUpgrade(server: NetServer): Promise<Outcome> {
  const sent = request({ port: portOf(server), host: '127.0.0.1', agent: false, headers: { connection: 'keep-alive' } }).end();
  const [response, socket] = (await once(sent, 'upgrade')) as [IncomingMessage, Socket];
  socket.destroy();
  return { status: String(response.statusCode), connection: [response.headers.connection ?? ''] };
}

async function askHttp2(server: NetServer, name: string, method: string): Promise<Outcome> {
  const client = http2.connect(`http://127.0.0.1:${String(portOf(server))}`).on('error', () => {});
  try {
    const stream = client.request({ ':method': method, ':path': `/${encodeURIComponent(name)}` });
    // A stream that is reset without an error never says so.
    const closed = once(stream, 'close').then(() => [{ ':status': 0 }]);
    const answered = Promise.race([once(stream, 'response'), closed]) as Promise<
      [http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader]
    >;
    const [headers] = await answered;
    const body = await text(stream);
    const { ':status': status, date: _, ...others } = headers;
    return { status: String(status), headers: Object.entries(others).map(([field, value]) => `${field}: ${String(value)}`), body };
  } catch (error) {
    return { error: String((error as NodeJS.ErrnoException).code) };
  } finally {
    client.destroy();
  }
}
