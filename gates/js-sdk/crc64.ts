// The CRC-64 of x-ms-content-crc64 (CRC-64/NVME: reflected polynomial 0x9A6C9329AC4BC9B5), apart from src/ on purpose.

const polynomial = 0x9a6c9329ac4bc9b5n;
const ones = 0xffffffffffffffffn;

const table: bigint[] = Array.from({ length: 256 }, (_, byte) => {
  let value = BigInt(byte);
  for (let bit = 0; bit < 8; bit += 1) value = value & 1n ? (value >> 1n) ^ polynomial : value >> 1n;
  return value;
});

/** Eight bytes, little-endian, as the header carries them in base64. */
export function crc64(data: Uint8Array): Buffer {
  let state = ones;
  for (const byte of data) state = (table[Number((state ^ BigInt(byte)) & 0xffn)] ?? 0n) ^ (state >> 8n);
  const sum = Buffer.alloc(8);
  sum.writeBigUInt64LE(state ^ ones);
  return sum;
}
