import { readdirSync } from 'node:fs';
import { expect } from 'chai';
import { projectPath } from '../support/consumer.js';
import { readCommand, readPodSpec, type ExecProbe } from '../support/pod-spec.js';

/** The drain delay of a service, less the time that the kubelet and the proxies take. */
const READINESS_WITHIN_SECONDS = 5 - 2;

const SPECS = [
  ...readdirSync(projectPath('examples/worker'))
    .filter((file) => file.endsWith('.yaml'))
    .map((file) => ['worker', file] as const),
  ['cluster', 'pm2.yaml'] as const,
  ['kubernetes', 'worker.yaml'] as const,
];

describe('the exec probes of the pod specs', () => {
  for (const path of SPECS) {
    const { securityContext, containers } = readPodSpec(...path);
    const [container] = containers;

    it(`run under the restricted pod security standard: ${path.join('/')}`, () => {
      expect(securityContext).to.deep.include({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } });
      expect(container.securityContext).to.deep.equal({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
    });

    const probes = (['startupProbe', 'livenessProbe', 'readinessProbe'] as const).flatMap((name) => {
      return container[name] === undefined ? [] : [[name, container[name]] as const];
    });

    for (const [name, probe] of probes) {
      it(`leave a second between the timeout of the command and that of the kubelet: ${path.join('/')}, ${name}`, () => {
        expect(probe.timeoutSeconds).to.be.at.least(5);
        const args = readCommand(probe);
        if (args[0] === process.execPath) expect(Number(args[args.indexOf('--timeout') + 1])).to.equal(Number(probe.timeoutSeconds) - 1);
      });
    }

    const readiness: ExecProbe | undefined = container.readinessProbe;
    if (readiness !== undefined) {
      it(`take the pod out of the rotation within the drain: ${path.join('/')}`, () => {
        expect(readiness.periodSeconds * (readiness.failureThreshold ?? 3)).to.be.at.most(READINESS_WITHIN_SECONDS);
      });
    }
  }
});
