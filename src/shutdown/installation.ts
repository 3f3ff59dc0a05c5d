/** What ends the process is a matter of the process: the shutdowns that are installed in it, those of another installed copy of the package too. */
const INSTALLED = Symbol.for('koa-probes.shutdowns');

interface Peer {
  readonly probes: object;
  /** Only one that has begun is waited for: another might never begin. */
  isUnderWay: boolean;
  /** It has not come to the point where it needs them no more. */
  needsProbes: boolean;
}

/** The place of one shutdown among those of its process. */
export class Installation implements Peer {
  isUnderWay = false;
  needsProbes = true;

  constructor(readonly probes: object) {
    installed().add(this);
  }

  /** Whether no other shutdown that is under way needs the same probes. */
  releaseProbes(): boolean {
    this.needsProbes = false;
    return ![...installed()].some(({ isUnderWay, probes, needsProbes }) => isUnderWay && needsProbes && probes === this.probes);
  }

  /** Whether it was the last that was under way. */
  end(): boolean {
    installed().delete(this);
    return ![...installed()].some(({ isUnderWay }) => isUnderWay);
  }
}

function installed(): Set<Peer> {
  const shared = globalThis as { [INSTALLED]?: Set<Peer> };
  return (shared[INSTALLED] ??= new Set());
}
