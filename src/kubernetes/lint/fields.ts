/** @public The fields of Kubernetes 1.34 that lint reads, by the object that has them. A test compares them with the published schema. */
export const FIELDS = {
  Probe:
    'exec httpGet tcpSocket grpc initialDelaySeconds timeoutSeconds periodSeconds successThreshold failureThreshold terminationGracePeriodSeconds',
  HTTPGetAction: 'path port host scheme httpHeaders',
  ExecAction: 'command',
  TCPSocketAction: 'port host',
  GRPCAction: 'port service',
  Lifecycle: 'postStart preStop stopSignal',
  LifecycleHandler: 'exec httpGet tcpSocket sleep',
  SleepAction: 'seconds',
  ContainerPort: 'name hostPort containerPort protocol hostIP',
  Container:
    'name image command args workingDir ports envFrom env resources resizePolicy restartPolicy restartPolicyRules volumeMounts volumeDevices livenessProbe ' +
    'readinessProbe startupProbe lifecycle terminationMessagePath terminationMessagePolicy imagePullPolicy securityContext stdin stdinOnce tty',
  PodSpec:
    'volumes initContainers containers ephemeralContainers restartPolicy terminationGracePeriodSeconds activeDeadlineSeconds dnsPolicy nodeSelector ' +
    'serviceAccountName serviceAccount automountServiceAccountToken nodeName hostNetwork hostPID hostIPC shareProcessNamespace securityContext ' +
    'imagePullSecrets hostname subdomain affinity schedulerName tolerations hostAliases priorityClassName priority dnsConfig readinessGates ' +
    'runtimeClassName enableServiceLinks preemptionPolicy overhead topologySpreadConstraints setHostnameAsFQDN os hostUsers schedulingGates ' +
    'resourceClaims resources hostnameOverride',
} as const;

export type FieldOwner = keyof typeof FIELDS;

export function fieldsOf(owner: FieldOwner): readonly string[] {
  return FIELDS[owner].split(' ');
}

/** The field that was probably meant; undefined if none is near. */
export function likelyField(owner: FieldOwner, field: string): string | undefined {
  const ranked = fieldsOf(owner).map((name) => ({ name, distance: distanceBetween(name.toLowerCase(), field.toLowerCase()) }));
  const [nearest] = ranked.toSorted((a, b) => a.distance - b.distance);
  return nearest !== undefined && nearest.distance <= Math.min(3, Math.floor(field.length / 3)) ? nearest.name : undefined;
}

/** Levenshtein's: how many letters have to be added, removed or replaced. */
function distanceBetween(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (const [i, letter] of a.split('').entries()) {
    const next = [i + 1];
    for (const [j, other] of b.split('').entries()) {
      next.push(Math.min(next[j]! + 1, row[j + 1]! + 1, row[j]! + (letter === other ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length]!;
}
