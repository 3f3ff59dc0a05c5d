/** A value of a manifest, and the reason for it, which becomes a comment in its line. */
export class Noted {
  constructor(
    readonly value: unknown,
    readonly note: string,
  ) {}
}

/** A value that is written in one line: `{ name: http, containerPort: 3000 }`. */
export class InOneLine {
  constructor(readonly value: object) {}
}

export function noted(value: unknown, note: string): Noted {
  return new Noted(value, note);
}

export function inOneLine(value: object): InOneLine {
  return new InOneLine(value);
}
