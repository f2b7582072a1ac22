// A tiny WebAssembly assembler: enough to write a module of a few functions over one imported memory by hand.

export const ValueType = { i32: 0x7f, i64: 0x7e, f64: 0x7c, v128: 0x7b } as const;
export type ValueType = (typeof ValueType)[keyof typeof ValueType];

/** Instructions, already encoded. Nested arrays let functions below return several instructions at once. */
export type Code = number | readonly Code[];

export interface WasmFunction {
  readonly parameters: readonly ValueType[];
  /** Left out by those that answer nothing. */
  readonly result?: ValueType;
  readonly locals: readonly ValueType[];
  readonly body: readonly Code[];
  /** Functions without one are only called by others. */
  readonly exportedAs?: string;
}

export function unsigned(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; ) {
    const low = rest % 128;
    rest = Math.floor(rest / 128);
    if (rest === 0) {
      bytes.push(low);
      return bytes;
    }
    bytes.push(low | 0x80);
  }
}

export function signed(value: bigint): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; ) {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    if ((rest === 0n && (low & 0x40) === 0) || (rest === -1n && (low & 0x40) !== 0)) {
      bytes.push(low);
      return bytes;
    }
    bytes.push(low | 0x80);
  }
}

const memoryArgument = (offset: number): Code => [0, unsigned(offset)];
const binary =
  (opcode: number) =>
  (left: Code, right: Code): Code => [left, right, opcode];
const binaryV128 =
  (opcode: number) =>
  (left: Code, right: Code): Code => [left, right, 0xfd, unsigned(opcode)];

/** Operands come first, as on WebAssembly's stack; addresses take a constant offset. */
export const op = {
  get: (local: number): Code => [0x20, unsigned(local)],
  set: (local: number, value: Code): Code => [value, 0x21, unsigned(local)],
  /** Sets the local and leaves the value for the instruction around it. */
  tee: (local: number, value: Code): Code => [value, 0x22, unsigned(local)],
  call: (index: number, ...operands: Code[]): Code => [operands, 0x10, unsigned(index)],
  i32: (value: number): Code => [0x41, signed(BigInt(value | 0))],
  i64: (value: bigint): Code => [0x42, signed(BigInt.asIntN(64, value))],
  loop: (...body: Code[]): Code => [0x03, 0x40, body, 0x0b],
  when: (condition: Code, ...body: Code[]): Code => [condition, 0x04, 0x40, body, 0x0b],
  /** Goes round the `depth`-th loop from within (0 is the innermost block, an `if` counts) when the condition holds. */
  againIf: (depth: number, condition: Code): Code => [condition, 0x0d, depth],
  returns: (value: Code): Code => [value, 0x0f],
  wrap: (value: Code): Code => [value, 0xa7],
  truncateUnsigned: (value: Code): Code => [value, 0xb1],
  addI32: binary(0x6a),
  subI32: binary(0x6b),
  andI32: binary(0x71),
  orI32: binary(0x72),
  xorI32: binary(0x73),
  shiftLeftI32: binary(0x74),
  shiftRightI32: binary(0x76),
  rotateLeftI32: binary(0x77),
  lessI32: binary(0x49),
  minI32: (left: Code, right: Code): Code => [left, right, left, right, 0x49, 0x1b],
  subI64: binary(0x7d),
  andI64: binary(0x83),
  xorI64: binary(0x85),
  shiftRightI64: binary(0x88),
  shiftLeftI64: binary(0x86),
  isNonZeroI64: (value: Code): Code => [value, 0x42, 0, 0x52],
  loadI32: (address: Code, offset = 0): Code => [address, 0x28, memoryArgument(offset)],
  storeI32: (address: Code, value: Code, offset = 0): Code => [address, value, 0x36, memoryArgument(offset)],
  loadByteI64: (address: Code, offset = 0): Code => [address, 0x31, memoryArgument(offset)],
  loadI64: (address: Code, offset = 0): Code => [address, 0x29, memoryArgument(offset)],
  fill: (address: Code, value: Code, length: Code): Code => [address, value, length, 0xfc, 0x0b, 0],
  copy: (to: Code, from: Code, length: Code): Code => [to, from, length, 0xfc, 0x0a, 0, 0],
  loadV128: (address: Code, offset = 0): Code => [address, 0xfd, 0x00, memoryArgument(offset)],
  storeV128: (address: Code, value: Code, offset = 0): Code => [address, value, 0xfd, 0x0b, memoryArgument(offset)],
  andV128: binaryV128(0x4e),
  /** The bits of the left that are not in the right. */
  andNotV128: binaryV128(0x4f),
  orV128: binaryV128(0x50),
  xorV128: binaryV128(0x51),
  /** On vectors of four: the sum, the difference, and every lane shifted by one number. */
  addI32x4: binaryV128(0xae),
  subI32x4: binaryV128(0xb1),
  shiftLeftI32x4: binaryV128(0xab),
  shiftRightI32x4: binaryV128(0xad),
  /** Four lanes of two vectors: 0 to 3 are the left's, 4 to 7 the right's. */
  shuffleI32x4: (left: Code, right: Code, lanes: readonly [number, number, number, number]): Code => [
    left,
    right,
    [0xfd, 0x0d],
    lanes.flatMap((lane) => [4 * lane, 4 * lane + 1, 4 * lane + 2, 4 * lane + 3]),
  ],
  zeroV128: [0xfd, 0x0c, Array.from({ length: 16 }, () => 0)] as Code,
  lowI64: (value: Code): Code => [op.zeroV128, value, 0xfd, 0x1e, 0],
};

const flatten = (code: Code, into: number[]): number[] => {
  if (typeof code === 'number') into.push(code);
  else for (const part of code) flatten(part, into);
  return into;
};
const sized = (code: Code): Code => {
  const bytes = flatten(code, []);
  return [unsigned(bytes.length), bytes];
};
const vector = (items: readonly Code[]): Code => [unsigned(items.length), items];
const section = (id: number, items: readonly Code[]): Code => [id, sized(vector(items))];
const text = (value: string): Code => sized([...Buffer.from(value, 'utf8')]);

/** A module whose functions work on the memory imported as `memory` of `env`. Functions call each other by their place. */
export function encodeModule(functions: readonly WasmFunction[], memoryShared: boolean): Uint8Array<ArrayBuffer> {
  // The import names the least that is needed; a shared memory must also name a maximum.
  const limits = memoryShared ? [3, 1, unsigned(65536)] : [0, 1];
  const types = functions.map(({ parameters, result }) => [
    0x60,
    vector(parameters),
    vector(result === undefined ? [] : [result]),
  ]);
  const exported = functions.flatMap(({ exportedAs }, index) =>
    exportedAs === undefined ? [] : [[text(exportedAs), 0, unsigned(index)]],
  );
  const bodies = functions.map(({ locals, body }) => sized([vector(locals.map((type) => [1, type])), body, 0x0b]));
  const sections = [
    section(1, types),
    section(2, [[text('env'), text('memory'), 2, limits]]),
    section(
      3,
      functions.map((_, index) => unsigned(index)),
    ),
    section(7, exported),
    section(10, bodies),
  ];
  return new Uint8Array(flatten([[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0], sections], []));
}
