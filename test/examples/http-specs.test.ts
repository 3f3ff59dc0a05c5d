import { readdirSync, readFileSync } from 'node:fs';
import { expect } from 'chai';
import { parse } from 'yaml';
import { projectPath } from '../support/consumer.js';

/** The drain delay by default, less the time in which proxies hear that a pod is not ready. */
const READINESS_WITHIN_SECONDS = 5 - 2;

interface Probe {
  readonly httpGet?: object;
  readonly periodSeconds?: number;
  readonly failureThreshold?: number;
}

interface Container {
  readonly readinessProbe?: Probe;
  readonly securityContext?: object;
}

interface PodSpec {
  readonly securityContext?: object;
  readonly containers: readonly Container[];
}

/** Of a container alone, or of the spec of a pod. */
const containerOf = (shownSpec: Container | PodSpec): Container =>
  'containers' in shownSpec ? (shownSpec.containers[0] ?? {}) : shownSpec;

const documents = ['README.md', ...readdirSync(projectPath('docs')).map((file) => `docs/${file}`)].filter((file) => file.endsWith('.md'));
const shown = documents.flatMap((file) =>
  Array.from(
    readFileSync(projectPath(file), 'utf8').matchAll(/^```yaml\n(.*?)^```$/gms),
    ([, yaml = '']) => [file, containerOf((parse(yaml) ?? {}) as Container | PodSpec)] as const,
  ),
);
const readPod = (file: string) =>
  (parse(readFileSync(projectPath(file), 'utf8')) as { spec: { template: { spec: PodSpec } } }).spec.template.spec;
const pod = readPod('examples/shutdown/pod.yaml');

describe('a pod spec with httpGet probes', () => {
  const specs = ['examples/shutdown/pod.yaml', 'examples/kubernetes/deployment.yaml'];
  const containers = [...shown, ...specs.map((file) => [file, containerOf(readPod(file))] as const)].filter(
    ([, { readinessProbe }]) => readinessProbe?.httpGet !== undefined,
  );

  it('is shown by the README and by an example', () => {
    expect(containers.map(([file]) => file)).to.include.members(['README.md', 'examples/shutdown/pod.yaml']);
  });

  for (const [file, { readinessProbe = {} }] of containers) {
    it(`takes the pod out of rotation within the drain delay, also after a restart by liveness: ${file}`, () => {
      const { periodSeconds = 10, failureThreshold = 3 } = readinessProbe;
      expect(periodSeconds * failureThreshold).to.be.at.most(READINESS_WITHIN_SECONDS);
    });
  }

  it('runs under the restricted pod security standard: examples/shutdown/pod.yaml', () => {
    expect(pod.securityContext).to.deep.include({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } });
    expect(pod.containers[0]?.securityContext).to.deep.equal({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
  });
});
