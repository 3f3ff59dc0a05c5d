import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

const NO_ANSWER_AFTER_MS = 20_000;

/** One connection that stays open until one of the two sides says otherwise. Nothing is sent twice, and nothing after a close was seen. */
export class Connection {
  isOpen = true;
  #socket;
  #received = '';
  #settle;

  constructor(port) {
    this.port = port;
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true }).setEncoding('latin1');
    this.#socket.setTimeout(NO_ANSWER_AFTER_MS, () => this.#fail('no answer'));
    this.#socket.on('data', (text) => this.#read(text));
    this.#socket.on('end', () => this.#fail('closed before the answer'));
    this.#socket.on('error', ({ code }) => this.#fail(code));
  }

  /** Sends a request in its pieces. Resolves when its answer, a 200, is complete, or to the reason why it never will be. */
  send(pieces, pauseMs) {
    const answered = new Promise((resolve) => (this.#settle = resolve));
    void this.#write(pieces, pauseMs);
    return answered;
  }

  async #write(pieces, pauseMs) {
    for (const [index, piece] of pieces.entries()) {
      if (index > 0) await pause(pauseMs());
      if (!this.isOpen) return;
      this.#socket.write(piece);
    }
  }

  #read(text) {
    this.#received += text;
    const bodyAt = this.#received.indexOf('\r\n\r\n') + 4;
    if (bodyAt === 3) return;
    const head = this.#received.slice(0, bodyAt);
    const length = /^content-length: (\d+)\r/im.exec(head)?.[1];
    if (length === undefined) return this.#fail('an answer without a length');
    if (this.#received.length < bodyAt + Number(length)) return;
    if (this.#settle === undefined) return this.#fail('an answer that nobody asked for');
    const isOk = head.startsWith('HTTP/1.1 200 ') && this.#received.length === bodyAt + Number(length);
    this.#received = '';
    if (/^connection: close\r/im.test(head)) this.#leave();
    this.#end(isOk ? undefined : head.slice(0, head.indexOf('\r')));
  }

  #fail(reason) {
    this.#leave();
    this.#end(reason);
  }

  #leave() {
    this.isOpen = false;
    this.#socket.end();
  }

  #end(reason) {
    const settle = this.#settle;
    this.#settle = undefined;
    settle?.(reason);
  }
}
