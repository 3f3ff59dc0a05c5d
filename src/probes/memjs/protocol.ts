/** The part of memcached's binary protocol that a check needs: https://docs.memcached.org/protocols/binary/ */
export const OPCODE_STAT = 0x10;
export const OPCODE_SASL_AUTH = 0x21;
export const RESPONSE_MAGIC = 0x81;

const REQUEST_MAGIC = 0x80;
const HEADER_BYTES = 24;

export interface BinaryResponse {
  readonly opcode: number;
  /** 0 means success. */
  readonly status: number;
  /** Length of extras, key and value together. */
  readonly bodyBytes: number;
  readonly value: string;
}

export function encodeRequest(opcode: number, key = '', value = ''): Buffer {
  const body = Buffer.from(key + value);
  const header = Buffer.alloc(HEADER_BYTES);
  header[0] = REQUEST_MAGIC;
  header[1] = opcode;
  header.writeUInt16BE(Buffer.byteLength(key), 2);
  header.writeUInt32BE(body.length, 8);
  return Buffer.concat([header, body]);
}

/** Returns the first response in `bytes` and the rest, or undefined if the response is not complete yet. */
export function decodeResponse(bytes: Buffer): { response: BinaryResponse; rest: Buffer } | undefined {
  if (bytes.length < HEADER_BYTES) return undefined;
  const bodyBytes = bytes.readUInt32BE(8);
  const endsAt = HEADER_BYTES + bodyBytes;
  if (bytes.length < endsAt) return undefined;
  const valueStartsAt = HEADER_BYTES + bytes.readUInt16BE(2) + bytes.readUInt8(4);
  const value = bytes.toString('utf8', valueStartsAt, endsAt);
  return { response: { opcode: bytes.readUInt8(1), status: bytes.readUInt16BE(6), bodyBytes, value }, rest: bytes.subarray(endsAt) };
}
