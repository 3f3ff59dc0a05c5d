// Access logs without the probes that pass. A probe that fails stays in each of them.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { isProbeRequest } from 'koa-probes';
import koaLogger from 'koa-logger';
import morgan from 'morgan';
import { pinoHttp } from 'pino-http';

const isPassingProbe = (request: IncomingMessage, response: ServerResponse) => isProbeRequest(request) && response.statusCode < 400;

/** koa-logger has a line for each request and one for its answer. The line for the request comes before the status is known. */
export function createKoaLogger(print: (line: string) => void = console.log) {
  return koaLogger({
    transporter(line, [, method, url, status]) {
      const isPassing = isProbeRequest({ method, url }) && !(Number(status) >= 400);
      if (!isPassing) print(line);
    },
  });
}

/** `autoLogging.ignore` of pino-http is asked before there is an answer; `customLogLevel` is asked after it. */
export function createPinoLogger(stream: NodeJS.WritableStream = process.stdout) {
  const options = {
    customLogLevel(request: IncomingMessage, response: ServerResponse, error?: Error) {
      if (error !== undefined || response.statusCode >= 500) return 'error';
      if (response.statusCode >= 400) return 'warn';
      return isPassingProbe(request, response) ? 'silent' : 'info';
    },
  } as const;
  return pinoHttp(options, stream as NodeJS.WriteStream);
}

export function createMorgan(stream: { write(line: string): void } = process.stdout) {
  return morgan('combined', { skip: isPassingProbe, stream });
}
