/** The key of a service in a container. */
export type ServiceIdentifier = string | symbol | (abstract new (...args: never[]) => unknown);

/** The methods of Inversify's `Container` that `discoverProbes()` uses. Inversify 6.1, 7 and 8 have them. */
export interface ProbeContainer {
  bind(identifier: symbol): unknown;
  isBound(identifier: symbol): boolean;
  isCurrentBound(identifier: symbol): boolean;
  getAsync(identifier: symbol): Promise<unknown>;
  getAllAsync(identifier: symbol): Promise<unknown[]>;
  unbindAll(): unknown;
}

/** The internal view of a container, with the methods that only some versions of Inversify have. */
export interface Container {
  bind(identifier: ServiceIdentifier): BindingSyntax;
  isBound(identifier: ServiceIdentifier): boolean;
  isCurrentBound(identifier: ServiceIdentifier): boolean;
  getAsync(identifier: ServiceIdentifier): Promise<unknown>;
  getAllAsync(identifier: ServiceIdentifier): Promise<unknown[]>;
  onActivation(identifier: ServiceIdentifier, activation: (context: unknown, value: unknown) => unknown): unknown;
  /** Returns a promise in Inversify 7, which has no `unbindAsync`. */
  unbind(identifier: ServiceIdentifier | object): unknown;
  unbindAsync?(identifier: ServiceIdentifier | object): Promise<void>;
  unbindAll(): unknown;
  unbindAllAsync?(): Promise<void>;
  /** Available from Inversify 7.5.2 on. */
  register?(plugin: new (...args: never[]) => unknown): void;
}

interface BindingSyntax {
  toSelf(): { inSingletonScope(): unknown };
  toConstantValue(value: unknown): unknown;
  toService(identifier: ServiceIdentifier): unknown;
}

const METHODS = ['bind', 'isBound', 'isCurrentBound', 'getAsync', 'getAllAsync', 'unbind', 'unbindAll'] as const;

export function isContainer(value: unknown): value is Container {
  return typeof value === 'object' && value !== null && METHODS.every((name) => typeof (value as Container)[name] === 'function');
}

export async function unbind(container: Container, identifier: ServiceIdentifier | object): Promise<void> {
  await (container.unbindAsync === undefined ? container.unbind(identifier) : container.unbindAsync(identifier));
}

export async function unbindAll(container: Container): Promise<void> {
  await (container.unbindAllAsync === undefined ? container.unbindAll() : container.unbindAllAsync());
}

export function describeIdentifier(identifier: ServiceIdentifier): string {
  return typeof identifier === 'function'
    ? identifier.name || 'an anonymous class'
    : typeof identifier === 'symbol'
      ? String(identifier)
      : JSON.stringify(identifier);
}
