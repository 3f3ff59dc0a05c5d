const SLOTS = 16_384;

/**
 * Returns a hash tag for one of the wanted slots, or undefined if no slot is wanted. A key with this tag belongs to that slot.
 * https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#key-distribution-model
 */
export function findHashTag(isWanted: (slot: number) => boolean): string | undefined {
  if (!Array.from({ length: SLOTS }, (_, slot) => slot).some(isWanted)) return undefined;
  // Ten times as many tags as slots are enough to reach every slot.
  for (let number = 0; number < 10 * SLOTS; number += 1) {
    const tag = String(number);
    if (isWanted(crc16(tag) % SLOTS)) return tag;
  }
  return undefined;
}

/** Computes CRC-16/XMODEM of an ASCII text. */
function crc16(text: string): number {
  let crc = 0;
  for (let index = 0; index < text.length; index += 1) {
    crc ^= text.charCodeAt(index) << 8;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc & 0x8000) === 0 ? crc << 1 : ((crc << 1) ^ 0x1021) & 0xffff;
  }
  return crc & 0xffff;
}
