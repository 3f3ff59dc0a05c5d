import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ask } from './http.js';
import { freePort, start, until } from './processes.js';
import { Service } from './services.js';

/** One series of an instant query. */
export interface Series {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A Prometheus of the test's own. */
export interface Prometheus {
  /** All series that a query gives now. */
  query(expression: string): Promise<Series[]>;
  stop(): Promise<void>;
}

/** Prometheus, on a free port of the loopback, that scrapes the targets (`host:port`) by job every `intervalMs`. */
export async function startPrometheus(jobs: Readonly<Record<string, readonly string[]>>, intervalMs = 100): Promise<Prometheus> {
  const folder = mkdtempSync(join(tmpdir(), 'koa-probes-prometheus-'));
  const interval = `${String(intervalMs)}ms`;
  const configuration = {
    global: { scrape_interval: interval, scrape_timeout: interval, evaluation_interval: interval },
    scrape_configs: Object.entries(jobs).map(([job, targets]) => ({ job_name: job, static_configs: [{ targets }] })),
  };
  // YAML is a superset of JSON.
  writeFileSync(join(folder, 'prometheus.yml'), JSON.stringify(configuration));
  const port = await freePort();
  const url = `http://127.0.0.1:${String(port)}`;
  const args = [
    `--config.file=${join(folder, 'prometheus.yml')}`,
    `--storage.tsdb.path=${join(folder, 'data')}`,
    `--web.listen-address=127.0.0.1:${String(port)}`,
    '--log.level=warn',
  ];
  const cleanUp = () => rmSync(folder, { recursive: true, force: true });
  const isUp = async () => (await ask(`${url}/-/ready`)).status === 200;
  const service = await new Service(port, () => start('prometheus', args), isUp, cleanUp).start();
  return {
    async query(expression) {
      const { status, body } = await ask(`${url}/api/v1/query?query=${encodeURIComponent(expression)}`);
      if (status !== 200) throw new Error(`${expression}: ${body}`);
      const { data } = JSON.parse(body) as { data: { result: { metric: Record<string, string>; value: [number, string] }[] } };
      return data.result.map(({ metric, value: [, value] }) => ({ metric, value: Number(value) }));
    },
    stop: () => service.stop(),
  };
}

/** Waits until a query gives series that will do. */
export function untilQueried(
  prometheus: Prometheus,
  expression: string,
  isWanted: (series: readonly Series[]) => boolean = (series) => series.length > 0,
  withinMs?: number,
): Promise<Series[]> {
  return until(async () => {
    const series = await prometheus.query(expression);
    if (isWanted(series)) return series;
    throw new Error(`${expression} gives ${JSON.stringify(series)}`);
  }, withinMs);
}

/** What `promtool` says to a text on its standard input, and its exit code. */
export async function promtool(args: readonly string[], input = ''): Promise<{ code: number | null; output: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'koa-probes-promtool-'));
  try {
    const file = join(folder, 'input');
    writeFileSync(file, input);
    const child = start('sh', ['-c', `promtool "$@" < "${file}"`, 'promtool', ...args]);
    const [code] = (await once(child.process, 'close')) as [number | null];
    return { code, output: child.output() };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
