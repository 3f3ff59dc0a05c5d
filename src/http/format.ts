import Negotiator from 'negotiator';

/** `auto`: what `Accept` prefers, text where it says nothing. */
export type ProbeFormat = 'auto' | 'text' | 'json';

export const PROBE_FORMATS: readonly ProbeFormat[] = ['auto', 'text', 'json'];

export type MediaType = 'text/plain' | 'application/health+json' | 'application/json';

const OFFERS: Readonly<Record<ProbeFormat, readonly MediaType[]>> = {
  auto: ['text/plain', 'application/health+json', 'application/json'],
  text: ['text/plain'],
  json: ['application/health+json', 'application/json'],
};

/** The media type to answer with. Where nothing on offer is acceptable, the first is given all the same: a prober reads the status. */
export function chooseMediaType(format: ProbeFormat, accept: string | undefined): MediaType {
  const offers = OFFERS[format];
  const [first = 'text/plain'] = offers;
  // What the kubelet sends.
  if (accept === undefined || accept === '*/*') return first;
  return (new Negotiator({ headers: { accept } }).mediaType([...offers]) as MediaType | undefined) ?? first;
}
