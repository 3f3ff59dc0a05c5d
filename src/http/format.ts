import Negotiator from 'negotiator';

/** Format of a response. `auto` follows the `Accept` header, and uses text if the header has no preference. */
export type ProbeFormat = 'auto' | 'text' | 'json';

export const PROBE_FORMATS: readonly ProbeFormat[] = ['auto', 'text', 'json'];

export type MediaType = 'text/plain' | 'application/health+json' | 'application/json';

const OFFERS: Readonly<Record<ProbeFormat, readonly MediaType[]>> = {
  auto: ['text/plain', 'application/health+json', 'application/json'],
  text: ['text/plain'],
  json: ['application/health+json', 'application/json'],
};

/** Chooses the media type of the response. If no type is acceptable, it returns the first one anyway, because a prober only reads the status. */
export function chooseMediaType(format: ProbeFormat, accept: string | undefined): MediaType {
  const offers = OFFERS[format];
  const [first = 'text/plain'] = offers;
  // The kubelet sends one of these.
  if (accept === undefined || accept === '*/*') return first;
  return (new Negotiator({ headers: { accept } }).mediaType([...offers]) as MediaType | undefined) ?? first;
}
