import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { parse } from 'yaml';
import { projectPath } from '../support/consumer.js';
import { ask } from '../support/http.js';
import { freePort, run, startNode, until, type Child } from '../support/processes.js';
import { startPrometheus, untilQueried, type Prometheus } from '../support/prometheus.js';

const folder = projectPath('examples', 'observability');
const read = (file: string) => readFileSync(join(folder, file), 'utf8');

interface Rules {
  readonly groups: readonly { readonly rules: readonly { readonly alert: string; readonly expr: string }[] }[];
}
interface Dashboard {
  readonly panels: readonly { readonly title: string; readonly targets: readonly { readonly expr: string }[] }[];
}

const alerts = (parse(read('alerts.yaml')) as Rules).groups.flatMap(({ rules }) => rules);
const { panels } = JSON.parse(read('dashboard.json')) as Dashboard;
const metricsIn = (text: string) => new Set(text.match(/koa_probes_\w+/g));

interface Pod {
  readonly child: Child;
  readonly url: string;
  readonly target: string;
}

async function startPod(): Promise<Pod> {
  const [port, metricsPort] = [await freePort(), await freePort()];
  const child = startNode(projectPath('build', 'examples', 'observability', 'server.js'), {
    PORT: String(port),
    METRICS_PORT: String(metricsPort),
    // A busy machine misses some scrapes: the alert still has time to see enough of the shutdown.
    SHUTDOWN_TIMEOUT_MS: '60000',
  });
  const url = `http://127.0.0.1:${String(port)}`;
  await until(() => {
    if (child.process.exitCode !== null) throw new Error(child.output());
    return ask(url);
  });
  return { child, url, target: `127.0.0.1:${String(metricsPort)}` };
}

describe('examples/observability', function () {
  this.timeout(150_000);

  it('has rules that promtool tests', async () => {
    await run('promtool', ['check', 'rules', join(folder, 'alerts.yaml')]);
    expect(await run('promtool', ['test', 'rules', 'alerts.test.yaml'], { cwd: folder })).to.include('SUCCESS');
    expect(await run('promtool', ['check', 'config', join(folder, 'prometheus.yaml')])).to.include('is valid');
    const tested = new Set(read('alerts.test.yaml').match(/KoaProbes\w+/g));
    expect(alerts.map(({ alert }) => alert)).to.have.members([...tested]);
  });

  it('has every metric on the dashboard', async () => {
    const pod = await startPod();
    try {
      const { body } = await ask(`http://${pod.target}/metrics`);
      const exposed = [...body.matchAll(/^# TYPE (koa_probes_\w+)/gm)].map(([, name = '']) => name);
      const shown = [...metricsIn(read('dashboard.json'))].map((name) => name.replace(/_bucket$/, ''));
      expect(shown).to.have.members(exposed);
    } finally {
      await pod.child.stop('SIGKILL');
    }
  });

  it('has every metric and every alert in the documents', () => {
    const documents = readFileSync(projectPath('docs', 'observability.md'), 'utf8');
    const metrics = [...metricsIn(read('dashboard.json'))].map((name) => name.replace(/_bucket$/, ''));
    for (const name of [...metrics, ...alerts.map(({ alert }) => alert)])
      expect(documents).to.match(new RegExp(`^\\| \`${name}[\`{]`, 'm'));
  });

  it('gives values for every query of the dashboard and of the alerts in a real Prometheus', async () => {
    const [pod, leaving] = await Promise.all([startPod(), startPod()]);
    const prometheus = await startPrometheus({ shop: [pod.target, leaving.target] }, 300);
    try {
      const given = new Set<string>();
      const look = async (alert: string) => {
        const { expr } = alerts.find((rule) => rule.alert === alert) ?? { expr: '' };
        await untilQueried(prometheus, expr, undefined, 55_000);
        given.add(alert);
      };
      // The shutdown takes longest: a request keeps it waiting, and the rest of the test goes on meanwhile.
      await untilQueried(prometheus, 'count(koa_probes_lifecycle{state="running"}) == 2');
      void ask(`${leaving.url}/slow`).catch(() => {});
      await askOften(leaving);
      leaving.child.process.kill('SIGTERM');
      await look('KoaProbesNotAsked');

      await askOften(pod);
      await showsDashboard(prometheus);

      await flap(pod, prometheus);
      await look('KoaProbesProbeFlapping');
      await post(pod, 'down');
      await ask(`${leaving.url}/readyz`).catch(() => {});
      await ask(`${pod.url}/readyz`);
      await look('KoaProbesPodNotReady');
      await look('KoaProbesServiceNotReady');
      await post(pod, 'hanging');
      await ask(`${pod.url}/readyz`);
      await look('KoaProbesRunHanging');

      await look('KoaProbesShutdownTimedOut');
      expect([...given]).to.have.members(alerts.map(({ alert }) => alert));
    } finally {
      await Promise.all([pod.child.stop('SIGKILL'), leaving.child.stop('SIGKILL'), prometheus.stop()]);
    }
  });
});

const post = ({ url }: Pod, state: string) => ask(`${url}/search/${state}`, { method: 'POST' });

/** As the kubelet and a burst of it do. */
async function askOften({ url }: Pod): Promise<void> {
  for (let round = 0; round < 10; round += 1) {
    await Promise.all(['/readyz', '/readyz', '/livez', '/startupz'].map((path) => ask(url + path)));
  }
}

async function showsDashboard(prometheus: Prometheus): Promise<void> {
  for (const { title, targets } of panels) {
    for (const { expr } of targets) {
      const query = expr.replaceAll('$__rate_interval', '30s').replaceAll(/\$(?:namespace|job)/g, '.*');
      const isGiven = (series: readonly { value: number }[]) => series.some(({ value }) => Number.isFinite(value));
      await untilQueried(prometheus, query, isGiven).catch((error: unknown) => {
        throw new Error(`The panel "${title}" shows nothing.`, { cause: error });
      });
    }
  }
}

/** Each status is scraped before the next. */
async function flap(pod: Pod, prometheus: Prometheus): Promise<void> {
  for (let round = 0; round < 8; round += 1) {
    const state = round % 2 === 0 ? 'down' : 'up';
    await post(pod, state);
    await ask(`${pod.url}/readyz`);
    await untilQueried(
      prometheus,
      `koa_probes_probe_up{probe="search",kind="readiness",instance="${pod.target}"} == ${state === 'up' ? '1' : '0'}`,
    );
  }
}
