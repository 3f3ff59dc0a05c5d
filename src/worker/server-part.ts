import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { describeError } from '../errors.js';
import { answerFrom, type Answerer, type ProbeAnswer } from '../http/endpoint.js';
import { isClientGone } from '../http/hang-ups.js';
import type { ProbeTarget } from '../http/paths.js';
import { copyRequest } from '../http/request-copy.js';
import { closeServer, createProbeServer, listen, sendAnswer, type ServerAddress } from '../http/server.js';
import type { ThreadServerSettings } from '../http/threaded-server.js';
import type { ProbeKind } from '../probe.js';
import type { BlockLimits, SentAnswer } from '../thread/messages.js';
import { BlockedProbes } from './blocked-probes.js';
import type { MainSide, WorkerPart } from './worker-part.js';

interface Exchange {
  readonly target: ProbeTarget;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/** Answers that the main thread hears of when it turns again. Whoever floods a blocked process must not fill its memory. */
const MOST_NOTED = 10_000;

/** A server of the thread. The main thread answers while its loop turns; while it is blocked the thread does, by the same code. */
export class ServerPart implements WorkerPart {
  readonly #server: Server;
  readonly #answer: Answerer<IncomingMessage>;
  /** What the main thread has been asked, by number. */
  readonly #waiting = new Map<number, Exchange>();
  /** The kinds that the main thread will run as soon as it can: however often its loop is blocked, no report grows old. */
  readonly #postponed = new Set<ProbeKind>();
  readonly #opened: Promise<void>;
  readonly #noted: SentAnswer[] = [];
  #requests = 0;

  constructor(
    private readonly id: number,
    { address, paths, answers }: ThreadServerSettings,
    readonly limits: BlockLimits,
    private readonly main: MainSide,
  ) {
    this.#answer = answerFrom(new BlockedProbes(main.last, limits, () => main.readBlockedMs()), answers);
    this.#server = createProbeServer({ paths }, (target, request, response) => this.#onProbe({ target, request, response }));
    this.#opened = this.#open(address);
  }

  get isWaiting(): boolean {
    return this.#waiting.size > 0;
  }

  onBlocked(): void {
    for (const exchange of this.#waiting.values()) this.#answerHere(exchange);
    this.#waiting.clear();
  }

  /** What is under way would be answered by a registry that is closed. */
  onDetached(): void {
    this.onBlocked();
  }

  onTurning(): void {
    this.#postponed.clear();
    for (const sent of this.#noted.splice(0)) this.main.post({ type: 'sent', id: this.id, sent });
  }

  /** The answer of the main thread. It may come after the thread has answered. */
  onAnswer(request: number, answer: ProbeAnswer): void {
    const exchange = this.#waiting.get(request);
    if (exchange === undefined) return;
    this.#waiting.delete(request);
    this.#send(exchange, answer, isClientGone(exchange.response));
  }

  async close(): Promise<void> {
    await this.#opened;
    // What is under way is answered first.
    this.#server.once('close', () => this.main.onClosed(this.id));
    closeServer(this.#server);
  }

  async #open(address: ServerAddress): Promise<void> {
    try {
      await listen(this.#server, address);
      this.main.post({ type: 'opened', id: this.id, address: this.#server.address() });
    } catch (error) {
      this.main.post({ type: 'refused', id: this.id, message: describeError(error) });
    }
  }

  #onProbe(exchange: Exchange): void {
    const { kind } = exchange.target;
    this.#requests += 1;
    if (this.main.isDetached) return this.#answerHere(exchange);
    if (this.main.readBlockedMs() === 0) {
      this.#waiting.set(this.#requests, exchange);
      return this.#ask(exchange.request);
    }
    this.#answerHere(exchange);
    if (this.#postponed.has(kind)) return;
    this.#postponed.add(kind);
    this.#ask(exchange.request);
  }

  #ask(request: IncomingMessage): void {
    this.main.ask({ type: 'request', id: this.id, request: this.#requests, copy: copyRequest(request) });
  }

  #answerHere(exchange: Exchange): void {
    const { target, request } = exchange;
    void this.#answer(target, request.headers.accept, request).then((answer) => this.#send(exchange, answer, false));
  }

  #send({ target, response }: Exchange, answer: ProbeAnswer, isGone: boolean): void {
    const { kind, name } = target;
    const sent: SentAnswer = { kind, probe: name, code: answer.status, isGone };
    if (this.main.readBlockedMs() === 0) this.main.post({ type: 'sent', id: this.id, sent });
    else if (this.#noted.length < MOST_NOTED) this.#noted.push(sent);
    sendAnswer(response, answer);
  }
}
