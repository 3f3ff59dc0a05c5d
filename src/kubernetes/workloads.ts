/** What a pod is made of, by its kind in lower case. */
export const WORKLOADS = Object.freeze({
  deployment: 'Deployment',
  statefulset: 'StatefulSet',
  daemonset: 'DaemonSet',
});

export interface Workload {
  readonly kind: keyof typeof WORKLOADS;
  readonly name: string;
}

/** A strategic merge patch of a workload. */
export function wrapInWorkload({ kind, name }: Workload, podSpec: object): object {
  return { apiVersion: 'apps/v1', kind: WORKLOADS[kind], metadata: { name }, spec: { template: { spec: podSpec } } };
}

/** A component of Kustomize that applies a patch, given as text. */
export function wrapInComponent({ kind, name }: Workload, patch: string): object {
  return {
    apiVersion: 'kustomize.config.k8s.io/v1alpha1',
    kind: 'Component',
    patches: [{ target: { kind: WORKLOADS[kind], name }, patch }],
  };
}
