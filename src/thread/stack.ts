import { pathToFileURL } from 'node:url';

/** The frames of a stack as V8 writes it, innermost first, with paths below `folder` relative to it. `own` frames at the top are those of whoever took it. */
export function readFrames(stack: string, folder: string, own: number): string[] {
  const lines = stack.split('\n').filter((line) => /^\s+at /.test(line));
  const bases = [`${pathToFileURL(folder).href}/`, `${folder}/`, 'file://'];
  return lines.slice(own).map((line) => {
    return bases.reduce((text, base) => text.replaceAll(base, ''), line.replace(/^\s+at (?:async )?/, ''));
  });
}

/** Whether one of the frames is in a file: otherwise the loop had not come to the application, or has left it. */
export function hasFile(frames: readonly string[]): boolean {
  return frames.some(isInFile);
}

/** Who blocks, in one line: the function in a file, what it has called, and who has called it if it is a package's. Undefined if no frame is in a file. */
export function describeBlocker(frames: readonly string[]): string | undefined {
  const at = frames.findIndex(isInFile);
  const frame = frames[at];
  if (frame === undefined) return undefined;
  const called = frames[at - 1];
  const caller = isInPackage(frame) ? frames.slice(at).find((one) => isInFile(one) && !isInPackage(one)) : undefined;
  const chain = [called === undefined ? undefined : nameOf(called), clean(frame), caller === undefined ? undefined : clean(caller)];
  return chain.filter((part) => part !== undefined).join(', called by ');
}

function isInFile(frame: string): boolean {
  const place = placeOf(frame);
  return /:\d+:\d+$/.test(place) && !place.startsWith('node:') && !place.startsWith('<anonymous>');
}

function isInPackage(frame: string): boolean {
  return placeOf(frame).includes('node_modules/');
}

/** What stands in the brackets, or the whole of a frame without a name. */
function placeOf(frame: string): string {
  return /\(([^()]*)\)$/.exec(frame)?.[1] ?? frame;
}

/** A getter is where the sample hit by chance, as a rule: `get performance`. */
function nameOf(frame: string): string | undefined {
  const name = /^(.*?) \(/.exec(clean(frame))?.[1];
  return name === undefined || /(?:^|\.)get /.test(name) ? undefined : name;
}

/** Without the receiver of a plain function, and without the name under which it is kept. */
function clean(frame: string): string {
  return frame.replace(/^Object\./, '').replace(/ \[as [^\]]*\]/, '');
}
