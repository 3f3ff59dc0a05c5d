export { clusterProbes } from './cluster-probes.js';
export type { ClusterOptions } from './options.js';
export { reportToPrimary } from './report-to-primary.js';
