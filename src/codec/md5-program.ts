// The MD5 program: WebAssembly that hashes blocks where they lie, of one stream or of up to eight streams at once.
//
// Every step of MD5 waits for the one before, so a processor hashing one stream is idle most of the time. Here four
// streams share a vector, a lane each, and two vectors take turns: the steps of one fill the waits of the other.
import { type Code, encodeModule, op, ValueType, type WasmFunction } from './wasm-module.ts';

export const blockBytes = 64;
export const laneCountMax = 8;

const wordBytes = 4;
const vectorBytes = 16;
const lanesPerVector = 4;
const stepCount = 64;
const rowBytes = laneCountMax * wordBytes;
// Where things lie in the program's own memory: word `w` of lane `l` is at `4 * l` of row `w`.
const constantsAt = 0;
const messageAt = constantsAt + stepCount * vectorBytes;
/** The four rows of the states' words. */
export const statesAt = messageAt + 16 * rowBytes;
/** One row: where each lane's next block is. The program moves them on. */
export const pointersAt = statesAt + 4 * rowBytes;
/** Room for the last blocks of a stream: at most 63 bytes, the mark of the end, and the length. */
export const paddingAt = pointersAt + rowBytes;
/** How much memory the program needs for itself, from its offset on. */
export const programBytes = paddingAt + 2 * blockBytes;

// RFC 1321, section 3.4.
const shifts = [
  [7, 12, 17, 22],
  [5, 9, 14, 20],
  [4, 11, 16, 23],
  [6, 10, 15, 21],
] as const;
const firstWords = [0, 1, 5, 0];
const wordStrides = [1, 5, 3, 7];

interface Step {
  readonly round: number;
  readonly word: number;
  readonly shift: number;
  readonly constant: number;
}

const steps: readonly Step[] = Array.from({ length: stepCount }, (_, index) => {
  const round = index >> 4;
  const constant = Math.floor(2 ** 32 * Math.abs(Math.sin(index + 1)));
  return {
    round,
    word: (firstWords[round]! + wordStrides[round]! * index) % 16,
    shift: shifts[round]![index % 4]!,
    // The last round's function is computed as its complement, and -x is ~x + 1.
    constant: (round === 3 ? constant - 1 : constant) | 0,
  };
});

/** The instructions of a step, over one stream or over a vector of them. */
interface Arithmetic {
  add(left: Code, right: Code): Code;
  sub(left: Code, right: Code): Code;
  and(left: Code, right: Code): Code;
  andNot(left: Code, right: Code): Code;
  xor(left: Code, right: Code): Code;
  rotate(value: Code, by: number, spare: number): Code;
}

const scalar: Arithmetic = {
  add: op.addI32,
  sub: op.subI32,
  and: op.andI32,
  andNot: (left, right) => op.andI32(left, op.xorI32(right, op.i32(-1))),
  xor: op.xorI32,
  rotate: (value, by) => op.rotateLeftI32(value, op.i32(by)),
};

const vector: Arithmetic = {
  add: op.addI32x4,
  sub: op.subI32x4,
  and: op.andV128,
  andNot: op.andNotV128,
  xor: op.xorV128,
  rotate: (value, by, spare) =>
    op.orV128(
      op.shiftLeftI32x4(op.tee(spare, value), op.i32(by)),
      op.shiftRightI32x4(op.get(spare), op.i32(32 - by)),
    ),
};

// One step: `locals` are those of a, b, c and d in their present parts; the result goes where a was. `addend` is the
// word of the message plus the step's constant. What needs b, which the step before has just made, comes last.
function stepCode(way: Arithmetic, step: Step, locals: readonly number[], addend: Code, spare: number): Code {
  const [a, b, c, d] = locals.map((local) => op.get(local)) as [Code, Code, Code, Code];
  const early = way.add(a, addend);
  const mixed = [
    () => way.add(early, way.xor(way.and(way.xor(c, d), b), d)),
    // The two halves of the selection have no bit in common: they may be added one by one.
    () => way.add(way.add(early, way.andNot(c, d)), way.and(b, d)),
    () => way.add(early, way.xor(way.xor(c, d), b)),
    () => way.sub(early, way.xor(way.andNot(d, b), c)),
  ][step.round]!;
  return op.set(locals[0]!, way.add(way.rotate(mixed(), step.shift, spare), b));
}

// The parts that the locals of a, b, c and d play at a step: each step they move on by one.
const parts = (locals: readonly number[], index: number): number[] =>
  locals.map((_, part) => locals[(part + 3 * index) % 4]!);

// one(blocks): hashes so many blocks, at least one, of lane 0.
function one(base: number): WasmFunction {
  const [blocks, at, spare] = [0, 1, 2];
  const state = [3, 4, 5, 6];
  const stateAt = (word: number): number => base + statesAt + word * rowBytes;
  return {
    exportedAs: 'one',
    parameters: [ValueType.i32],
    locals: Array.from({ length: 6 }, () => ValueType.i32),
    body: [
      op.set(at, op.loadI32(op.i32(0), base + pointersAt)),
      state.map((local, word) => op.set(local, op.loadI32(op.i32(0), stateAt(word)))),
      op.loop(
        steps.map((step, index) => {
          const addend = op.addI32(op.loadI32(op.get(at), step.word * wordBytes), op.i32(step.constant));
          return stepCode(scalar, step, parts(state, index), addend, spare);
        }),
        state.map((local, word) => [
          op.set(local, op.addI32(op.get(local), op.loadI32(op.i32(0), stateAt(word)))),
          op.storeI32(op.i32(0), op.get(local), stateAt(word)),
        ]),
        op.set(at, op.addI32(op.get(at), op.i32(blockBytes))),
        op.againIf(0, op.tee(blocks, op.subI32(op.get(blocks), op.i32(1)))),
      ),
      op.storeI32(op.i32(0), op.get(at), base + pointersAt),
    ],
  };
}

// Words `4 * quarter` on of four lanes' blocks, turned: from a vector for each lane into a vector for each word.
function transposed(pointers: readonly number[], spares: readonly number[], quarter: number, to: number): Code {
  const [s0, s1, s2, s3] = spares as [number, number, number, number];
  const lane = (index: number): Code => op.loadV128(op.get(pointers[index]!), quarter * vectorBytes);
  const pairs = (left: number, right: number, half: 0 | 1): Code =>
    op.shuffleI32x4(op.get(left), op.get(right), half === 0 ? [0, 1, 4, 5] : [2, 3, 6, 7]);
  const low = [0, 4, 1, 5] as const;
  const high = [2, 6, 3, 7] as const;
  const word = (index: number): number => to + (4 * quarter + index) * rowBytes;
  const halves = (first: number, last: number, into: number, spare: number): Code => [
    op.set(into, lane(first)),
    op.set(spare, lane(last)),
  ];
  return [
    halves(0, 1, s0, s1),
    op.set(s2, op.shuffleI32x4(op.get(s0), op.get(s1), low)),
    op.set(s3, op.shuffleI32x4(op.get(s0), op.get(s1), high)),
    halves(2, 3, s0, s1),
    op.set(spares[4]!, op.shuffleI32x4(op.get(s0), op.get(s1), low)),
    op.set(spares[5]!, op.shuffleI32x4(op.get(s0), op.get(s1), high)),
    op.storeV128(op.i32(0), pairs(s2, spares[4]!, 0), word(0)),
    op.storeV128(op.i32(0), pairs(s2, spares[4]!, 1), word(1)),
    op.storeV128(op.i32(0), pairs(s3, spares[5]!, 0), word(2)),
    op.storeV128(op.i32(0), pairs(s3, spares[5]!, 1), word(3)),
  ];
}

// four(blocks), eight(blocks): hash so many blocks, at least one, of each of the first lanes.
function lanes(base: number, vectorCount: 1 | 2, exportedAs: string): WasmFunction {
  const blocks = 0;
  const laneCount = vectorCount * lanesPerVector;
  const pointers = Array.from({ length: laneCount }, (_, lane) => 1 + lane);
  const vectorsFrom = 1 + laneCount;
  const vectors = Array.from({ length: vectorCount }, (_, index) => {
    const from = vectorsFrom + 5 * index;
    const offset = base + index * vectorBytes;
    return { state: [from, from + 1, from + 2, from + 3], spare: from + 4, offset };
  });
  const constant = vectorsFrom + 5 * vectorCount;
  const spares = Array.from({ length: 6 }, (_, index) => constant + 1 + index);
  const transposes = (quarter: number): Code =>
    vectors.map(({ offset }, index) =>
      transposed(pointers.slice(4 * index, 4 * index + 4), spares, quarter, offset + messageAt),
    );
  return {
    exportedAs,
    parameters: [ValueType.i32],
    locals: [
      ...pointers.map(() => ValueType.i32),
      ...Array.from({ length: 5 * vectorCount + 1 + spares.length }, () => ValueType.v128),
    ],
    body: [
      pointers.map((local, lane) => op.set(local, op.loadI32(op.i32(0), base + pointersAt + lane * wordBytes))),
      vectors.map(({ state, offset }) =>
        state.map((local, word) => op.set(local, op.loadV128(op.i32(0), offset + statesAt + word * rowBytes))),
      ),
      op.loop(
        [0, 1, 2, 3].map(transposes),
        steps.map((step, index) => [
          op.set(constant, op.loadV128(op.i32(0), base + constantsAt + index * vectorBytes)),
          vectors.map(({ state, spare, offset }) => {
            const word = op.loadV128(op.i32(0), offset + messageAt + step.word * rowBytes);
            return stepCode(vector, step, parts(state, index), op.addI32x4(op.get(constant), word), spare);
          }),
        ]),
        vectors.map(({ state, offset }) =>
          state.map((local, word) => {
            const at = offset + statesAt + word * rowBytes;
            const sum = op.addI32x4(op.get(local), op.loadV128(op.i32(0), at));
            return op.storeV128(op.i32(0), op.tee(local, sum), at);
          }),
        ),
        pointers.map((local) => op.set(local, op.addI32(op.get(local), op.i32(blockBytes)))),
        op.againIf(0, op.tee(blocks, op.subI32(op.get(blocks), op.i32(1)))),
      ),
      pointers.map((local, lane) => op.storeI32(op.i32(0), op.get(local), base + pointersAt + lane * wordBytes)),
    ],
  };
}

/** Each hashes `blocks` (at least one) of its first lanes, all of which have a state and a pointer to that many. */
export interface Md5Program {
  one(blocks: number): void;
  four(blocks: number): void;
  eight(blocks: number): void;
}

/** Puts the constants into the memory at `offset` (16 bytes aligned, `programBytes` long) and makes the program for it. */
export function loadProgram(memory: WebAssembly.Memory, offset: number): Md5Program {
  const constants = new Int32Array(memory.buffer, offset + constantsAt, stepCount * lanesPerVector);
  for (const [index, step] of steps.entries()) constants.fill(step.constant, 4 * index, 4 * index + 4);
  const functions = [one(offset), lanes(offset, 1, 'four'), lanes(offset, 2, 'eight')];
  const shared = memory.buffer instanceof SharedArrayBuffer;
  const module = new WebAssembly.Module(encodeModule(functions, shared));
  return new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as Md5Program;
}
