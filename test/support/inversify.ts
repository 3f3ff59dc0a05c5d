import * as inversify from 'inversify';

/** The tests of discovery run on each major of Inversify, and these are where the majors differ. */
interface AnyVersion {
  createChild?(): inversify.Container;
  unbindAllAsync?(): Promise<void>;
  unbindAll(): unknown;
}

/** 6 hands what is injected in a class on to those that extend it, so there is nothing to lose. */
export const handsInjectionsOn = !('injectFromBase' in inversify);

export function childOf(container: inversify.Container): inversify.Container {
  return (container as AnyVersion).createChild?.() ?? new inversify.Container({ parent: container });
}

export async function unbindAll(container: inversify.Container): Promise<void> {
  const any = container as AnyVersion;
  await (any.unbindAllAsync === undefined ? any.unbindAll() : any.unbindAllAsync());
}

/** A decorator of 7 and 8. */
export function injectFromBase(options: inversify.InjectFromBaseOptions): ClassDecorator {
  return (inversify as Pick<typeof inversify, 'injectFromBase'>)['injectFromBase'](options);
}
